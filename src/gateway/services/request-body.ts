// The body of a call to a published service: streamed from the caller to the service at the slower one's pace, counted, and
// bounded to the byte. Trailers are dropped (RFC 9110 §6.5.1).
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { GatewayError } from '../../domain/error.ts';
import type { ServiceRoute } from '../../domain/service-route.ts';
import type { Operation } from '../dialects/dialect.ts';
import { isPublished } from './published.ts';

/** Whether the request has a body, perhaps an empty one. */
export const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** Whether it is a call of a service, whose body is not read here. @throws GatewayError as `refuseBody`. */
export function streamsBody(operation: Operation, request: IncomingMessage): boolean {
  if (!isPublished(operation)) return false;
  refuseBody(operation.service.route, request);
  return true;
}

/** @throws GatewayError `body_too_large`, or `invalid_request` for a body of GET or HEAD, which servers frame differently. */
function refuseBody({ bodyBytes }: ServiceRoute, request: IncomingMessage): void {
  if (!hasBody(request)) return;
  if (request.method === 'GET' || request.method === 'HEAD')
    throw new GatewayError('invalid_request', { message: 'A GET or HEAD request to a service has no body.' });
  if (bodyBytes === 0 || Number(request.headers['content-length'] ?? 0) > bodyBytes) throw tooLarge(bodyBytes);
}

const tooLarge = (most: number): GatewayError =>
  new GatewayError('body_too_large', { message: `This service takes bodies of up to ${most} bytes.` });

const unsent = (): GatewayError =>
  new GatewayError('request_timeout', { message: 'The request body stopped arriving.' });

const unread = (): GatewayError => new GatewayError('upstream_timeout', { message: 'The service stopped reading.' });

/** Takes nothing from the request before the service's connection asks for it. */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage;
  readonly #most: number;
  readonly #idleMs: number;
  readonly #onBytes: (count: number) => void;
  #count = 0;
  #listens = false;
  /** The service takes no more at the moment. */
  #isHeld = false;
  #timer: NodeJS.Timeout | undefined;

  /** `onBytes`: called with the length of each piece that goes on. */
  constructor(request: IncomingMessage, most: number, idleMs: number, onBytes: (count: number) => void) {
    super({ highWaterMark: 64 * 1024 });
    this.#request = request;
    this.#most = most;
    this.#idleMs = idleMs;
    this.#onBytes = onBytes;
  }

  /** Whether any of the body was taken from the request. */
  get isUsed(): boolean {
    return this.#listens;
  }

  override _read(): void {
    if (!this.#listens) this.#listen();
    if (this.#isHeld) this.#timer?.refresh();
    this.#isHeld = false;
    this.#request.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    this.#request
      .off('data', this.#onData)
      .off('end', this.#onEnd)
      .off('error', this.#onGone)
      .off('close', this.#onGone);
    if (this.#listens && !this.#request.destroyed) this.#request.pause();
    callback(error);
  }

  #listen(): void {
    this.#listens = true;
    this.#timer = setTimeout(() => this.destroy(this.#isHeld ? unread() : unsent()), this.#idleMs);
    this.#request.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onGone).on('close', this.#onGone);
  }

  readonly #onData = (piece: Buffer): void => {
    this.#count += piece.length;
    this.#timer?.refresh();
    if (this.#count > this.#most) {
      this.destroy(tooLarge(this.#most));
      return;
    }
    this.#onBytes(piece.length);
    if (this.push(piece)) return;
    this.#isHeld = true;
    this.#request.pause();
  };

  readonly #onEnd = (): void => {
    clearTimeout(this.#timer);
    this.push(null);
  };

  readonly #onGone = (): void => {
    if (!this.#request.complete) this.destroy(new GatewayError('client_closed'));
  };
}
