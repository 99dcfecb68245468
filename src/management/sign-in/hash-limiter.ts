// Limits how many passwords are checked at the same time, in total and per network, because each check keeps a core busy. An attempt
// has its place before the throttle decides on it, so that one that finds none is not counted as a guess; but only attempts that are being
// checked leave no room for others. Those on which the throttle, which may be in Redis, still has to decide are waited for.
import { Problem } from '../http/problem.ts';

const most = 32;
const mostOfNetwork = 8;
/** Each is an open request. */
const mostWaiting = 256;

interface Places {
  taken: number;
  checking: number;
}

/** A place for one attempt. */
export interface HashPlace {
  /** The attempt may be checked now. */
  begin(): void;
  leave(): void;
}

export class HashLimiter {
  readonly #all: Places = { taken: 0, checking: 0 };
  readonly #from = new Map<string, Places>();
  #waiting: (() => void)[] = [];

  /** @throws Problem `busy`; otherwise `leave` must follow. */
  async enter(network: string): Promise<HashPlace> {
    for (;;) {
      const own = this.#from.get(network) ?? { taken: 0, checking: 0 };
      if (this.#all.taken < most && own.taken < mostOfNetwork) return this.#take(network, own);
      const isFull = this.#all.checking >= most || own.checking >= mostOfNetwork || this.#waiting.length >= mostWaiting;
      if (isFull) throw new Problem('busy', { retryAfterSeconds: 2 });
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #take(network: string, own: Places): HashPlace {
    this.#from.set(network, own);
    const both = [this.#all, own];
    for (const places of both) places.taken++;
    let isChecked = false;
    return {
      begin: () => {
        isChecked = true;
        for (const places of both) places.checking++;
        this.#wake();
      },
      leave: () => {
        for (const places of both) {
          places.taken--;
          if (isChecked) places.checking--;
        }
        if (own.taken === 0) this.#from.delete(network);
        this.#wake();
      },
    };
  }

  /** In the order in which they came. */
  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}
