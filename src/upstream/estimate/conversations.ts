// Which server had the last call of a conversation, and so probably has its text in its prompt cache. Bounded: the longest
// unused are forgotten first.
import type { ServerWork } from './server-work.ts';

export interface Kept {
  /** Identifies the server. */
  readonly work: ServerWork;
  /** Of the prompt and its answer. */
  readonly tokens: number;
  /** The number of calls that the model had had there. */
  readonly calls: number;
  readonly atMs: number;
}

const most = 20_000;

export class Conversations {
  readonly #kept = new Map<number, Kept>();

  of(conversation: number): Kept | undefined {
    return conversation === 0 ? undefined : this.#kept.get(conversation);
  }

  keep(conversation: number, kept: Kept): void {
    if (conversation === 0) return;
    this.#kept.delete(conversation);
    this.#kept.set(conversation, kept);
    if (this.#kept.size > most) this.#kept.delete(this.#kept.keys().next().value as number);
  }

  get size(): number {
    return this.#kept.size;
  }
}
