// Reads the model lists of several servers once for all callers who ask at the same time. A list can be megabytes long, and
// the lists of fast servers are held until the slowest has answered. One read runs and one waits for it to end; callers
// join the read that has not begun, so that they see a model that they have just created. However many callers there
// are, at most two lists of each server are in memory.
import type { Listed } from './kind.ts';
import { modelsOf, type Recognizable } from './kinds.ts';

/** What one server said. */
export interface Answer<Server> {
  readonly server: Server;
  readonly result: PromiseSettledResult<readonly Listed[]>;
}

interface Look<Server> {
  readonly answers: Promise<readonly Answer<Server>[]>;
  /** Callers that wait for it. Without any, it is aborted. */
  callers: number;
  readonly over: AbortController;
}

interface Looks<Server> {
  running: Look<Server> | undefined;
  next: Look<Server> | undefined;
}

export interface Asked {
  readonly which: 'all' | 'running';
  /** Header lines that tell the servers through which gates the request has come. */
  readonly via: readonly string[];
  /** How long a server may take. */
  readonly patienceMs: number;
}

/** The parts of a server that reading lists needs. */
export interface ListServer extends Recognizable {
  readonly health: { readonly up: boolean | undefined };
}

export class SharedLists<Server extends ListServer> {
  readonly #servers: () => readonly Server[];
  readonly #looks = new Map<string, Looks<Server>>();

  /** `servers`: the current servers. */
  constructor(servers: () => readonly Server[]) {
    this.#servers = servers;
  }

  /** The answers of the servers that are up, or of all if none is. Rejects with the signal's reason when the caller leaves. */
  async ask(asked: Asked, signal: AbortSignal): Promise<readonly Answer<Server>[]> {
    signal.throwIfAborted();
    const key = `${asked.which} ${asked.via.join()}`;
    const looks = this.#looks.get(key) ?? { running: undefined, next: undefined };
    this.#looks.set(key, looks);
    const look = (looks.next ??= this.#begin(looks, asked));
    look.callers++;
    let leave!: () => void;
    const left = new Promise<never>((_, reject) => {
      leave = () => reject(signal.reason as Error);
      signal.addEventListener('abort', leave);
    });
    try {
      return await Promise.race([look.answers, left]);
    } finally {
      signal.removeEventListener('abort', leave);
      if (--look.callers === 0) {
        look.over.abort();
        // No other caller may join an aborted look.
        if (looks.next === look) looks.next = undefined;
      }
    }
  }

  /** Begins when the running read has ended. */
  #begin(looks: Looks<Server>, { which, via, patienceMs }: Asked): Look<Server> {
    const over = new AbortController();
    const run = async (): Promise<readonly Answer<Server>[]> => {
      await looks.running?.answers;
      looks.running = look;
      if (looks.next === look) looks.next = undefined;
      const patient = AbortSignal.any([over.signal, AbortSignal.timeout(patienceMs)]);
      const servers = this.#servers();
      const up = servers.filter(({ health }) => health.up !== false);
      const asked = up.length > 0 ? up : servers;
      const answers = await Promise.allSettled(
        asked.map((server) =>
          which === 'all' ? modelsOf(server, patient, via) : server.kind.loaded(server, patient, via),
        ),
      );
      // From here on, only the callers hold the answers.
      if (looks.running === look) looks.running = undefined;
      return asked.map((server, at) => ({ server, result: answers[at] as Answer<Server>['result'] }));
    };
    const look: Look<Server> = { answers: Promise.resolve().then(run), callers: 0, over };
    return look;
  }
}
