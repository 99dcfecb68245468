// Applies a plan to a body: options that affect other users of a shared model server are lowered to the plan's bounds
// or removed, a bound is added where a missing one would mean "no limit", and counts beyond the plan are refused. Takes
// an authorized call; proves that what is forwarded is within the plan, and reports the changes. All other bytes of the
// body stay as they were.
import { GatewayError } from '../domain/error.ts';
import type { Terms } from '../domain/plan.ts';
import { formOf } from '../domain/plural.ts';
import type { Principal } from '../domain/principal.ts';
import { detail } from '../domain/refusal-details.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { type AskedLength, boundLength, readLength } from './answer-length.ts';
import type { Authorized } from './authorize.ts';
import { noOpening, type Opening, openingOf } from './conversation.ts';
import { boundParameters } from './creation.ts';
import { boundGrammars } from './grammar-bounds.ts';
import { jsonType, readJson } from './intent.ts';
import { type ModelFacts, noServer, type ServerFacts } from './model-facts.ts';
import { type NamedModel, replacedNames } from './model-names.ts';
import { given, remove, replace, replaceName, type Work, wholeNumber } from './payload/body-edits.ts';
import { renameForm } from './payload/multipart.ts';
import { type Edit, type JsonBody, type JsonValue, textOf } from './payload/strict-json.ts';
import { type Figured, type ForServer, figureFor } from './server-figures.ts';
import { takeOffersOut } from './server-tools.ts';
import { boundTemplateArguments } from './template-arguments.ts';
import { translationFor } from './translate/able.ts';
import type { CallTranslation } from './translate/call-translation.ts';

declare class Mark {
  protected readonly shaped: true;
}
/** Proof that the forwarded call is within the plan. */
export interface Shaped extends Authorized, Mark {
  /** The completion tokens requested, all choices together; undefined if the call does not say. */
  readonly askedTokens: number | undefined;
  /** Answers that are generated at once. */
  readonly choices: number;
  /** The changes, for a response header; contains only names and figures that this code knows. */
  readonly changes: readonly string[];
  /** What it begins with; nothing if there is only one server. */
  readonly opening: Opening;
  /** The caller as of the last shaping. */
  readonly shapedFor: Principal;
  /** The servers that took calls at that time. */
  readonly shapedWith: ModelFacts;
  /** The parts of the body that differ between model servers. */
  readonly figured: Figured | undefined;
  /** How servers that lack the route can serve the call; undefined if none lacks it, or it cannot be translated. */
  readonly translation: CallTranslation | undefined;
}

/** A call may go to any kind of server, and a server reports its own kind, so the fields of all kinds are bounded. */
const { reloadOptions, reloads, templates, debug, shared, capped } = bodyFields;

/**
 * @throws GatewayError `beyond_plan`, `invalid_request`; `upstream_unreachable` if no server takes calls, `upstream_lacks_route`
 * if none has the route.
 */
export function shape(call: Authorized, facts: ModelFacts): Shaped {
  return within(call, call, call.formChanges, facts);
}

/** The parsed parts of a body. */
type Read = Pick<Authorized, 'document' | 'images' | 'inputs' | 'offeredServerTools' | 'edits'>;

function within(call: Authorized, read: Read, before: readonly string[], facts: ModelFacts): Shaped {
  const { document, images, inputs, offeredServerTools } = read;
  const { principal } = call.caller;
  const { bounds } = principal;
  if (facts.length === 0 && !call.operation.service) throw noServer();
  let asked: AskedLength = { tokens: undefined, choices: 1 };
  let changes = before;
  let figured: Figured | undefined;
  let opening = noOpening;
  let { body } = call;
  if (document && body) {
    if (bounds) {
      refuseBeyond(images, bounds.maxImages, 'image');
      refuseBeyond(inputs, bounds.maxEmbeddingInputs, 'embedding input');
    }
    const bytes = body;
    const editsAt = (server: ServerFacts): ServerEdits => editsFor(call, read, before, bytes, document, server);
    const [first, ...others] = facts as readonly [ServerFacts, ...ServerFacts[]];
    const model = bounds ? call.models[0]?.name?.canonical : undefined;
    const firstEdits = editsAt(first);
    const differing =
      bounds &&
      model !== undefined &&
      others.length > 0 &&
      differ(facts, contextOf(document, bytes, bounds), bounds, model)
        ? others.map(editsAt)
        : none;
    ({ body, figured } = figureFor(bytes, firstEdits, differing));
    ({ asked, changes } = firstEdits);
    if (facts.length > 1) opening = openingOf(call, document, bytes);
    for (const other of differing) asked = longerOf(asked, other.asked);
  }
  // Drop the parsed body: it can be many times the size of its bytes while the answer runs.
  const { tokens: askedTokens, choices } = asked;
  return {
    ...call,
    body,
    images,
    inputs,
    offeredServerTools,
    askedTokens,
    choices,
    changes,
    opening,
    figured,
    shapedFor: principal,
    shapedWith: facts,
    document: undefined,
    translation: translationFor(call, body, figured, facts),
  } as unknown as Shaped;
}

