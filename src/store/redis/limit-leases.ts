// The leases of one account that this gate holds, or has settled and not seen in the ledger yet: what it enters again when Redis has
// forgotten them. One whose call ended is kept until the ledger has its row, because the book is the ledger's sums and these.

import type { KeyId, RequestId } from '../../domain/id.ts';
import type { Use } from '../../domain/limit.ts';
import type { RedisClient } from './client.ts';
import { list } from './limit-scripts.ts';

export interface HeldLease {
  readonly id: RequestId;
  readonly key: KeyId;
  /** Counts as a running call. */
  readonly runs: boolean;
  /** When the windows began in which it counts. */
  readonly starts: string;
  use: Use;
  isSettled: boolean;
  /** Resolves when Redis knows of its end, or when it is certain that this has to be mended. */
  told: Promise<void> | undefined;
}

export class HeldLeases {
  /** Questions that Redis has not answered yet: their leases may be there or not. */
  readonly coming = new Set<RequestId>();
  readonly #held = new Map<RequestId, HeldLease>();

  get isEmpty(): boolean {
    return this.#held.size === 0 && this.coming.size === 0;
  }

  add(lease: HeldLease): void {
    this.#held.set(lease.id, lease);
  }

  get(id: RequestId): HeldLease | undefined {
    return this.#held.get(id);
  }

  has(id: RequestId): boolean {
    return this.#held.has(id);
  }

  /** The lease's call cost nothing, or the ledger has its row. Returns whether it was there. */
  remove(id: RequestId): boolean {
    return this.#held.delete(id);
  }

  running(): HeldLease[] {
    return [...this.#held.values()].filter(({ runs, isSettled }) => runs && !isSettled);
  }

  settled(): RequestId[] {
    return [...this.#held.values()].filter(({ isSettled }) => isSettled).map(({ id }) => id);
  }

  all(): HeldLease[] {
    return [...this.#held.values()];
  }
}

export const figuresOf = ({ requests, promptTokens, completionTokens, units }: Use): number[] => [
  requests,
  promptTokens,
  completionTokens,
  units,
];

/** A lease in Redis, of any gate. */
export interface ListedLease {
  readonly id: string;
  readonly gate: string;
  readonly generation: string;
}

export interface Listed {
  /** When the book was made last. */
  readonly made: string;
  readonly leases: readonly ListedLease[];
}

/** The leases of an account that are not in the ledger, as far as Redis knows. @throws RedisAway. */
export async function listLeases(client: RedisClient, book: string, key: string): Promise<Listed> {
  const [made = '', ...said] = (await client.run(list, [book, key], [])) as string[];
  const leases = Array.from({ length: said.length / 3 }, (_, i) => {
    const [id, gate, generation] = said.slice(3 * i, 3 * i + 3) as [string, string, string];
    return { id, gate, generation };
  });
  return { made, leases };
}

/** The ids of leases that do not count any more: gone ones are in the ledger, or never began; lost ones were of an earlier generation. */
export function endedAmong(
  listed: readonly ListedLease[],
  {
    known,
    over,
    generation,
    entered,
  }: {
    readonly known: ReadonlySet<string>;
    readonly over: ReadonlySet<string>;
    readonly generation: string;
    readonly entered: ReadonlySet<string>;
  },
): { readonly gone: string[]; readonly lost: string[] } {
  const idsOf = (leases: readonly ListedLease[]): string[] => leases.map(({ id }) => id);
  const isGone = ({ id, gate }: ListedLease): boolean => known.has(id) || over.has(gate);
  // Gates that entered this generation entered everything again; what they did not is lost.
  const isLost = (each: ListedLease): boolean =>
    each.generation !== generation && entered.has(each.gate) && !isGone(each);
  return { gone: idsOf(listed.filter(isGone)), lost: idsOf(listed.filter(isLost)) };
}
