// Answers for the lists of models where more than one model server stands behind the gate, or where the only one speaks
// another family than the caller: asks all that answer, writes what they say in the caller's family, and names each model
// once, as the first server in the settings has it. A server that fails leaves its models out; where all do, the call fails.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError, toGatewayError } from '../domain/error.ts';
import { parseModelName } from '../domain/model-name.ts';
import { upstreamHeaders } from '../upstream/headers.ts';
import { type Listed, listFrom } from '../upstream/model-lists.ts';
import type { Upstream, UpstreamPool } from '../upstream/pool.ts';
import type { Exchange } from './exchange.ts';
import { silentMeter } from './meter.ts';
import { maySeeEntry } from './model-list.ts';
import { viaName } from './receive.ts';
import { type Settled, settle } from './record.ts';
import { refuse } from './refuse.ts';
import type { RelaySettings, RelayTools } from './relay.ts';
import type { Routed } from './route.ts';
import type { Run } from './running.ts';
import { endWith } from './unread.ts';

/** How long a server may take to say what it has. */
const patienceMs = 5_000;

/** Is this a list that no single server can answer for? */
export function isMerged({ operation: { reply } }: Routed, { upstreams }: UpstreamPool): boolean {
  if (reply !== 'ollama-models' && reply !== 'openai-models') return false;
  return upstreams.length > 1 || (reply === 'ollama-models' && upstreams[0]?.lists === 'openai');
}

export async function answerLists(
  routed: Routed,
  exchange: Exchange,
  { upstreams }: UpstreamPool,
  { settings, recorder, running }: RelayTools,
): Promise<Settled> {
  const { request, response } = exchange;
  const over = new AbortController();
  const run: Run = {
    call: routed,
    exchange,
    slot: -1,
    moved: -1,
    movedAtMs: 0,
    deadlineMs: recorder.nowMs() + settings.times.metadataMs,
    end: (error) => over.abort(error),
  };
  const onClose = (): void => over.abort(new GatewayError('client_closed'));
  response.once('close', onClose);
  request.socket.setMaxListeners(0).once('close', onClose);
  running.add(run);
  exchange.meter = silentMeter;
  exchange.upstream = routed.candidates[0]?.name ?? null;
  try {
    if (response.destroyed) onClose();
    const body = await merge(routed, upstreams, settings, over.signal, viaOf(request.headers));
    const isHead = request.method === 'HEAD';
    const lines = ['content-type', 'application/json; charset=utf-8', 'x-request-id', exchange.id];
    // The length of a list that is not shown would say how much is hidden.
    if (!isHead) lines.push('content-length', String(body.length));
    response.writeHead(200, [...lines, ...settings.ownHeaders, ...exchange.cors, ...exchange.lines]);
    if (!isHead) exchange.bytesOut += body.length;
    const settled = settle(exchange, { outcome: 'completed', status: 200 }, recorder);
    endWith(exchange, isHead ? undefined : body, settings.readerStallMs);
    return settled;
  } catch (thrown) {
    const error = toGatewayError(over.signal.aborted ? over.signal.reason : thrown);
    const outcome = error.code === 'client_closed' ? 'client_closed' : error.owner === 'upstream' ? 'failed' : 'ended';
    const settled = settle(exchange, { outcome, status: error.status, error }, recorder);
    refuse(settled, error, settings);
    return settled;
  } finally {
    running.remove(run);
    response.off('close', onClose);
    request.socket.off('close', onClose);
  }
}

/** @throws GatewayError where no server says anything, or the caller has gone. */
async function merge(
  routed: Routed,
  upstreams: readonly Upstream[],
  { times }: RelaySettings,
  signal: AbortSignal,
  via: readonly string[],
): Promise<Buffer> {
  const { name, reply } = routed.operation;
  // One that is silent does not keep the others from being heard.
  const patient = AbortSignal.any([signal, AbortSignal.timeout(Math.min(patienceMs, times.metadataMs / 2))]);
  const up = upstreams.filter((upstream) => upstream.up !== false);
  const asked = (up.length > 0 ? up : upstreams).map(async (upstream) => {
    const list = await listFrom(upstream, name === 'ps' ? 'running' : 'all', patient, via);
    const entries: Entry[] = [];
    // Looked up when the list is there: the caller may see less by now.
    const { principal } = routed.caller;
    const seesAll = principal.models.all && principal.scopes.has('cloud');
    for (const model of list) {
      const said = reply === 'openai-models' ? model.openai : model.ollama;
      // Written here, so that an entry which cannot be written is its own server's failure.
      if (seesAll || maySeeEntry(said, reply, principal)) entries.push([keyOf(model), JSON.stringify(said)]);
    }
    return entries;
  });
  // A caller who hangs up, or is told to go, ends every question.
  const answers = await Promise.allSettled(asked);
  signal.throwIfAborted();
  const good = answers.filter((answer) => answer.status === 'fulfilled');
  if (good.length === 0) {
    const cause: unknown = answers.find((answer) => answer.status === 'rejected')?.reason;
    throw new GatewayError(codeOf(cause), { cause });
  }
  const byName = new Map<string, string>();
  for (const { value } of good) for (const [key, text] of value) if (!byName.has(key)) byName.set(key, text);
  const said = [...byName.values()].join(',');
  return Buffer.from(reply === 'openai-models' ? `{"object":"list","data":[${said}]}` : `{"models":[${said}]}`);
}

/** What a model is known by, and its entry as it is said. */
type Entry = readonly [key: string, text: string];

const keyOf = ({ name }: Listed): string => parseModelName(name)?.canonical ?? name;

function codeOf(cause: unknown): 'upstream_timeout' | 'upstream_unreachable' | 'upstream_failed' {
  const { code, name } = cause as { code?: string; name?: string };
  if (name === 'TimeoutError') return 'upstream_timeout';
  return /^(?:ECONN|ENOTFOUND|EAI_|UND_ERR_CONNECT)/.test(code ?? '') ? 'upstream_unreachable' : 'upstream_failed';
}

/** What keeps two gates that stand behind each other from asking for ever. */
const viaOf = ({ via }: IncomingHttpHeaders): string[] =>
  upstreamHeaders(via === undefined ? {} : { via }, `1.1 ${viaName}`, []);
