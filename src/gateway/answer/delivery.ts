// Brings an answer to its reader. While the reader keeps up, every piece goes straight on. Of an inference the rest is
// kept in a backlog that is bounded and paid for, so that no reader makes a model server wait (ollama#17131); of everything
// else the model server gets ordinary back-pressure. The row of the ledger is written before the last piece goes, so that
// no kill can lose an answer that somebody got; and an answer that is not complete never ends as if it were.
import type { GatewayError } from '../../domain/error.ts';
import type { Exchange } from '../exchange.ts';
import { answersOf } from '../limits/account-usage.ts';
import { Backlog } from '../payload/backlog.ts';
import type { BodyBudget, Holder } from '../payload/body-budget.ts';
import { type AnswerSettings, breakOff, takesAway } from '../refuse.ts';
import type { Routed } from '../route.ts';
import { cutOff } from './cut-off.ts';
import { endWith } from './unread.ts';

export interface DeliverySettings extends AnswerSettings {
  /** Bytes of an answer that may wait for a slow reader before it is dropped. */
  readonly readerBufferBytes: number;
  /** What the backlogs of all answers are paid from. */
  readonly answers: BodyBudget;
}

/** Makes the record of an answer that is complete, and calls back once it is written. */
export type Conclude = (then: () => void) => void;

/** What becomes of a piece: on its way, kept, waiting for the reader (the model server is to pause), or without room. */
export type Fate = 'sent' | 'full' | 'dropped';

export class Delivery {
  readonly #exchange: Exchange;
  /** Whose share of the budget the backlog takes. */
  readonly #holder: Holder | undefined;
  readonly #settings: DeliverySettings;
  /** The model server is never made to wait. */
  readonly #eager: boolean;
  readonly #onDrain: () => void;
  #backlog: Backlog | undefined;
  /** The response takes no more until it has drained. */
  #blocked = false;
  /** The head said how many bytes there will be. */
  #counted = false;
  #conclude: Conclude | undefined;
  /** The last two bytes that went out, to know whether a frame of ours would begin in mid-line. */
  #tail = 0;

  /** `onDrain`: the reader has caught up. */
  constructor(exchange: Exchange, { metering, operation }: Routed, settings: DeliverySettings, onDrain: () => void) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#holder = answersOf(metering);
    this.#eager = operation.time === 'inference';
    this.#onDrain = onDrain;
  }

  /** Bytes that wait for the reader, beside those that the response itself holds. */
  get waitingBytes(): number {
    return this.#backlog?.bytes ?? 0;
  }

  /** @throws where Node does not take the head. */
  begin(status: number, lines: string[]): void {
    this.#counted = lines.includes('content-length');
    this.#exchange.response.writeHead(status, lines);
  }

  send(bytes: Buffer): Fate {
    if (bytes.length === 0) return 'sent';
    if (this.#blocked && this.#eager) return this.#keep(bytes) ? 'sent' : 'dropped';
    if (this.#write(bytes) || this.#eager) return 'sent';
    return 'full';
  }

  /** The reader has not taken all yet, and what comes now waits behind it. */
  get isBehind(): boolean {
    return this.#blocked || this.waitingBytes > 0;
  }

  /**
   * Nothing comes after `last`, which is empty where the reader is behind. `conclude` is called once, before the last piece
   * goes; now, where nothing waits.
   */
  end(conclude: Conclude, last: Buffer): void {
    if (this.waitingBytes > 0) this.#conclude = conclude;
    else this.#endWith(conclude, last);
  }

  /** The last piece goes when the row is written, which counts it. */
  #endWith(conclude: Conclude, last: Buffer): void {
    this.#exchange.bytesOut += last.length;
    conclude(() => endWith(this.#exchange, last.length > 0 ? last : undefined, this.#settings.readerStallMs));
  }

  /** What was kept goes out or is let go of, before the row is written that says how many bytes went. */
  passRest(error: GatewayError): void {
    this.#conclude = undefined;
    // Somebody who may not any more gets nothing of what was kept for them.
    if (takesAway(error) || !this.#mayTell(error)) this.give();
    for (let piece = this.#backlog?.take(); piece; piece = this.#backlog?.take()) this.#pass(piece);
  }

  #mayTell({ code }: GatewayError): boolean {
    return code !== 'reader_stalled' && this.#exchange.streamed && !this.#counted;
  }

  /**
   * Ends an answer that has begun and is not complete. Only a stream under chunked coding, or one that ends with its
   * connection, can be told why: a byte of ours in a counted body would pass for one of the model server's. To be called after `passRest`.
   */
  breakOff(error: GatewayError): void {
    if (!this.#mayTell(error)) {
      cutOff(this.#exchange.response);
      return;
    }
    const midLine = this.#exchange.bytesOut > 0 && !this.isAtBoundary;
    breakOff(this.#exchange, error, midLine);
  }

  /** Would a frame of ours begin where one can? */
  get isAtBoundary(): boolean {
    return this.#exchange.frames.endWith(this.#tail);
  }

  /** Gives back what is held. */
  give(): void {
    this.#backlog?.clear();
  }

  #keep(bytes: Buffer): boolean {
    this.#backlog ??= new Backlog(this.#settings.answers, this.#holder);
    return this.#backlog.bytes + bytes.length <= this.#settings.readerBufferBytes && this.#backlog.add(bytes);
  }

  #write(bytes: Buffer): boolean {
    if (this.#pass(bytes)) return true;
    if (!this.#blocked) this.#exchange.response.once('drain', () => this.#drained());
    this.#blocked = true;
    return false;
  }

  #pass(bytes: Buffer): boolean {
    this.#exchange.bytesOut += bytes.length;
    this.#tail =
      bytes.length > 1 ? bytes.readUInt16BE(bytes.length - 2) : ((this.#tail << 8) | (bytes[0] as number)) & 0xffff;
    return this.#exchange.response.write(bytes);
  }

  #drained(): void {
    this.#blocked = false;
    for (let piece = this.#backlog?.take(); piece; piece = this.#backlog?.take()) {
      if (this.waitingBytes === 0 && this.#conclude) {
        this.#endWith(this.#conclude, piece);
        this.#conclude = undefined;
        return;
      }
      if (!this.#write(piece)) return;
    }
    this.#onDrain();
  }
}
