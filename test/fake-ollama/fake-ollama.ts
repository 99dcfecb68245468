// A model server that follows the recorded fixtures to the byte: a real HTTP server on node:http, without a framework that
// would add its own behaviour. By default it answers every route as answers.ts says; a test may script the next answer:
// stall, reset in mid-line, omit the end, send garbage.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import process from 'node:process';
import { freePort } from '../free-ports.ts';
import { defaultAnswer } from './answers.ts';
import { type Answer, openExchange, type RecordedRequest, unreadable } from './exchange.ts';

export type { Answer } from './exchange.ts';

/** A model with only a name and a location is bare; see isBare. */
export interface FakeModel {
  readonly name: string;
  /** Served by another server, under `remoteModel` if that is another name. */
  readonly remoteHost?: string;
  readonly remoteModel?: string;
  readonly family?: string;
  readonly parameterSize?: string;
  readonly quantization?: string;
  readonly capabilities?: readonly string[];
  readonly sizeBytes?: number;
  readonly digest?: string;
  /** As Go writes a time. */
  readonly modifiedAt?: string;
  /** False: embedding fails as it did on the recorded server, whose runner could not do it. */
  readonly embeds?: boolean;
  /** False: /api/ps does not list it until a call has had it loaded. */
  readonly loaded?: boolean;
  /** The context size it is loaded with. */
  readonly contextLength?: number;
  /** What /api/show returns instead of the recorded parameters. */
  readonly parameters?: string;
}

/** A request as the journeys read it: like RecordedRequest, but with header pairs and a body to wait for. */
export interface FakeRequest {
  readonly method: string;
  /** The raw request target. */
  readonly url: string;
  /** Header lines as they came, [name, value]. */
  readonly rawHeaders: readonly [string, string][];
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** Resolves with the whole body; never, if it is cut short. */
  readonly body: Promise<Buffer>;
  /** Resolves when the connection closes before this answer was finished. */
  readonly aborted: Promise<void>;
  readonly state: { readonly aborted: boolean; readonly finished: boolean };
  readonly recorded: RecordedRequest;
}

export type Script = (request: FakeRequest, answer: Answer, fake: FakeOllama) => void | Promise<void>;
type Match = (request: FakeRequest) => boolean;
/** What a generation waits for before it sends a piece. */
export type Pace = (index: number, request: FakeRequest) => Promise<unknown> | undefined;

/** One piece at once, and no other before the caller has left. */
export const onePieceUntilLeft: Pace = (index, { aborted }) => (index === 0 ? undefined : aborted);

export interface FakeOptions {
  readonly port?: number;
  readonly host?: string;
  /** Before each piece of a generation. */
  readonly pieceDelayMs?: number;
}

export class FakeOllama {
  readonly requests: FakeRequest[] = [];
  models: FakeModel[] = [
    { name: 'gemma3:270m', family: 'gemma3', capabilities: ['completion'] },
    { name: 'llama3:latest', family: 'llama', parameterSize: '8.0B', capabilities: ['completion', 'tools'] },
  ];
  /** The pieces of a generation, one chunk each. */
  pieces: readonly string[] = ['空', 'が', '青い', 'の', 'は', '、', 'レイリー', '散乱', 'の', 'ため', 'です', '。'];
  pieceDelayMs = 0;
  /** Undefined: pieces are sent as fast as they are read, or every `pieceDelayMs`. */
  pace: Pace | undefined;
  /** Replaces a tokenizer: the same prompt always has the same count. */
  countPrompt = (prompt: unknown): number => 8 + JSON.stringify(prompt ?? '').split(/\s+/).length;
  /** Tokens it reported, and pieces it generated for answers that were cut. */
  readonly totals = { promptTokens: 0, completionTokens: 0 };
  /** Digests, with the length of the upload. */
  readonly blobs = new Map<string, number>();
  /** What /api/status answers; the recorded server was started with a disabled cloud. */
  cloud = { disabled: true, source: 'env' };
  /** If set, a pull gets as far as the registry and then fails with this. */
  pullError: string | undefined;

