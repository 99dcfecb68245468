// Which server had the last call of a conversation, and which ones have read a text that conversations share, and so probably have
// it in their prompt caches. Bounded: the longest unused are forgotten first.
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
const mostPrefixes = 5_000;
/** Servers of which is known that they have a text. */
const mostHolders = 8;

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

export class Prefixes {
  readonly #kept = new Map<number, readonly Kept[]>();

  /** The servers that have read the text, the last one first. */
  of(prefix: number): readonly Kept[] {
    return prefix === 0 ? none : (this.#kept.get(prefix) ?? none);
  }

  keep(prefix: number, kept: Kept): void {
    if (prefix === 0) return;
    const others = this.of(prefix).filter(({ work }) => work !== kept.work);
    this.#kept.delete(prefix);
    this.#kept.set(prefix, [kept, ...others.slice(0, mostHolders - 1)]);
    if (this.#kept.size > mostPrefixes) this.#kept.delete(this.#kept.keys().next().value as number);
  }
}

const none: readonly never[] = [];
