// The lists of models of several servers, read for everybody who asks at once: a list can be megabytes long, and a server
// that is slow to say its own keeps what the others said waiting. One look runs and one waits for it to end; a caller
// joins the one that has not begun, so that they find what they have just made. So no number of callers holds more than
// two lists of a server.
import type { Listed } from './kind.ts';
import { modelsOf, type Recognisable } from './kinds.ts';

export type Answers = readonly PromiseSettledResult<readonly Listed[]>[];

interface Look {
  readonly answers: Promise<Answers>;
  /** Callers who wait for it; without any it is given up. */
  callers: number;
  readonly over: AbortController;
}

interface Looks {
  running: Look | undefined;
  next: Look | undefined;
}

export interface Asked {
  readonly which: 'all' | 'running';
  /** What the servers are told of the way that the question has come. */
  readonly via: readonly string[];
  /** How long a server may take. */
  readonly patienceMs: number;
}

/** A server, as far as its lists are concerned. */
export interface ListServer extends Recognisable {
  readonly health: { readonly up: boolean | undefined };
}

export class SharedLists<Server extends ListServer> {
  readonly #servers: () => readonly Server[];
  readonly #looks = new Map<string, Looks>();

  /** `servers`: those there are at the time. */
  constructor(servers: () => readonly Server[]) {
    this.#servers = servers;
  }

  /** What each server says that is up; rejects with the reason of the signal, when the caller leaves. */
  async ask(asked: Asked, signal: AbortSignal): Promise<Answers> {
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
        // Nobody else is to wait for what is given up.
        if (looks.next === look) looks.next = undefined;
      }
    }
  }

  /** Begins when the one that runs is over. */
  #begin(looks: Looks, { which, via, patienceMs }: Asked): Look {
    const over = new AbortController();
    const run = async (): Promise<Answers> => {
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
      // Only those who have asked hold what was said.
      if (looks.running === look) looks.running = undefined;
      return answers;
    };
    const look: Look = { answers: Promise.resolve().then(run), callers: 0, over };
    return look;
  }
}
