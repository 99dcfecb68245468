// While Redis is away, gates tell each other through their database what each of them ran when it went. From that each works out how
// many calls it may have at once, so that together they never exceed a limit: what it ran then, and its part of what was left.
// Until all gates have said so, a gate only puts new calls in the place of its own that have ended.
import { setTimeout as sleep } from 'node:timers/promises';
import { shareOf } from './share-of.ts';

/** What a gate ran when Redis went, by account and by key. */
export interface HeldNow {
  /** When Redis went, by its clock as the gate knows it. */
  readonly since: number;
  readonly held: Readonly<Record<string, number>>;
}

export interface HeldTools {
  /** The id of this gate. */
  readonly gate: string;
  /** The ids of the gates that are alive. */
  readonly gates: () => readonly string[];
  /** Resolves when it is known which gates were alive when Redis went, or the database does not say so in time. */
  readonly counted: () => Promise<unknown>;
  /** What the other gates say; undefined: Redis answers them. */
  readonly others: () => Promise<readonly { readonly id: string; readonly held: HeldNow | undefined }[]>;
}

const askMs = 250;
/** How long a call waits until it is known. */
const knownWithinMs = 3_000;
/** Gates notice at most so far apart that Redis has gone. */
const apartMs = 10_000;

export class HeldElsewhere {
  readonly #tools: HeldTools;
  #own: HeldNow | undefined;
  /** By gate; undefined: not all of them are known. */
  #all: ReadonlyMap<string, HeldNow> | undefined;

  constructor(tools: HeldTools) {
    this.#tools = tools;
  }

  /** For the others; undefined while Redis answers. */
  get now(): HeldNow | undefined {
    return this.#own;
  }

  /** Redis has gone. */
  begin(own: HeldNow): void {
    this.#own = own;
    this.#all = undefined;
    void this.#ask(own);
  }

  /** Redis answers. */
  end(): void {
    this.#own = this.#all = undefined;
  }

  /** Resolves when every gate has said what it ran, or too much time has passed. */
  async known(): Promise<boolean> {
    const until = performance.now() + knownWithinMs;
    while (!this.#all && performance.now() < until) await sleep(askMs / 5);
    return this.#all !== undefined;
  }

  /** How many calls of an account or key this gate may have at once. Call it when that is known, or for what the gate ran then. */
  mostOf(subject: string, most: number): number {
    const { gate, gates } = this.#tools;
    if (gates().length === 1) return most;
    const own = this.#own?.held[subject] ?? 0;
    if (!this.#all) return Math.min(own, most);
    let left = most;
    for (const { held } of this.#all.values()) left -= held[subject] ?? 0;
    return Math.min(most, own + shareOf(gates(), gate, subject, Math.max(0, left)));
  }

  async #ask(own: HeldNow): Promise<void> {
    const { gate, gates, counted, others } = this.#tools;
    await counted();
    while (this.#own === own) {
      const said = new Map([[gate, own]]);
      try {
        if (gates().length > 1)
          for (const { id, held } of await others())
            if (held && Math.abs(held.since - own.since) < apartMs) said.set(id, held);
      } catch {
        // The database is away, too: it is asked again.
      }
      if (this.#own === own && gates().every((id) => said.has(id))) {
        this.#all = said;
        return;
      }
      await sleep(askMs);
    }
  }
}
