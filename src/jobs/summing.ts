// Adds quarters of an hour that are over to the sums over longer blocks, from which reports over months are made; a few at a
// time, so that no call waits for it. After an upgrade it goes through all that the ledger has.
import type { Logger } from 'pino';
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { Store } from '../store/ports/store.ts';

export interface SummingTools {
  readonly store: Pick<Store, 'sumUsage'>;
  readonly clock: SteadyClock;
  readonly logger: Logger;
}

/** Most calls that began in a quarter have ended by then. Rows of others are added as they come, which costs more. */
const settledMs = 3_600_000;
/** Sums of quarters in one go: a few milliseconds of the store. */
const sumsPerGo = 500;
/** Between two goes while there is more, and after the last of them or a failure. */
const pauseMs = 25;
const restMs = 60_000;

export class Summing {
  readonly #tools: SummingTools;
  #timer: NodeJS.Timeout | undefined;
  #going: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(tools: SummingTools) {
    this.#tools = tools;
    this.#goIn(pauseMs);
  }

  /** Resolves when nothing of it touches the store any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#going;
  }

  #goIn(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#going = this.#go();
    }, ms).unref();
  }

  async #go(): Promise<void> {
    const { store, clock, logger } = this.#tools;
    try {
      const now = Math.min(clock.wall(), clock.steady());
      this.#goIn((await store.sumUsage(now - settledMs, sumsPerGo)) ? pauseMs : restMs);
    } catch (error) {
      logger.error({ cause: error instanceof Error ? error.message : String(error) }, 'usage could not be summed');
      this.#goIn(restMs);
    }
  }
}
