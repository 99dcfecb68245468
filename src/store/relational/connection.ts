// What the queries of every noun stand on: the builder, the engine, and the transaction that makes a change whole.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely, Transaction } from 'kysely';
import type { Engine } from './engine.ts';
import type { Tables } from './tables.ts';

export interface Connection {
  readonly db: Kysely<Tables>;
  readonly engine: Engine;
  /** Makes a change in one transaction of its own, or as a part of the one that is open (see `Engine.transact`). */
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

/** A part of an open transaction has come to nothing half-way: the transaction must not commit. */
export function doom(transaction: Kysely<Tables>): void {
  doomed.add(transaction);
}

/** @throws where a part of the transaction came to nothing and the work that it is for went on as if it had not. */
export function refuseDoomed(transaction: Kysely<Tables>): void {
  if (doomed.has(transaction)) throw new Error('a step of this decision came to nothing, and the decision went on');
}

const decisions = new AsyncLocalStorage<{ open: boolean }>();

/** Does what runs now belong to an open decision? Then waiting for another connection could be waiting for itself. */
export const isDeciding = (): boolean => decisions.getStore()?.open === true;

/** Runs a decision, which uses the connection that it has and waits for no other. */
export async function deciding<T>(work: () => Promise<T>): Promise<T> {
  const decision = { open: true };
  try {
    return await decisions.run(decision, work);
  } finally {
    decision.open = false;
  }
}
