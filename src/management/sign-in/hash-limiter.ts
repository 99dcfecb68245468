// Limits how many passwords are checked at the same time, in total and per network, because each check keeps a core busy.
import { Problem } from '../http/problem.ts';

export class HashLimiter {
  readonly #from = new Map<string, number>();
  #all = 0;

  /** @throws Problem `busy`; otherwise `leave` must follow. */
  enter(network: string): void {
    const count = this.#from.get(network) ?? 0;
    if (this.#all >= 32 || count >= 8) throw new Problem('busy', { retryAfterSeconds: 2 });
    this.#all++;
    this.#from.set(network, count + 1);
  }

  leave(network: string): void {
    const count = (this.#from.get(network) ?? 1) - 1;
    this.#all--;
    if (count === 0) this.#from.delete(network);
    else this.#from.set(network, count);
  }
}
