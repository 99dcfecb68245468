// What llama-server says beyond its list: its slots and whether it sleeps (/props), and its queue (/metrics, where it runs
// with --metrics). Neither wakes a sleeping model or keeps one awake; /slots does both (seen with b11549 and
// --sleep-idle-seconds), so without metrics it is asked only while a call of the gateway keeps the model awake anyway. A router has no slots of its own: they are those of the model's own process.
import { isCount, mostSlots } from '../../counts.ts';
import { entryOf, readJson } from '../../json-route.ts';
import type { Known, ModelDetails, Reached, ServerQueue } from '../../kind.ts';
import { QueueGauges } from '../../queue-gauges.ts';

const askTimeoutMs = 5_000;

export class LlamaDetails implements ModelDetails {
  #contexts: ReadonlyMap<string, number> = new Map();
  #slots: number | undefined;
  loaded: ReadonlyMap<string, number> | undefined;
  #looking = false;
  #bySlots: ServerQueue | undefined;
  readonly #gauges = new QueueGauges('llamacpp:requests_processing', 'llamacpp:requests_deferred');

  contextOf(canonical: string): number | undefined {
    return this.#contexts.get(canonical);
  }

  /** `n_predict` of the server is a bound for all, which it applies itself. */
  answerTokensOf(): undefined {
    return undefined;
  }

  slotsOf(): number | undefined {
    return this.#slots;
  }

  get queue(): ServerQueue | undefined {
    return this.#gauges.queue ?? this.#bySlots;
  }

  async look(server: Reached, { contexts, loaded }: Known, works: boolean): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    this.#contexts = contexts;
    this.loaded = loaded;
    try {
      const props = entryOf(await readJson(server, '/props', AbortSignal.timeout(askTimeoutMs), []));
      const slots = props?.['role'] === 'router' ? undefined : props?.['total_slots'];
      // A sleeping model has left the memory.
      if (props?.['is_sleeping'] === true) this.loaded = new Map();
      this.#slots = isCount(slots, mostSlots) ? slots : undefined;
      const hasMetrics = props?.['endpoint_metrics'] !== false;
      if (hasMetrics) await this.#gauges.look(server);
      const asksSlots = works && this.#slots !== undefined && props?.['endpoint_slots'] !== false;
      this.#bySlots = asksSlots && (!hasMetrics || this.#gauges.areMissing) ? await busySlots(server) : undefined;
    } catch {
      // Whether the server answers is for the probe of its list to say.
      this.#slots = this.#bySlots = undefined;
    } finally {
      this.#looking = false;
    }
  }
}

/** It does not say there how many calls wait. */
async function busySlots(server: Reached): Promise<ServerQueue | undefined> {
  const slots = await readJson(server, '/slots', AbortSignal.timeout(askTimeoutMs), []).catch(() => undefined);
  if (!Array.isArray(slots) || slots.length > mostSlots) return undefined;
  return { running: slots.filter((slot) => entryOf(slot)?.['is_processing'] === true).length, waiting: 0 };
}