const none: readonly never[] = [];

/**
 * Applies the current plan and key to a call that has waited, for the servers that take calls now; returns the same
 * call if neither has changed. Earlier removals stay, and `changes` names both. @throws as `shape`.
 */
export function shapeAgain(call: Shaped, facts: ModelFacts): Shaped {
  const { shapedFor, shapedWith } = call;
  const { principal } = call.caller;
  const sameTerms = principal === shapedFor || termsOf(principal) === termsOf(shapedFor);
  return sameTerms && facts === shapedWith ? call : shapedAnew(call, facts);
}

/** The same call for another model, which takes the place of the first one that the call names. @throws as `shape`. */
export function shapeFor(model: NamedModel, call: Shaped, facts: ModelFacts): Shaped {
  const { operation, parameter, body, bodyType } = call;
  const sent = model.sent ?? model.text;
  const other: unknown = {
    ...call,
    models: [{ ...model, sent }, ...call.models.slice(1)],
    parameter: operation.model === 'path' ? sent : parameter,
    body: body && operation.model === 'form' ? renameForm(body, 'model', sent) : body,
  };
  return bodyType === jsonType ? shapedAnew(other as Shaped, facts) : (other as Shaped);
}

function shapedAnew(call: Shaped, facts: ModelFacts): Shaped {
  const { body } = call;
  if (!body || call.bodyType !== jsonType) return call;
  // Parse the forwarded bytes again, so that the bounds apply to what they contain.
  const { document, images, inputs, offeredServerTools } = readJson(call, body, replacedNames);
  return within(call, { document, images, inputs, offeredServerTools, edits: none }, call.changes, facts);
}

/** Everything that shaping depends on for a caller. */
const termsOf = ({ bounds, scopes }: Principal): string => JSON.stringify([bounds ?? null, scopes.has('cloud')]);

interface ServerEdits extends ForServer {
  readonly asked: AskedLength;
}

/** The edits of the body for one model server. @throws GatewayError `beyond_plan`, `invalid_request`. */
function editsFor(
  { caller: { principal }, operation, models }: Authorized,
  read: Read,
  before: readonly string[],
  bytes: Buffer,
  document: JsonBody,
  facts: ServerFacts,
): ServerEdits {
  const { bounds } = principal;
  const edits: Edit[] = [...read.edits];
  const changes: string[] = [...before];
  const work: Work = { bytes, document, edits, changes };
  const sent = models[0]?.sent;
  if (sent !== undefined) replaceName(work, operation.model === 'model-or-name' ? ['model', 'name'] : ['model'], sent);
  if (!principal.scopes.has('cloud')) takeOffersOut(work, read.offeredServerTools);
  let asked: AskedLength;
  if (bounds) {
    const most = bounds.maxOutputTokens;
    const model = models[0]?.name?.canonical;
    boundBody(work, bounds, model, facts);
    const own = model === undefined ? undefined : facts.answerTokens(model);
    // Some runners read 0 as "no limit"; a plan without generation removes the scope instead.
    asked = boundLength(work, operation.reply.length, most === null ? null : Math.max(1, most), own);
  } else asked = { tokens: readLength(work, operation.reply.length).tokens, choices: 1 };
  if (edits.length > 1) edits.sort((a, b) => a.start - b.start);
  return { server: facts.server, edits, changes, asked };
}

/** The requested context, if what is sent depends on what is loaded. */
function contextOf(document: JsonBody, bytes: Buffer, { maxContextTokens: most }: Terms): number | undefined {
  const value = most !== 0 ? given(document.members.get('options')?.members, 'num_ctx') : undefined;
  return value && Number(bytes.toString('latin1', value.start, value.end));
}

/** The context to send; undefined to remove it. */
const settledContext = (
  { contexts }: Pick<ServerFacts, 'contexts'>,
  model: string,
  asked: number,
  { maxContextTokens: most, reloadOptions: others }: Terms,
): number | undefined =>
  others === 'strip' ? contexts.settle(model, asked, most) : contexts.within(model, asked, most);

/** Whether the servers would get different bodies. */
function differ(facts: ModelFacts, context: number | undefined, bounds: Terms, model: string): boolean {
  const settledBy = (server: ServerFacts): number | undefined =>
    context === undefined ? undefined : settledContext(server, model, context, bounds);
  const [first, ...others] = facts as readonly [ServerFacts, ...ServerFacts[]];
  const tokens = first.answerTokens(model);
  const settled = settledBy(first);
  return others.some((server) => server.answerTokens(model) !== tokens || settledBy(server) !== settled);
}