  /** What a load waits for; if that rejects, the load fails with its message. Undefined: it is done at once. */
  loading: ((model: string) => Promise<unknown> | undefined) | undefined;
  /** Loads that have begun, in order, and how each went. */
  readonly loads: { readonly model: string; state: 'runs' | 'done' | 'failed' | 'given up' }[] = [];
  /** Models that are in memory although they are not `loaded`, with the contexts that their loads asked for. */
  readonly inMemory = new Map<string, number | undefined>();

  readonly #server = createServer(
    // As Go: no time limits, a head of up to 1 MB. Node would close idle connections and cut slow uploads.
    { keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 1 << 20, noDelay: true },
    (message, response) => this.#serve(message, response),
  );
  readonly #scripts: { script: Script; match: Match }[] = [];
  readonly #waiting: { match: Match; resolve: (request: FakeRequest) => void }[] = [];

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get host(): string {
    return (this.#server.address() as AddressInfo).address;
  }

  get url(): string {
    return `http://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`;
  }

  /** All requests except the gate's own probes. */
  get calls(): FakeRequest[] {
    return this.requests.filter((request) => !isProbe(request));
  }

  /** The next matching request is answered by this script. */
  next(script: Script, match: Match = (request) => !isProbe(request)): void {
    this.#scripts.push({ script, match });
  }

  /** The next matching request from now on, as soon as its head has arrived. */
  arrival(match: Match = (request) => !isProbe(request)): Promise<FakeRequest> {
    return new Promise((resolve) => this.#waiting.push({ match, resolve }));
  }

  /** A port that nobody is given while it is closed, unless one is named. */
  async listen(port?: number, host = '127.0.0.1'): Promise<this> {
    const own = port ?? (await freePort());
    this.#server.on('connection', (socket: Socket) => socket.setMaxListeners(0));
    this.#server.on('clientError', (error: Error & { code?: string; rawPacket?: Buffer }, socket: Socket) => {
      // A head that node refuses has still arrived: a test that counts calls must not miss it.
      if (error.rawPacket && error.code?.startsWith('HPE_') && error.code !== 'HPE_INVALID_EOF_STATE')
        this.#note(asFakeRequest(unreadable(error.rawPacket)));
      if (socket.writable)
        socket.write(
          'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request',
        );
      socket.destroySoon();
    });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(own, host, () => resolve(this));
    });
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  #serve(message: IncomingMessage, response: ServerResponse): void {
    const opened = openExchange(message, response);
    const request = asFakeRequest(opened.request);
    this.#note(request);
    const index = this.#scripts.findIndex(({ match }) => match(request));
    const script = this.#scripts.splice(index, index < 0 ? 0 : 1)[0]?.script ?? defaultAnswer;
    void (async () => {
      try {
        await script(request, opened.answer, this);
      } catch (error) {
        process.stderr.write(`fake-ollama: ${String(error)}\n`);
        message.socket.destroy();
      }
    })();
  }

  #note(request: FakeRequest): void {
    this.requests.push(request);
    for (const waiting of this.#waiting.filter(({ match }) => match(request))) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve(request);
    }
  }
}

export async function startFakeOllama(options: FakeOptions = {}): Promise<FakeOllama> {
  const fake = new FakeOllama();
  fake.pieceDelayMs = options.pieceDelayMs ?? 0;
  return fake.listen(options.port, options.host);
}

/** The gate's own requests have no caller whose headers it would forward. */
function isProbe({ method, url, headers }: FakeRequest): boolean {
  if (headers['via'] !== undefined) return false;
  if (url === '/api/tags') return method === 'GET';
  const isDetail = (method === 'GET' && url === '/api/ps') || (method === 'POST' && url === '/api/show');
  return isDetail && headers['user-agent'] === undefined;
}

function asFakeRequest(recorded: RecordedRequest): FakeRequest {
  const { method, url, headers, rawHeaders, bodyComplete, aborted } = recorded;
  const state = {
    get aborted() {
      return recorded.wasAborted;
    },
    get finished() {
      return recorded.finished;
    },
  };
  const pairs = rawHeaders.flatMap((name, i): [string, string][] =>
    i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? '']] : [],
  );
  return { method, url, headers, rawHeaders: pairs, body: bodyComplete, aborted, state, recorded };
}
