// Reads the whole body of a request into memory, bounded in size and time, and in what all callers together may hold.
import type { Transform } from 'node:stream';
import { GatewayError } from '../../domain/error.ts';
import type { Exchange } from '../exchange.ts';
import { type BodyLimits, continueIfAsked } from './body.ts';
import type { Holder } from './body-budget.ts';
import { Pieces } from './chunk-buffer.ts';
import { type Coding, freelyUnfolded, mostUnfolding } from './content-coding.ts';

/**
 * `holder` is whose share of the budget it takes. A caller that waits for `100 Continue` gets it here and not before: until now
 * everything could still be refused without reading a byte. What comes in a coding is unfolded as it comes, within the same limits.
 * @throws GatewayError `body_too_large`, `bodies_too_many`, `request_timeout`, `client_closed`, `invalid_request`.
 */
export function readBody(
  exchange: Exchange,
  holder: Holder | undefined,
  limits: BodyLimits,
  coding?: Coding,
): Promise<Buffer> {
  const { request, response } = exchange;
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limits.bodyBytes) return Promise.reject(new GatewayError('body_too_large'));
  const room = coding?.roomBytes ?? 0;
  if (room > 0 && !limits.budget.take(room, holder, exchange.network))
    return Promise.reject(new GatewayError('bodies_too_many'));
  continueIfAsked(exchange, response);
  return new Promise((resolve, reject) => {
    const reading = new BodyReading(exchange, holder, limits, { resolve, reject });
    if (coding) reading.unfold(coding.open(), room);
    else reading.take();
  });
}

interface Outcome {
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: GatewayError) => void;
}

/** A body on its way in. */
class BodyReading {
  readonly #exchange: Exchange;
  readonly #holder: Holder | undefined;
  readonly #limits: BodyLimits;
  readonly #outcome: Outcome;
  readonly #timer: NodeJS.Timeout;
  /** Let go of when it is over: the listeners live as long as the request does. */
  #pieces: Pieces | undefined = new Pieces();
  /** Undoes a coding, in room of its own. */
  #decoder: Transform | undefined;
  #room = 0;
  /** Bytes that came, in their coding. */
  #came = 0;

  constructor(exchange: Exchange, holder: Holder | undefined, limits: BodyLimits, outcome: Outcome) {
    this.#exchange = exchange;
    this.#holder = holder;
    this.#limits = limits;
    this.#outcome = outcome;
    this.#timer = setTimeout(() => this.#fail(new GatewayError('request_timeout')), limits.bodyTimeoutMs);
    const onClose = (): void => this.#close();
    exchange.request.on('close', onClose).on('error', onClose);
  }

  /** As it comes. */
  take(): void {
    this.#exchange.request
      .on('data', (chunk: Buffer) => {
        this.#came += chunk.length;
        this.#hold(chunk);
      })
      .on('end', () => this.#end());
  }

  /** Through a decoder, whose room was taken from the budget. */
  unfold(decoder: Transform, room: number): void {
    this.#decoder = decoder;
    this.#room = room;
    decoder
      .on('data', (chunk: Buffer) => {
        if (!this.#pieces) return;
        if (this.#pieces.length + chunk.length > Math.max(freelyUnfolded, mostUnfolding * this.#came))
          this.#fail(unfolds());
        else this.#hold(chunk);
      })
      .on('end', () => this.#end())
      .on('error', () => this.#fail(miscoded()));
    const { request } = this.#exchange;
    request.on('data', (chunk: Buffer) => {
      this.#came += chunk.length;
    });
    request.pipe(decoder);
  }

  #hold(chunk: Buffer): void {
    const pieces = this.#pieces;
    if (!pieces) return;
    const exchange = this.#exchange;
    const { bodyBytes, budget } = this.#limits;
    if (pieces.length + chunk.length > bodyBytes) this.#fail(new GatewayError('body_too_large'));
    else if (!budget.take(chunk.length, this.#holder, exchange.network))
      this.#fail(new GatewayError('bodies_too_many'));
    else {
      exchange.heldBytes += chunk.length;
      exchange.heldBy = this.#holder;
      pieces.add(chunk);
    }
  }

  /** Comes after every request; an error object with its stack for each would cost more than the whole reading. */
  #close(): void {
    // What is all here may still be unfolding.
    const unfoldsStill = this.#decoder !== undefined && this.#exchange.request.readableEnded;
    if (this.#pieces && !unfoldsStill) this.#fail(new GatewayError('client_closed'));
  }

  #end(): void {
    const pieces = this.#finish();
    if (pieces) this.#outcome.resolve(pieces.bytes());
  }

  #fail(error: GatewayError): void {
    if (!this.#finish()) return;
    const exchange = this.#exchange;
    // The pieces are gone. Kept until the refusal is read, their room would have the account's other bodies refused too.
    this.#limits.budget.give(exchange.heldBytes, this.#holder, exchange.network);
    exchange.heldBytes = 0;
    exchange.request.pause();
    this.#outcome.reject(error);
  }

  /** What was read, once; undefined where it is over already. */
  #finish(): Pieces | undefined {
    const pieces = this.#pieces;
    if (!pieces) return undefined;
    this.#pieces = undefined;
    clearTimeout(this.#timer);
    this.#exchange.bytesIn = this.#came;
    const decoder = this.#decoder;
    if (decoder) {
      this.#exchange.request.unpipe(decoder);
      decoder.destroy();
      this.#limits.budget.give(this.#room, this.#holder, this.#exchange.network);
    }
    return pieces;
  }
}

const unfolds = (): GatewayError =>
  new GatewayError('body_too_large', { message: `The body is more than ${mostUnfolding} times what was sent.` });

const miscoded = (): GatewayError =>
  new GatewayError('invalid_request', { message: 'The body is not exactly one piece of what Content-Encoding says.' });
