// What the queries of every noun use: the query builder, the engine, and transactions.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely, Transaction } from 'kysely';
import type { Engine } from './engine.ts';
import type { Tables } from './tables.ts';

export interface Connection {
  readonly db: Kysely<Tables>;
  readonly engine: Engine;
  /** Runs a change in its own transaction, or as part of the open one (see `Engine.transact`). */
  readonly transact: <T>(work: (transaction: Transaction<Tables>) => Promise<T>) => Promise<T>;
}

export function connect(db: Kysely<Tables>, engine: Engine): Connection {
  return {
    db,
    engine,
    transact: (work) => (db.isTransaction ? work(db as Transaction<Tables>) : engine.transact(db, work)),
  };
}

const doomed = new WeakSet<object>();

/** Marks an open transaction of which a part has failed: it must not commit. */
export function doom(transaction: Kysely<Tables>): void {
  doomed.add(transaction);
}

/** @throws if a part of the transaction has failed and its work continued regardless. */
export function refuseDoomed(transaction: Kysely<Tables>): void {
  if (doomed.has(transaction)) throw new Error('a step of this decision failed, but the decision continued');
}

const decisions = new AsyncLocalStorage<{ open: boolean }>();

/** Whether the current code belongs to an open decision. If so, waiting for another connection could deadlock. */
export const isDeciding = (): boolean => decisions.getStore()?.open === true;

/** Runs a decision, which uses its own connection and waits for no other. */
export async function deciding<T>(work: () => Promise<T>): Promise<T> {
  const decision = { open: true };
  try {
    return await decisions.run(decision, work);
  } finally {
    decision.open = false;
  }
}
