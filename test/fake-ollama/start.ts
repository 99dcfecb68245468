// The same fake with node's own view of a request: headers as a flat list, `body` as what has arrived so far, `bodyComplete`
// to wait for the rest, and every request matched, the gate's probes too. fake-ollama.ts is the older view that the journeys
// use; both drive one server.

import type { RecordedRequest } from './exchange.ts';
import * as server from './fake-ollama.ts';

export type { RecordedRequest } from './exchange.ts';
export type { FakeModel } from './fake-ollama.ts';
export { goStyleParse } from './go-json.ts';

export interface Answer {
  head(status: number, headers: Record<string, string>): void;
  /** One HTTP chunk, flushed. */
  chunk(bytes: string | Uint8Array): Promise<void>;
  /** The clean end. */
  end(): void;
  /** TCP reset. */
  reset(): void;
  /** Raw bytes on the socket. */
  raw(bytes: string | Uint8Array): void;
  readonly gone: Promise<void>;
}

export type Script = (request: RecordedRequest, answer: Answer) => void | Promise<void>;
type Match = (request: RecordedRequest) => boolean;

export interface FakeOllama {
  readonly url: string;
  readonly port: number;
  /** Every request that arrived, in order. */
  readonly requests: RecordedRequest[];
  /** The next matching request is answered by this script instead of the default. */
  next(script: Script, match?: Match): void;
  /** The next matching request from now on, as soon as its head has arrived. */
  arrival(match?: Match): Promise<RecordedRequest>;
  models: server.FakeModel[];
  /** The pieces of a generation, one chunk each. */
  pieces: string[];
  /** What it waits for before it sends a piece. */
  pace: server.Pace | undefined;
  /** Tokens it reported, and pieces it generated for answers that were cut. */
  readonly totals: { readonly promptTokens: number; readonly completionTokens: number };
  /** Destroys the connections, too. */
  close(): Promise<void>;
}

export async function startFakeOllama(options: server.FakeOptions = {}): Promise<FakeOllama> {
  const fake = await server.startFakeOllama(options);
  const every: Match = () => true;
  return {
    url: fake.url,
    port: fake.port,
    totals: fake.totals,
    get requests() {
      return fake.requests.map(({ recorded }) => recorded);
    },
    get models() {
      return fake.models;
    },
    set models(models) {
      fake.models = models;
    },
    get pieces() {
      return fake.pieces as string[];
    },
    set pieces(pieces) {
      fake.pieces = pieces;
    },
    get pace() {
      return fake.pace;
    },
    set pace(pace) {
      fake.pace = pace;
    },
    next: (script, match = every) =>
      fake.next(
        ({ recorded }, answer) => script(recorded, narrow(answer)),
        ({ recorded }) => match(recorded),
      ),
    arrival: async (match = every) => (await fake.arrival(({ recorded }) => match(recorded))).recorded,
    close: () => fake.close(),
  };
}

function narrow(answer: server.Answer): Answer {
  return {
    head: (status, headers) => answer.head(status, headers),
    chunk: async (bytes) => void (await answer.chunk(bytes)),
    end: () => answer.end(),
    reset: () => answer.reset(),
    raw: (bytes) => answer.raw(bytes),
    gone: answer.gone,
  };
}
