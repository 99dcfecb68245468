// Sends an answer that the gateway makes itself, from what model servers say of themselves: merged lists, and calls that a server
// without the route needs no generation for. Such an answer is short, costs no tokens, and ends like any other: with its record,
// and early if its caller leaves or loses a right.
import { GatewayError, toGatewayError } from '../domain/error.ts';
import type { ActiveRequests, Run } from './active-requests.ts';
import { endWith } from './answer/unread.ts';
import type { Exchange } from './exchange.ts';
import { silentMeter } from './meter/meter.ts';
import { type Recorder, type Settled, settle } from './record.ts';
import { type AnswerSettings, refuse } from './refuse.ts';
import type { Routed } from './route.ts';
import type { TimeLimits } from './upstream-call.ts';

export interface OwnAnswerTools {
  readonly settings: AnswerSettings & { readonly times: TimeLimits };
  readonly recorder: Recorder;
  readonly running: ActiveRequests;
}

/** `make` returns the body, JSON. Its signal aborts when the call ends early. */
export async function answerItself(
  routed: Routed,
  exchange: Exchange,
  { settings, recorder, running }: OwnAnswerTools,
  make: (signal: AbortSignal) => Promise<Buffer>,
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
  const [first] = routed.candidates;
  if (first) exchange.notes.noteUpstream(first.name);
  try {
    if (response.destroyed) onClose();
    const body = await make(over.signal);
    const isHead = request.method === 'HEAD';
    const lines = ['content-type', 'application/json; charset=utf-8', 'x-request-id', exchange.id];
    // The length of a list that is not shown would reveal how much is hidden.
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
