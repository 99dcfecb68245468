// A process that takes part in races: it opens the store by itself, and makes all its tries at once when told to.
import process from 'node:process';
import type { Store } from '../../src/store/ports/store.ts';
import { races } from './races.ts';

/** How another process opens the same data: a function of a module, and its argument. */
export interface Elsewhere {
  readonly module: string;
  readonly name: string;
  readonly given: readonly unknown[];
}

export type Order =
  | { readonly kind: 'open'; readonly where: Elsewhere }
  | {
      readonly kind: 'race';
      readonly index: number;
      readonly given: unknown;
      readonly from: number;
      readonly count: number;
    };

export interface Report {
  readonly done: number;
  readonly fault?: string;
}

let store: Store | undefined;

async function tried(work: () => Promise<unknown>): Promise<boolean> {
  try {
    const result = await work();
    return result !== false && result !== undefined;
  } catch (error) {
    // A refusal by a use case or by the store counts as no success.
    if (error instanceof Error && 'kind' in error) return false;
    throw error;
  }
}

async function obey(order: Order): Promise<Report> {
  if (order.kind === 'open') {
    const { module, name, given } = order.where;
    const opened = (await import(module)) as Record<string, (...all: readonly unknown[]) => Promise<Store>>;
    store = await opened[name]!(...given);
    return { done: 0 };
  }
  const { index, given, from, count } = order;
  const tries = Array.from({ length: count }, (_, i) =>
    tried(() => races[index]!.act(store!, given as never, from + i)),
  );
  return { done: (await Promise.all(tries)).filter(Boolean).length };
}

process.on('message', (order: Order) => {
  obey(order)
    .catch((error: unknown): Report => ({ done: 0, fault: error instanceof Error ? String(error.stack) : 'unknown' }))
    .then(
      (report) => process.send?.(report),
      () => process.exit(1),
    );
});
process.on('disconnect', () => process.exit(0));