/** The reservation must suffice for every server that may get the call. */
function longerOf(a: AskedLength, b: AskedLength): AskedLength {
  const tokens = a.tokens === undefined || b.tokens === undefined ? undefined : Math.max(a.tokens, b.tokens);
  return { tokens, choices: a.choices };
}

function boundBody(work: Work, bounds: Terms, model: string | undefined, facts: ServerFacts): void {
  const { document } = work;
  const options = document.members.get('options')?.members;
  if (bounds.reloadOptions === 'strip') {
    for (const name of reloadOptions) remove(work, options?.get(name), `options.${name}`);
    removeAll(work, reloads);
    removeAll(work, shared);
  }
  if (bounds.templates === 'strip') {
    removeAll(work, templates);
    boundTemplateArguments(work);
  }
  if (bounds.debugFields === 'strip') removeAll(work, debug);
  boundContext(work, given(options, 'num_ctx'), bounds, model, facts);
  boundCapped(work);
  boundGrammars(work);
  boundKeepAlive(work, bounds);
  boundParameters(work, bounds, reloadOptions);
}

const contextName = 'options.num_ctx';

function boundContext(
  work: Work,
  value: JsonValue | undefined,
  bounds: Terms,
  model: string | undefined,
  facts: ServerFacts,
): void {
  if (!value) return;
  const { maxContextTokens: most, reloadOptions: others } = bounds;
  if (most === 0) {
    remove(work, value, contextName);
    return;
  }
  // What is no number is the server's to refuse.
  if (most === null && others === 'allow' && value.kind !== 'number') return;
  const asked = wholeNumber(work, value, contextName);
  const settled = model === undefined ? Math.min(asked, most ?? Infinity) : settledContext(facts, model, asked, bounds);
  if (settled === undefined) remove(work, value, contextName);
  else if (settled !== asked) replace(work, value, contextName, settled);
}

function removeAll(work: Work, names: readonly string[]): void {
  for (const name of names) remove(work, work.document.members.get(name), name);
}

/** Limits that do not depend on a plan. */
function boundCapped(work: Work): void {
  for (const [name, most] of capped) {
    const value = given(work.document.members, name);
    if (value && wholeNumber(work, value, name) > most) replace(work, value, name, most);
  }
}

function boundKeepAlive(work: Work, { minKeepAliveSeconds: least, maxKeepAliveSeconds: most }: Terms): void {
  const value = work.document.members.get('keep_alive');
  if (!value || value.kind === 'null' || (least === null && most === null)) return;
  const text = work.bytes.toString('utf8', value.start, value.end);
  const seconds =
    value.kind === 'number'
      ? Number(text)
      : value.kind === 'string'
        ? goDuration(textOf(work.bytes, value))
        : undefined;
  // Go stores a duration as 63 bits of nanoseconds and overflows beyond; and it truncates each part to whole
  // nanoseconds, so for tiny negative values only Go knows whether they mean "forever" or zero.
  const isUnclear = value.kind === 'string' && seconds !== undefined && seconds < 0 && seconds > -1e-6;
  if (seconds === undefined || Number.isNaN(seconds) || Math.abs(seconds) > longestSeconds || isUnclear)
    throw new GatewayError('invalid_request', { message: 'keep_alive must be seconds, or a duration such as "5m"' });
  // Any negative value means "forever".
  const meant = seconds < 0 ? Infinity : seconds;
  if (most !== null && meant > most) replace(work, value, 'keep_alive', most);
  else if (least !== null && meant < least) replace(work, value, 'keep_alive', least);
}

const longestSeconds = 9e9;

const unitSeconds: Record<string, number> = {
  ns: 1e-9,
  us: 1e-6,
  '\u00b5s': 1e-6,
  '\u03bcs': 1e-6,
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** The seconds of a duration as Go's time.ParseDuration reads it: `5m`, `1h30m`, `-1s`, `0`. */
function goDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0;
  // Bound the length first, and match digits in one way only: `\d+\.?\d*` would backtrack exponentially.
  if (text.length > 64 || !/^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/g))
    seconds += Number(amount) * (unitSeconds[unit as string] as number);
  return text.startsWith('-') ? -seconds : seconds;
}

function refuseBeyond(count: number, most: number | null, part: 'image' | 'embedding input'): void {
  if (most !== null && count > most)
    throw new GatewayError('beyond_plan', {
      message: detail('too_many_parts', { count, parts: formOf(count, part, `${part}s`), most }),
      figures: { needed: count, most },
    });
}
