// A model server that follows the recorded fixtures to the byte: a real TCP server that reads HTTP/1.1 and writes each
// header line and chunk as Ollama does, without a framework that would add its own. By default it answers every route
// as answers.ts says; a test may script the next answer: stall, reset in mid-line, leave out the end, send rubbish.

import { STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { defaultAnswer } from './answers.ts';

export interface FakeModel {
  readonly name: string;
  readonly remoteHost?: string;
}

export interface FakeRequest {
  readonly method: string;
  /** The raw request target. */
  readonly url: string;
  /** Header lines as they came, [name, value]. */
  readonly rawHeaders: readonly [string, string][];
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Resolves with the body once it is there; never, where it is cut short. */
  readonly body: Promise<Buffer>;
  /** Resolves when the connection closes before this answer was finished. */
  readonly aborted: Promise<void>;
  readonly state: { aborted: boolean; finished: boolean };
}

export interface Answer {
  /** Status line and headers; framing is chunked unless a Content-Length is among them or the status has no body. */
  head(status: number, headers: Readonly<Record<string, string>>): void;
  /** One HTTP chunk, flushed; resolves when the system has taken it. Gives false where nobody is there any more. */
  chunk(bytes: string | Uint8Array): Promise<boolean>;
  /** A whole answer with a length. */
  whole(status: number, headers: Readonly<Record<string, string>>, body: string | Uint8Array): void;
  end(): void;
  /** TCP reset. */
  reset(): void;
  /** FIN without finishing the answer. */
  hangUp(): void;
  /** Bytes on the socket, beside all rules. */
  raw(bytes: string | Uint8Array): void;
}

export type Script = (request: FakeRequest, answer: Answer, fake: FakeOllama) => void | Promise<void>;
type Match = (request: FakeRequest) => boolean;

export class FakeOllama {
  readonly requests: FakeRequest[] = [];
  models: FakeModel[] = [{ name: 'gemma3:270m' }, { name: 'llama3:latest' }];
  /** What a generation says, one piece a chunk. */
  pieces: readonly string[] = ['空', 'が', '青い', 'の', 'は', '、', 'レイリー', '散乱', 'の', 'ため', 'です', '。'];
  pieceDelayMs = 0;
  /** Tokens it reported, and pieces it generated for answers that were cut. */
  readonly totals = { promptTokens: 0, completionTokens: 0 };
  readonly blobs = new Map<string, number>();

  readonly #server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  readonly #scripts: { script: Script; match: Match }[] = [];
  readonly #waiting: { match: Match; resolve: (request: FakeRequest) => void }[] = [];

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Requests but the gate's own looks at /api/tags. */
  get calls(): FakeRequest[] {
    return this.requests.filter((request) => !isProbe(request));
  }

  /** The next matching request is answered by this script. */
  next(script: Script, match: Match = (request) => !isProbe(request)): void {
    this.#scripts.push({ script, match });
  }

  /** The next matching request from now on, as soon as its head is there. */
  arrival(match: Match = (request) => !isProbe(request)): Promise<FakeRequest> {
    return new Promise((resolve) => this.#waiting.push({ match, resolve }));
  }

  listen(port = 0): Promise<this> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(port, '127.0.0.1', () => resolve(this));
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setMaxListeners(0);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => undefined);
    new Connection(socket, (request, answer) => {
      this.requests.push(request);
      for (const waiting of this.#waiting.filter(({ match }) => match(request))) {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        waiting.resolve(request);
      }
      const index = this.#scripts.findIndex(({ match }) => match(request));
      const script = index < 0 ? defaultAnswer : (this.#scripts.splice(index, 1)[0] as { script: Script }).script;
      void Promise.resolve(script(request, answer, this)).catch((error: unknown) => {
        process.stderr.write(`fake-ollama: ${String(error)}\n`);
        socket.destroy();
      });
    });
  }
}

export function startFakeOllama(): Promise<FakeOllama> {
  return new FakeOllama().listen();
}

function isProbe({ method, url, headers }: FakeRequest): boolean {
  return method === 'GET' && url === '/api/tags' && headers['via'] === undefined;
}

/** Reads requests off one socket, one after the other. */
class Connection {
  readonly #socket: Socket;
  readonly #onRequest: (request: FakeRequest, answer: Answer) => void;
  #bytes: Buffer = Buffer.alloc(0);
  #busy = false;
  #takeBody: (() => boolean) | undefined;

  constructor(socket: Socket, onRequest: (request: FakeRequest, answer: Answer) => void) {
    this.#socket = socket;
    this.#onRequest = onRequest;
    socket.on('data', (piece: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? piece : Buffer.concat([this.#bytes, piece]);
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#takeBody?.() === true) this.#takeBody = undefined;
    if (this.#busy || this.#takeBody) return;
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return;
    const [line = '', ...fields] = this.#bytes.toString('latin1', 0, end).split('\r\n');
    this.#bytes = this.#bytes.subarray(end + 4);
    const [method = '', url = ''] = line.split(' ');
    const rawHeaders = fields.map((field): [string, string] => [
      field.slice(0, field.indexOf(':')),
      field.slice(field.indexOf(':') + 1).trim(),
    ]);
    const headers = Object.fromEntries(rawHeaders.map(([name, value]) => [name.toLowerCase(), value]));
    this.#busy = true;
    const state = { aborted: false, finished: false };
    const aborted = new Promise<void>((resolve) => {
      this.#socket.once('close', () => {
        if (state.finished) return;
        state.aborted = true;
        resolve();
      });
    });
    const request: FakeRequest = { method, url, rawHeaders, headers, body: this.#readBody(headers), aborted, state };
    this.#onRequest(
      request,
      answerOn(this.#socket, method, state, () => {
        this.#busy = false;
        this.#advance();
      }),
    );
  }

  #readBody(headers: Readonly<Record<string, string>>): Promise<Buffer> {
    const length = Number(headers['content-length'] ?? 0);
    const chunked = headers['transfer-encoding'] === 'chunked';
    const chunks: Buffer[] = [];
    return new Promise((resolve) => {
      this.#takeBody = () => {
        if (!chunked) {
          if (this.#bytes.length < length) return false;
          resolve(this.#bytes.subarray(0, length));
          this.#bytes = this.#bytes.subarray(length);
          return true;
        }
        for (;;) {
          const line = this.#bytes.indexOf('\r\n');
          const size = line < 0 ? -1 : Number.parseInt(this.#bytes.toString('latin1', 0, line), 16);
          if (size < 0 || this.#bytes.length < line + size + 4) return false;
          chunks.push(this.#bytes.subarray(line + 2, line + 2 + size));
          this.#bytes = this.#bytes.subarray(line + size + 4);
          if (size === 0) {
            resolve(Buffer.concat(chunks));
            return true;
          }
        }
      };
      if (this.#takeBody()) this.#takeBody = undefined;
    });
  }
}

/** Writes Go's way: our headers, then Date, then the framing. */
function answerOn(socket: Socket, method: string, state: FakeRequest['state'], done: () => void): Answer {
  let chunked = false;
  const write = (bytes: string | Uint8Array): Promise<boolean> =>
    new Promise((resolve) => {
      if (socket.destroyed) resolve(false);
      else socket.write(bytes, (error) => resolve(!error));
    });
  const head = (status: number, headers: Readonly<Record<string, string>>): void => {
    const lines = Object.entries({ ...headers, Date: new Date().toUTCString() }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    const bodiless = method === 'HEAD' || status === 204 || status === 304;
    chunked = !bodiless && !Object.keys(headers).some((name) => name.toLowerCase() === 'content-length');
    if (chunked) lines.push('Transfer-Encoding: chunked');
    void write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n${lines.join('\r\n')}\r\n\r\n`);
  };
  const end = (): void => {
    state.finished = true;
    if (chunked) void write('0\r\n\r\n');
    done();
  };
  return {
    head,
    chunk: (bytes) => {
      const body = Buffer.from(bytes as string);
      return write(Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n')]));
    },
    whole: (status, headers, body) => {
      const bytes = Buffer.from(body as string);
      const lines = Object.entries({
        ...headers,
        Date: new Date().toUTCString(),
        'Content-Length': String(bytes.length),
      });
      const block = lines.map(([name, value]) => `${name}: ${value}`).join('\r\n');
      void write(
        Buffer.concat([
          Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Unknown'}\r\n${block}\r\n\r\n`),
          method === 'HEAD' ? Buffer.alloc(0) : bytes,
        ]),
      );
      state.finished = true;
      done();
    },
    end,
    reset: () => socket.resetAndDestroy(),
    hangUp: () => void socket.end(),
    raw: (bytes) => void write(bytes),
  };
}
