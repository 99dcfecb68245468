// For kinds whose list says the context of each model and whose metrics say how long their queue is.
import type { Known, ModelDetails, Reached, ServerQueue } from './kind.ts';
import type { QueueGauges } from './queue-gauges.ts';

export class GaugeDetails implements ModelDetails {
  readonly #gauges: QueueGauges | undefined;
  #contexts: ReadonlyMap<string, number> = new Map();
  loaded: ReadonlyMap<string, number> | undefined;
  #looking = false;

  /** `gauges`: undefined if such servers have no metrics. */
  constructor(gauges?: QueueGauges) {
    this.#gauges = gauges;
  }

  contextOf(canonical: string): number | undefined {
    return this.#contexts.get(canonical);
  }

  answerTokensOf(): undefined {
    return undefined;
  }

  /** Such a server works on as many calls as its memory holds. */
  slotsOf(): undefined {
    return undefined;
  }

  get queue(): ServerQueue | undefined {
    return this.#gauges?.queue;
  }

  async look(server: Reached, { contexts, loaded }: Known): Promise<void> {
    this.#contexts = contexts;
    this.loaded = loaded;
    if (this.#looking) return;
    this.#looking = true;
    await this.#gauges?.look(server);
    this.#looking = false;
  }
}
