// How many calls a server works on and has waiting, by two gauges of its metrics. A server that does not publish them is asked
// again only after a while, so that a probe costs it nothing.
import type { Reached, ServerQueue } from './kind.ts';
import { readGauges } from './metrics-text.ts';

const askTimeoutMs = 5_000;
/** Probes until a server without metrics is asked again: it may have been restarted with them. */
const restProbes = 60;

export class QueueGauges {
  queue: ServerQueue | undefined;
  readonly #running: string;
  readonly #waiting: string;
  #rest = 0;

  constructor(running: string, waiting: string) {
    this.#running = running;
    this.#waiting = waiting;
  }

  /** The server does not publish them, as far as is known. */
  get areMissing(): boolean {
    return this.#rest > 0;
  }

  /** Never rejects. */
  async look(server: Reached): Promise<void> {
    if (this.#rest > 0) {
      this.#rest--;
      return;
    }
    try {
      const found = await readGauges(server, [this.#running, this.#waiting], AbortSignal.timeout(askTimeoutMs));
      const running = found?.get(this.#running);
      this.queue = running === undefined ? undefined : { running, waiting: found?.get(this.#waiting) ?? 0 };
      if (this.queue === undefined) this.#rest = restProbes;
    } catch {
      // Whether the server answers is for the probe of its list to say.
      this.queue = undefined;
    }
  }
}
