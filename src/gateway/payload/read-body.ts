// Reads a whole request body into memory, bounded in size, in time, and in the total that all callers may hold.
import process from 'node:process';
import type { Transform } from 'node:stream';
import { GatewayError } from '../../domain/error.ts';
import type { Exchange } from '../exchange.ts';
import { type BodyLimits, continueIfAsked } from './body.ts';
import type { Holder } from './body-budget.ts';
import { Pieces } from './chunk-buffer.ts';
import { type Coding, freelyUnfolded, mostUnfolding } from './content-coding.ts';

/**
 * Sends `100 Continue` if the caller waits for it: until now, the request could be refused without reading a byte. An
 * encoded body is decoded while it arrives, within the same limits. `holder`: the account whose share of the budget it
 * uses.
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
  // The caller has left while the call was checked, and its stream has told that already.
  if (request.destroyed) return Promise.reject(new GatewayError('client_closed'));
  if (declared > limits.bodyBytes) return Promise.reject(new GatewayError('body_too_large'));
  const room = coding?.roomBytes ?? 0;
  if (room > 0 && !limits.budget.take(room, holder, exchange.network))
    return Promise.reject(new GatewayError('bodies_too_many'));
  continueIfAsked(exchange, response);
  return new Promise((resolve, reject) => {
    const reading = new BodyReading(exchange, holder, limits, { resolve, reject });
    if (coding) reading.unfold(coding.open(), room);
    else reading.take();
    // Most bodies arrive with their head: what the listeners get before this needs no time limit.
    process.nextTick(limitTime, reading, declared);
  });
}

interface Outcome {
  readonly resolve: (body: Buffer) => void;
  readonly reject: (error: GatewayError) => void;
}

/** A body while it is read. */
class BodyReading {
  readonly #exchange: Exchange;
  readonly #holder: Holder | undefined;
  readonly #limits: BodyLimits;
  readonly #outcome: Outcome;
  #timer: NodeJS.Timeout | undefined;
  /** Released at the end, because the listeners live as long as the request. */
  #pieces: Pieces | undefined = new Pieces();
  /** Decodes the body, in memory reserved for it. */
  #decoder: Transform | undefined;
  #room = 0;
  /** Bytes received, before decoding. */
  #receivedBytes = 0;

  constructor(exchange: Exchange, holder: Holder | undefined, limits: BodyLimits, outcome: Outcome) {
    this.#exchange = exchange;
    this.#holder = holder;
    this.#limits = limits;
    this.#outcome = outcome;
    const onClose = (): void => this.#close();
    exchange.request.on('close', onClose).on('error', onClose);
  }

  /** `declaredBytes`: the length of the body; 0 if the head does not say it. */
  limitTime(declaredBytes: number): void {
    const isHere = this.#exchange.request.complete || (declaredBytes > 0 && this.#receivedBytes === declaredBytes);
    if (!this.#pieces || isHere) return;
    this.#timer = setTimeout(() => this.#fail(new GatewayError('request_timeout')), this.#limits.bodyTimeoutMs);
  }

  take(): void {
    this.#exchange.request
      .on('data', (chunk: Buffer) => {
        this.#receivedBytes += chunk.length;
        this.#hold(chunk);
      })
      .on('end', () => this.#end());
  }

  /** Reads through a decoder, whose memory is reserved in the budget. */
  unfold(decoder: Transform, room: number): void {
    this.#decoder = decoder;
    this.#room = room;
    decoder
      .on('data', (chunk: Buffer) => {
        if (!this.#pieces) return;
        if (this.#pieces.length + chunk.length > Math.max(freelyUnfolded, mostUnfolding * this.#receivedBytes))
          this.#fail(unfoldsTooMuch());
        else this.#hold(chunk);
      })
      .on('end', () => this.#end())
      .on('error', () => this.#fail(miscoded()));
    const { request } = this.#exchange;
    request.on('data', (chunk: Buffer) => {
      this.#receivedBytes += chunk.length;
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

  /** 'close' follows every request; an error with a stack for each would cost more than reading the body. */
  #close(): void {
    // A body that has fully arrived may still be decoding.
    const isDecoding = this.#decoder !== undefined && this.#exchange.request.readableEnded;
    if (this.#pieces && !isDecoding) this.#fail(new GatewayError('client_closed'));
  }

  #end(): void {
    const pieces = this.#finish();
    if (pieces) this.#outcome.resolve(pieces.bytes());
  }

  #fail(error: GatewayError): void {
    if (!this.#finish()) return;
    const exchange = this.#exchange;
    // The pieces are dropped, so return their room now: until the refusal is read, it would block the account's other
    // bodies.
    this.#limits.budget.give(exchange.heldBytes, this.#holder, exchange.network);
    exchange.heldBytes = 0;
    exchange.request.pause();
    this.#outcome.reject(error);
  }

  /** Returns what was read; undefined if the reading has already ended. */
  #finish(): Pieces | undefined {
    const pieces = this.#pieces;
    if (!pieces) return undefined;
    this.#pieces = undefined;
    clearTimeout(this.#timer);
    this.#exchange.bytesIn = this.#receivedBytes;
    const decoder = this.#decoder;
    if (decoder) {
      this.#exchange.request.unpipe(decoder);
      decoder.destroy();
      this.#limits.budget.give(this.#room, this.#holder, this.#exchange.network);
    }
    return pieces;
  }
}

const limitTime = (reading: BodyReading, declaredBytes: number): void => reading.limitTime(declaredBytes);

const unfoldsTooMuch = (): GatewayError =>
  new GatewayError('body_too_large', {
    message: `The decoded body is more than ${mostUnfolding} times what was sent.`,
  });

const miscoded = (): GatewayError =>
  new GatewayError('invalid_request', { message: 'The body is not exactly one stream in the given Content-Encoding.' });
