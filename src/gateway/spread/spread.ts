// Sends one change of models to several servers, and answers once: with merged progress, or with what each server did. The call
// succeeds only if all of them have. It has one record; a hang-up of its caller ends every part, and so does whatever ends
// other calls. A failed server does not stop the others, because each keeps what it has pulled.
import { GatewayError, toGatewayError } from '../../domain/error.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { Run } from '../active-requests.ts';
import { onHangUp } from '../answer/hang-up.ts';
import { endWith } from '../answer/unread.ts';
import type { Exchange } from '../exchange.ts';
import { silentMeter } from '../meter/meter.ts';
import { ModelNotFound } from '../model-access.ts';
import { type Settled, settle } from '../record.ts';
import { breakOff, refuse } from '../refuse.ts';
import type { RelayTools } from '../relay.ts';
import type { Routed } from '../route.ts';
import { totalMsOf } from '../upstream-call.ts';
import { MergedProgress } from './merged-progress.ts';
import { type PartEnd, runPart } from './part.ts';
import type { Target } from './targets.ts';

const mostLedgerName = 500;

/** Whether the caller names several servers. */
export const isSpread = ({ targets }: Routed): boolean => targets.length > 1;

export async function spread(routed: Routed, exchange: Exchange, tools: RelayTools): Promise<Settled> {
  const run = new Spread(routed, exchange, tools);
  tools.running.add(run);
  try {
    return await run.answer();
  } finally {
    tools.running.remove(run);
  }
}

type Line = Readonly<Record<string, unknown>> | object;

class Spread implements Run {
  readonly call: Routed;
  readonly exchange: Exchange;
  readonly deadlineMs: MonotonicMs;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #targets: readonly Target[];
  readonly #tools: RelayTools;
  readonly #over = new AbortController();
  readonly #progress: MergedProgress;

  constructor(routed: Routed, exchange: Exchange, tools: RelayTools) {
    const { targets } = routed;
    this.call = routed;
    this.exchange = exchange;
    this.#targets = targets;
    this.#tools = tools;
    const { recorder, settings } = tools;
    this.deadlineMs = recorder.nowMs() + totalMsOf(routed, settings.times);
    const labels = targets.map(({ label }) => label);
    this.#progress = new MergedProgress(labels, (line) => this.#write(line), recorder.nowMs);
    exchange.meter = silentMeter;
    exchange.notes.noteUpstream(
      targets
        .map(({ server }) => server.name)
        .join(', ')
        .slice(0, mostLedgerName),
    );
  }

  end(error: GatewayError): void {
    this.#over.abort(error);
  }

  async answer(): Promise<Settled> {
    const stopListening = onHangUp(this.exchange, () => this.end(new GatewayError('client_closed')));
    try {
      const ends = await Promise.all(this.#targets.map((target, at) => this.#run(target, at)));
      return this.#over.signal.aborted ? this.#giveUp() : this.#conclude(ends);
    } finally {
      stopListening();
    }
  }

  async #run(target: Target, at: number): Promise<PartEnd> {
    const tools = {
      times: this.#tools.settings.times,
      signal: this.#over.signal,
      onLine: (line: Line) => this.#progress.take(at, line as Readonly<Record<string, unknown>>),
    };
    const end = await runPart(target, this.call, this.exchange, tools);
    if (end.result === 'failed') this.#progress.fail(at, end.reason);
    else this.#progress.succeed(at);
    return end;
  }

  /** Progress that its reader does not take is left out. */
  #write(line: object): void {
    const { response } = this.exchange;
    if (!this.call.stream || this.#over.signal.aborted || response.destroyed || response.writableNeedDrain) return;
    if (!response.headersSent) this.#begin('application/x-ndjson');
    response.write(this.#counted(`${JSON.stringify(line)}\n`));
  }

  #begin(type: string, length?: number): void {
    const { exchange } = this;
    const { recorder, settings } = this.#tools;
    exchange.firstByteMs = Math.round(recorder.nowMs() - exchange.startedMs);
    const lines = ['content-type', type, 'x-request-id', exchange.id];
    if (length !== undefined) lines.push('content-length', String(length));
    exchange.response.writeHead(200, [...lines, ...settings.ownHeaders, ...exchange.cors, ...exchange.lines]);
  }

  #counted(text: string): string {
    this.exchange.bytesOut += Buffer.byteLength(text);
    return text;
  }

  /** Ended from outside. */
  #giveUp(): Settled {
    const { exchange } = this;
    const { recorder, settings } = this.#tools;
    const error = toGatewayError(this.#over.signal.reason);
    const outcome = error.code === 'client_closed' ? 'client_closed' : 'ended';
    const { headersSent, destroyed } = exchange.response;
    const settled = settle(exchange, { outcome, status: headersSent ? 200 : error.status, error }, recorder);
    if (!headersSent) return refuse(settled, error, settings);
    if (!destroyed) breakOff(exchange, error, false);
    return settled;
  }

  #conclude(ends: readonly PartEnd[]): Settled {
    const missing = ends.every(({ result }) => result === 'missing');
    const known = this.call.models.find(({ name }) => name !== undefined);
    if (missing && known) return this.#fail(new ModelNotFound(known.text));
    const failures = ends.flatMap((end, at) =>
      end.result === 'failed' ? [`${this.#targets[at]?.label}: ${end.reason}`] : [],
    );
    if (failures.length > 0) {
      const message = `${failures.length} of ${ends.length} model servers failed. ${failures.join('; ')}`;
      return this.#fail(new GatewayError('upstream_failed', { message }));
    }
    return this.#succeed(ends);
  }

  #succeed(ends: readonly PartEnd[]): Settled {
    const { exchange, call } = this;
    const { recorder, settings } = this.#tools;
    const servers = ends.map(({ result }, at) => ({ name: this.#targets[at]?.label, result }));
    const body = call.operation.streamDefault === null ? { servers } : { status: 'success' };
    const text = this.#counted(`${JSON.stringify(body)}${call.stream ? '\n' : ''}`);
    if (!exchange.response.headersSent)
      if (call.stream) this.#begin('application/x-ndjson');
      else this.#begin('application/json; charset=utf-8', Buffer.byteLength(text));
    const settled = settle(exchange, { outcome: 'completed', status: 200 }, recorder);
    endWith(exchange, text, settings.readerStallMs);
    return settled;
  }

  /** After progress, the last line is the error, as of a single server. */
  #fail(error: GatewayError): Settled {
    const { exchange } = this;
    const { recorder, settings } = this.#tools;
    const { headersSent } = exchange.response;
    const settled = settle(
      exchange,
      { outcome: 'upstream_error', status: headersSent ? 200 : error.status, error },
      recorder,
    );
    if (!headersSent) return refuse(settled, error, settings);
    endWith(exchange, this.#counted(exchange.frames.spellError(error, exchange.id, false)), settings.readerStallMs);
    return settled;
  }
}
