// Lets a call that has its turn wait until its model is in the memory of its server. The load is the gateway's own request
// (src/upstream/loads), so the caller can leave at any time; all calls of a load that fails get the same error.
import { GatewayError } from '../../domain/error.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { Fields } from '../../upstream/kind.ts';
import type { ColdLoads, Joined } from '../../upstream/loads/cold-loads.ts';
import type { LoadEnd } from '../../upstream/loads/load.ts';
import type { Upstream } from '../../upstream/server.ts';
import type { ActiveRequests } from '../active-requests.ts';
import { readError } from '../answer/model-error.ts';
import type { Shaped } from '../apply-plan.ts';
import type { Exchange } from '../exchange.ts';
import { writeFigures } from '../server-figures.ts';
import { viaOf } from '../via.ts';
import { waitComment } from './wait-signs.ts';
import { Waiting, waitWhileConnected } from './waiting.ts';

export interface LoadTools {
  readonly loads: ColdLoads;
  readonly running: ActiveRequests;
  readonly recorder: { readonly nowMs: () => MonotonicMs };
}

/**
 * Resolves when the model is loaded; undefined if there is nothing to wait for. @throws GatewayError `upstream_failed`,
 * `upstream_timeout`; `client_closed`, or what ends the running calls.
 */
export function awaitLoad(
  call: Shaped,
  exchange: Exchange,
  server: Upstream,
  model: string,
  tools: LoadTools,
): Promise<void> | undefined {
  if (!tools.loads.isCold(server, model)) return undefined;
  const { operation } = call;
  const body = bodyOf(call, server);
  const joined = tools.loads.join(server, model, { path: operation.path, body, via: viaOf(exchange.request.headers) });
  if (!joined) return undefined;
  return waitFor(joined, new Waiting<void>(call, exchange), server, tools).then((isAnother) =>
    isAnother ? awaitLoad(call, exchange, server, model, tools) : undefined,
  );
}

/** Resolves with true if the load has failed for what others want: then the call needs one of its own. */
async function waitFor(
  { load, isOwn }: Joined,
  waiting: Waiting<void>,
  server: Upstream,
  tools: LoadTools,
): Promise<boolean> {
  let isAnother = false;
  const { exchange } = waiting;
  const { nowMs } = tools.recorder;
  const position = ++load.waiting;
  const fromMs = nowMs();
  const leftMs = load.leftMs();
  setLine(exchange.lines, 'x-sekisho-load-position', position);
  if (leftMs !== undefined) setLine(exchange.lines, 'x-sekisho-load-estimate-ms', Math.round(leftMs));
  exchange.waitComment = () => waitComment('the model is loading', position, load.leftMs());
  void load.over.then((end) => {
    isAnother = !isOwn && (end.kind === 'failed' || end.kind === 'broke');
    const error = isAnother ? undefined : errorOf(end, server);
    if (error) waiting.end(error);
    else waiting.proceed();
  });
  try {
    await waitWhileConnected(waiting, tools.running);
    return isAnother;
  } finally {
    load.waiting--;
    exchange.waitComment = undefined;
    const waitedMs = Math.round(nowMs() - fromMs);
    exchange.loadMs = (exchange.loadMs ?? 0) + waitedMs;
    setLine(exchange.lines, 'x-sekisho-load-wait-ms', exchange.loadMs);
  }
}

/** A call can wait for a second load; its head says the last position and the whole time. */
function setLine(lines: string[], name: string, value: number): void {
  const at = lines.indexOf(name);
  if (at < 0) lines.push(name, String(value));
  else lines[at + 1] = String(value);
}

function errorOf(end: LoadEnd, { screen }: Upstream): GatewayError | undefined {
  switch (end.kind) {
    case 'ready':
      return undefined;
    case 'late':
      return new GatewayError('upstream_timeout', { message: 'The model server took too long to load the model.' });
    case 'broke':
      return new GatewayError('upstream_failed', { message: 'The model server broke off while it loaded the model.' });
    case 'failed': {
      const { message } = readError(end.body, undefined, end.status, screen);
      return new GatewayError('upstream_failed', { message: `The model could not be loaded. ${message}` });
    }
  }
}

/** A longer body is not read again for what it says about the load. */
const mostBytes = 1024 * 1024;

/** As this server would get it. */
function bodyOf(call: Shaped, server: Upstream): Fields | undefined {
  const { body, operation } = call;
  if (operation.body !== 'json' || !body || body.length > mostBytes) return undefined;
  writeFigures(call, server);
  try {
    return JSON.parse(body.toString('utf8')) as Fields;
  } catch {
    return undefined;
  }
}
