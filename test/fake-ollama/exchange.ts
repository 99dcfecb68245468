// One request as it arrived and the answer that a script may give to it, over node:http. A request is known once its head
// has arrived, before the body. Answers are written Go's way (the given headers, then Date, then the framing) without
// headers of node's own; a script may also write raw bytes, or break the connection.
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  /** The raw request target. */
  readonly url: string;
  /** Names and values in turn, as they came. */
  readonly rawHeaders: string[];
  /** By lower-case name; a repeated name has both values, joined by a comma. */
  readonly headers: Record<string, string>;
  /** The part of the body that has arrived so far. */
  readonly body: Buffer;
  /** Resolves with the whole body; never, if it is cut short. */
  readonly bodyComplete: Promise<Buffer>;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Resolves when the connection of this request closed before the answer was finished. */
  readonly aborted: Promise<void>;
  readonly wasAborted: boolean;
  readonly finished: boolean;
}

export type Headers = Readonly<Record<string, string | readonly string[]>>;

export interface Answer {
  /** Status line and headers; the framing is chunked unless a Content-Length is given or the answer has no body. */
  head(status: number, headers: Headers): void;
  /** One HTTP chunk, flushed; resolves when the system has taken it. Returns false if the reader is gone. */
  chunk(bytes: string | Uint8Array): Promise<boolean>;
  /** A whole answer with a length. */
  whole(status: number, headers: Headers, body: string | Uint8Array): void;
  /** The clean end. */
  end(): void;
  /** TCP reset. */
  reset(): void;
  /** FIN without finishing the answer. */
  hangUp(): void;
  /** Raw bytes on the socket. */
  raw(bytes: string | Uint8Array): void;
  /** Resolves when the connection is closed, finished or not. */
  readonly gone: Promise<void>;
}

export function openExchange(
  message: IncomingMessage,
  response: ServerResponse,
): { request: RecordedRequest; answer: Answer } {
  const { socket } = message;
  const request = new Arrived(message, socket);
  const answer = new Writing(request, response, socket, /\bclose\b/i.test(message.headers.connection ?? ''));
  return { request, answer };
}

/** What the parser refused to read as a request, so that a test can see that something arrived. */
export function unreadable(bytes: Buffer): RecordedRequest {
  return {
    method: '',
    url: '',
    rawHeaders: [],
    headers: {},
    body: bytes,
    bodyComplete: Promise.resolve(bytes),
    at: Date.now(),
    aborted: Promise.resolve(),
    wasAborted: true,
    finished: false,
  };
}

class Arrived implements RecordedRequest {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: string[];
  readonly headers: Record<string, string> = {};
  readonly at = Date.now();
  readonly bodyComplete: Promise<Buffer>;
  readonly aborted: Promise<void>;
  wasAborted = false;
  finished = false;
  #pieces: Buffer[] = [];

  constructor(message: IncomingMessage, socket: Socket) {
    this.method = message.method ?? '';
    this.url = message.url ?? '';
    this.rawHeaders = message.rawHeaders;
    for (let i = 0; i + 1 < this.rawHeaders.length; i += 2) {
      const name = (this.rawHeaders[i] ?? '').toLowerCase();
      const value = this.rawHeaders[i + 1] ?? '';
      this.headers[name] = name in this.headers ? `${this.headers[name]}, ${value}` : value;
    }
    message.on('data', (piece: Buffer) => this.#pieces.push(piece));
    message.on('error', () => undefined);
    this.bodyComplete = new Promise((resolve) => message.once('end', () => resolve(this.body)));
    this.aborted = new Promise((resolve) => {
      socket.once('close', () => {
        if (this.finished) return;
        this.wasAborted = true;
        resolve();
      });
    });
  }

  get body(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }
}

class Writing implements Answer {
  readonly gone: Promise<void>;
  readonly #request: Arrived;
  readonly #response: ServerResponse;
  readonly #socket: Socket;
  readonly #closes: boolean;

  constructor(request: Arrived, response: ServerResponse, socket: Socket, closes: boolean) {
    this.#request = request;
    this.#response = response;
    this.#socket = socket;
    this.#closes = closes;
    response.on('error', () => undefined);
    this.gone = new Promise((resolve) => socket.once('close', () => resolve()));
  }

  head(status: number, headers: Headers): void {
    this.#writeHead(status, headers);
    this.#response.flushHeaders();
  }

  chunk(bytes: string | Uint8Array): Promise<boolean> {
    if (this.#socket.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      // A response that still waits for its turn on the connection never calls back if the connection ends first.
      const gone = () => resolve(false);
      this.#socket.once('close', gone);
      this.#response.write(bytes, (error) => {
        this.#socket.off('close', gone);
        resolve(!error);
      });
    });
  }

  whole(status: number, headers: Headers, body: string | Uint8Array): void {
    const length = Buffer.byteLength(body);
    // Go gives no length to a body that must not exist, nor to a HEAD for which nothing was written.
    const counted = status !== 204 && status !== 304 && (length > 0 || this.#request.method !== 'HEAD');
    this.#writeHead(status, headers, counted ? String(length) : undefined);
    this.#request.finished = true;
    this.#response.end(body);
  }

  end(): void {
    this.#request.finished = true;
    this.#response.end();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }

  hangUp(): void {
    this.#socket.end();
  }

  raw(bytes: string | Uint8Array): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  #writeHead(status: number, headers: Headers, length?: string): void {
    // Once removed, node adds neither Connection nor Keep-Alive; Go writes the first only in order to close.
    this.#response.removeHeader('Connection');
    this.#response.sendDate = false;
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      [value].flat().flatMap((one: string) => [name, one]),
    );
    lines.push('Date', new Date().toUTCString());
    if (length !== undefined) lines.push('Content-Length', length);
    if (this.#closes) lines.push('Connection', 'close');
    this.#response.writeHead(status, STATUS_CODES[status] ?? 'Unknown', lines);
  }
}
