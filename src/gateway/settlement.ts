// Ends a call that was sent, exactly once: writes its record, then releases the model server, then sends the last of
// its answer. A caller who has the whole answer has completed the call, whichever side disconnected first.
import type { ServerResponse } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { Outcome } from '../domain/usage.ts';
import { type Answer, nothing } from './answer/answer.ts';
import { cutOffAfter } from './answer/cut-off.ts';
import { onHangUp } from './answer/hang-up.ts';
import type { Exchange } from './exchange.ts';
import type { Ending } from './observers.ts';
import { endTurn, type Recorder, type Settled, settle, settleSoon } from './record.ts';
import { type AnswerSettings, refuse } from './refuse.ts';

/** The connection to the model server is cut now, cut after an error had time to be read, or kept. */
export type ConnectionEnd = 'cut' | 'cut-later' | 'keep';

/** What is relayed. */
export type Relayed = Pick<Answer, 'delivery' | 'status' | 'isStreamed' | 'cut'>;

/** Holds a server for the call. */
export interface Holding {
  /** The call is over, or only its reader can still take time. May be called again. */
  releaseServer(end: ConnectionEnd): void;
}

export class Settlement {
  /** Resolves when the exchange is over. */
  readonly over: Promise<Settled>;
  /** It has its record. */
  isSettled = false;
  /** The whole answer has arrived; the reader may still have to take some of it. */
  isAnswered = false;
  readonly #exchange: Exchange;
  readonly #response: ServerResponse;
  readonly #recorder: Recorder;
  readonly #settings: AnswerSettings;
  readonly #answer: Relayed;
  readonly #holding: Holding;
  #stopListening: (() => void) | undefined;
  #finished!: (settled: Settled) => void;

  constructor(
    exchange: Exchange,
    answer: Relayed,
    { recorder, settings }: { readonly recorder: Recorder; readonly settings: AnswerSettings },
    holding: Holding,
  ) {
    this.#exchange = exchange;
    this.#response = exchange.response;
    this.#answer = answer;
    this.#recorder = recorder;
    this.#settings = settings;
    this.#holding = holding;
    this.over = new Promise((resolve) => {
      this.#finished = resolve;
    });
  }

  /** From now on, a hang-up of the caller ends the call; at once if they are already gone. */
  listen(): void {
    this.#stopListening = onHangUp(this.#exchange, () => this.#closed());
  }

  /** Nothing of the call was sent, and it is carried on elsewhere: it does not end here. */
  leave(): void {
    this.isSettled = true;
    this.#stopListening?.();
  }

  /** The model server has sent everything; `last` is the unsent rest. What remains is the reader's time. */
  answered(outcome: Outcome, last: Buffer): void {
    if (this.isAnswered || this.isSettled) return;
    this.isAnswered = true;
    const { delivery } = this.#answer;
    let rest = last;
    if (delivery.isBehind) {
      if (delivery.send(last) === 'dropped') {
        this.fail(new GatewayError('reader_stalled'));
        return;
      }
      rest = nothing;
    }
    if (delivery.waitingBytes > 0) {
      this.#holding.releaseServer('keep');
      endTurn(this.#exchange, this.#recorder.nowMs());
    }
    delivery.end((sendLast) => this.#complete(outcome, sendLast), rest);
  }

  /** The answer is an error after the gateway sent a stream's head: it is sent in a frame, and the connection ends. */
  answeredInFrame(frame: Buffer): void {
    if (this.#answer.delivery.send(frame) === 'dropped') {
      this.fail(new GatewayError('reader_stalled'));
      return;
    }
    this.#conclude({ outcome: 'upstream_error', status: this.#answer.status }, 'cut');
    cutOffAfter(this.#response);
  }

  /** Reports the failure: in an ordinary refusal, or in the last frame of an answer that has begun. */
  fail(error: GatewayError, outcome: Outcome = error.owner === 'upstream' ? 'failed' : 'ended'): void {
    if (this.isSettled) return;
    this.#exchange.meter?.end();
    // The body of a refusal is small: reading it to its end keeps the connection.
    const end = outcome === 'upstream_error' ? 'cut-later' : 'cut';
    if (!this.#response.headersSent) {
      refuse(this.#conclude({ outcome, status: error.status, error }, end), error, this.#settings);
      return;
    }
    const { delivery, status } = this.#answer;
    // An incomplete last line is still sent; it contains no error.
    if (error.code !== 'reader_stalled') delivery.send(this.#answer.cut());
    delivery.passRest(error);
    this.#conclude({ outcome, status: status || 200, error }, end);
    delivery.breakOff(error);
  }

  #closed(): void {
    if (this.isSettled) return;
    const { delivery, status } = this.#answer;
    const { meter } = this.#exchange;
    const isWhole = meter?.end() === true;
    // Clients disconnect at the end mark or at an error, before the last bytes of the framing: they have the whole answer.
    if (this.#answer.isStreamed && isWhole && delivery.waitingBytes === 0) {
      if (meter.errorSeen) this.#conclude({ outcome: 'upstream_error', status }, 'cut');
      else this.#conclude({ outcome: 'completed', status }, 'keep');
      return;
    }
    delivery.give();
    const error = new GatewayError('client_closed');
    const sentStatus = this.#response.headersSent ? status || 200 : error.status;
    this.#conclude({ outcome: 'client_closed', status: sentStatus, error }, 'cut');
  }

  /** The answer is complete except for its last piece, which is sent once the record is written. */
  #complete(outcome: Outcome, sendLast: () => void): void {
    this.isSettled = true;
    this.#stopListening?.();
    settleSoon(this.#exchange, { outcome, status: this.#answer.status }, this.#recorder, (settled) => {
      sendLast();
      this.#finished(settled);
    });
    this.#holding.releaseServer(outcome === 'completed' ? 'keep' : 'cut');
  }

  #conclude(ending: Ending, end: ConnectionEnd): Settled {
    this.isSettled = true;
    this.#stopListening?.();
    const settled = settle(this.#exchange, ending, this.#recorder);
    this.#holding.releaseServer(end);
    this.#finished(settled);
    return settled;
  }
}
