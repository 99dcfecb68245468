// Answers model lists if there are several model servers, if the only one has another list format than the caller's
// dialect, or if the caller has aliases: asks all reachable servers, writes the result in that dialect, and lists each
// model once, from the first server in the settings that has it, and each alias with the facts of its model. Models of a
// failed server are missing; if all fail, so does the call.
import { GatewayError } from '../domain/error.ts';
import { type ModelName, parseModelName } from '../domain/model-name.ts';
import type { Principal } from '../domain/principal.ts';
import { isReachable } from '../upstream/audience.ts';
import type { Fields, Listed } from '../upstream/kind.ts';
import type { UpstreamRegistry } from '../upstream/registry.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Answer } from '../upstream/shared-lists.ts';
import { AnswerRoom } from './answer/answer-room.ts';
import { maySeeEntry, renamedEntry } from './answer/model-list.ts';
import type { Operation } from './dialects/dialect.ts';
import type { ModelList } from './dialects/reply.ts';
import type { Exchange } from './exchange.ts';
import type { ModelNames } from './model-names.ts';
import { answerItself } from './own-answer.ts';
import type { Settled } from './record.ts';
import type { RelaySettings, RelayTools } from './relay.ts';
import type { Routed } from './route.ts';
import { viaOf } from './via.ts';

/** How long a server may take to list its models. */
const patienceMs = 5_000;

/** A call for a list of models. */
interface Listing extends Routed {
  readonly operation: Operation & { readonly reply: { readonly list: ModelList } };
}

/** Where lists come from. */
export interface ListSources {
  readonly registry: UpstreamRegistry;
  readonly names: ModelNames;
}

/** Whether no single server can answer for this list. */
export function isMerged(routed: Routed, { registry, names }: ListSources): routed is Listing {
  const { reply, dialect } = routed.operation;
  if (!reply.list) return false;
  const { principal } = routed.caller;
  const servers = registry.reachableBy(principal);
  if (servers.length > 1 || servers[0]?.kind.listDialects.includes(dialect.name) !== true) return true;
  return names.aliasesFor(principal).length > 0;
}

export function answerLists(
  routed: Listing,
  exchange: Exchange,
  sources: ListSources,
  tools: RelayTools,
): Promise<Settled> {
  const { settings } = tools;
  return answerItself(routed, exchange, tools, (signal) => {
    const room = new AnswerRoom(exchange, routed.metering, settings.answers);
    return merge(routed, sources, settings, signal, viaOf(exchange.request.headers), room);
  });
}

/** @throws GatewayError if no server answers, or the caller has disconnected. */
async function merge(
  routed: Listing,
  { registry, names }: ListSources,
  { times }: RelaySettings,
  signal: AbortSignal,
  via: readonly string[],
  room: AnswerRoom,
): Promise<Buffer> {
  const { list } = routed.operation.reply;
  const asked = {
    which: list.isOfLoaded ? 'running' : 'all',
    via,
    // A silent server must not delay the answers of the others.
    patienceMs: Math.min(patienceMs, times.metadataMs / 2),
  } as const;
  const said = await registry.lists.ask(asked, signal);
  // Read after the lists arrived: the caller's access may have changed meanwhile.
  const { principal } = routed.caller;
  const answers = reachedBy(principal, said);
  const seesAll = principal.models.all && principal.scopes.has('cloud');
  const good = answers.filter((answer) => answer.status === 'fulfilled');
  if (answers.length === 0) throw new GatewayError('upstream_unreachable');
  if (good.length === 0) {
    const cause: unknown = answers.find((answer) => answer.status === 'rejected')?.reason;
    throw new GatewayError(codeOf(cause), { cause });
  }
  const all = good.flatMap(({ value }) => value);
  const byName = new Map<string, string>();
  for (const model of all) {
    const key = keyOf(model);
    const fields = list.entryOf(model);
    if (byName.has(key) || !(seesAll || maySeeEntry(fields, list, principal))) continue;
    byName.set(key, textOf(fields));
  }
  addAliases(byName, all, list, principal, names);
  let length = 0;
  for (const text of byName.values()) length += text.length + 1;
  // The text, and its bytes: up to three per character.
  room.take(3 * length);
  const entries = [...byName.values()].join(',');
  return Buffer.from(list.write(entries));
}

/**
 * Adds each alias with the facts of the first listed one of its model and its fallbacks. A model of the same name is left out,
 * because calls by that name do not reach it.
 */
function addAliases(
  byName: Map<string, string>,
  all: readonly Listed[],
  list: ModelList,
  principal: Principal,
  names: ModelNames,
): void {
  const aliases = names.aliasesFor(principal);
  if (aliases.length === 0) return;
  const models = Map.groupBy(all, keyOf);
  for (const meaning of aliases) {
    const { asked, shown } = meaning;
    const allows = (name: ModelName): boolean =>
      names.allows(principal, { text: shown, name, meaning, sent: undefined });
    const fields = [meaning.model, ...meaning.fallbacks]
      .flatMap(({ name }) => models.get(name.canonical) ?? [])
      .map((model) => list.entryOf(model))
      .find((entry) => maySeeEntry(entry, list, principal, allows));
    if (fields) byName.set(asked, JSON.stringify(renamedEntry(fields, list, shown)));
    else byName.delete(asked);
  }
}

/** The lists are read for all callers at once; this leaves out what servers said that this caller may not reach. */
function reachedBy(caller: Principal, answers: readonly Answer<Upstream>[]): Answer<Upstream>['result'][] {
  return answers.filter(({ server }) => isReachable(server, caller)).map(({ result }) => result);
}

/** Entries are shared by concurrent requests, and so is their JSON. */
const texts = new WeakMap<Fields, string>();

function textOf(fields: Fields): string {
  const known = texts.get(fields);
  if (known !== undefined) return known;
  const text = JSON.stringify(fields);
  texts.set(fields, text);
  return text;
}

const keyOf = ({ name }: Listed): string => parseModelName(name)?.canonical ?? name;

function codeOf(cause: unknown): 'upstream_timeout' | 'upstream_unreachable' | 'upstream_refused' | 'upstream_failed' {
  const { code, name } = (cause ?? {}) as { code?: string; name?: string };
  if (name === 'TimeoutError') return 'upstream_timeout';
  if (name === 'Refused') return 'upstream_refused';
  return /^(?:ECONN|ENOTFOUND|EAI_|UND_ERR_CONNECT)/.test(code ?? '') ? 'upstream_unreachable' : 'upstream_failed';
}
