// Sends an answer to its reader. While the reader keeps up, every piece is sent at once. For inference, the rest is
// kept in a bounded backlog charged to a budget, so a slow reader never slows the model server (ollama#17131); other
// operations use ordinary back-pressure. The ledger row is written before the last piece is sent, so an answer that was
// received is recorded even if the process is killed. An incomplete answer never ends like a complete one.
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
  /** The most bytes of an answer that may wait for a slow reader before it is dropped. */
  readonly readerBufferBytes: number;
  /** The budget for the backlogs of all answers. */
  readonly answers: BodyBudget;
}

/** What is read of the call. */
type Delivered = Pick<Routed, 'metering' | 'operation'>;

/** Makes the record of a complete answer, and calls back once it is written. */
export type Conclude = (then: () => void) => void;

/** `sent`: sent or kept. `full`: sent, but the model server should pause. `dropped`: there was no room. */
export type Fate = 'sent' | 'full' | 'dropped';

export class Delivery {
  readonly #exchange: Exchange;
  /** The account whose share of the budget the backlog uses. */
  readonly #holder: Holder | undefined;
  readonly #settings: DeliverySettings;
  /** Never applies back-pressure to the model server. */
  readonly #eager: boolean;
  readonly #onDrain: () => void;
  #backlog: Backlog | undefined;
  /** The response accepts no more until it has drained. */
  #blocked = false;
  /** The head announced the length of the body. */
  #counted = false;
  #conclude: Conclude | undefined;
  /** The last two bytes sent, to know whether the next frame would begin in mid-line. */
  #tail = 0;

  /** `onDrain`: the reader has caught up. */
  constructor(exchange: Exchange, { metering, operation }: Delivered, settings: DeliverySettings, onDrain: () => void) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#holder = answersOf(metering);
    this.#eager = operation.time === 'inference';
    this.#onDrain = onDrain;
  }

  /** Bytes that wait for the reader, besides those that the response itself buffers. */
  get waitingBytes(): number {
    return this.#backlog?.bytes ?? 0;
  }

  /** @throws if Node rejects the head. */
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

  /** The reader has not taken everything yet; new pieces wait. */
  get isBehind(): boolean {
    return this.#blocked || this.waitingBytes > 0;
  }

  /**
   * Nothing follows `last`, which is empty if the reader is behind. `conclude` is called once, before the last piece is
   * sent; at once if nothing waits.
   */
  end(conclude: Conclude, last: Buffer): void {
    if (this.waitingBytes > 0) this.#conclude = conclude;
    else this.#endWith(conclude, last);
  }

  /** Sends the last piece once the row, which counts it, is written. */
  #endWith(conclude: Conclude, last: Buffer): void {
    this.#exchange.bytesOut += last.length;
    conclude(() => endWith(this.#exchange, last.length > 0 ? last : undefined, this.#settings.readerStallMs));
  }

  /** Sends or drops the backlog, before the row with the number of sent bytes is written. */
  passRest(error: GatewayError): void {
    this.#conclude = undefined;
    // A caller whose access was revoked gets nothing of the backlog.
    if (takesAway(error) || !this.#mayTell(error)) this.give();
    for (let piece = this.#backlog?.take(); piece; piece = this.#backlog?.take()) this.#pass(piece);
  }

  #mayTell({ code }: GatewayError): boolean {
    return code !== 'reader_stalled' && this.#exchange.streamed && !this.#counted;
  }

  /**
   * Ends an answer that has begun and is incomplete. Only a stream with chunked coding, or one that ends with its
   * connection, can carry an error frame: in a counted body, the gateway's bytes would be taken for the model server's.
   * Call after `passRest`.
   */
  breakOff(error: GatewayError): void {
    if (!this.#mayTell(error)) {
      cutOff(this.#exchange.response);
      return;
    }
    const midLine = this.#exchange.bytesOut > 0 && !this.isAtBoundary;
    breakOff(this.#exchange, error, midLine);
  }

  /** Whether an error frame could begin here. */
  get isAtBoundary(): boolean {
    return this.#exchange.frames.endWith(this.#tail);
  }

  /** Drops the backlog. */
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
