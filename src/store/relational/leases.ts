// Leases for work that only one gate does at a time. A lease is taken in one statement, so only one of several gates gets it. Its row
// stays when it is given back, because its epoch has to grow.
import type { Transaction } from 'kysely';
import { type HeldLease, LeaseLost, type LeaseStore } from '../ports/leases.ts';
import type { Connection } from './connection.ts';
import type { Engine } from './engine.ts';
import type { Tables } from './tables.ts';

const longestLeaseMs = 3_600_000;

export function leaseQueries({ db, engine: { now } }: Connection): LeaseStore {
  const held = ({ name, owner, epoch }: HeldLease) =>
    db
      .updateTable('leases')
      .where('name', '=', name)
      .where('owner', '=', owner)
      .where('epoch', '=', epoch)
      .where('until', '>', now);
  return {
    takeLease: async (name, owner, lifeMs) => {
      const taken = await db
        .insertInto('leases')
        .values((eb) => ({ name, owner, until: eb(now, '+', lifeMs), epoch: 1 }))
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet((eb) => ({ owner, until: eb(now, '+', lifeMs), epoch: eb('leases.epoch', '+', 1) }))
            .where((eb) =>
              eb.or([
                eb('leases.until', '<=', now),
                // Taken while the clock of SQLite's machine was ahead, it would be held for too long.
                eb('leases.until', '>', eb(now, '+', longestLeaseMs)),
                eb('leases.owner', '=', owner),
              ]),
            ),
        )
        .returning('epoch')
        .executeTakeFirst();
      return taken && { name, owner, epoch: Number(taken.epoch) };
    },
    renewLease: async (lease, lifeMs) => {
      const renewed = await held(lease)
        .set((eb) => ({ until: eb(now, '+', lifeMs) }))
        .executeTakeFirst();
      return Number(renewed.numUpdatedRows) > 0;
    },
    giveLease: async (lease) => {
      await held(lease).set({ until: 0 }).execute();
    },
  };
}

/**
 * Checks a lease in the transaction of what belongs to it. The row stays locked until then, so that another gate takes the lease before
 * the change begins or after it is committed.
 * @throws LeaseLost
 */
export async function keepHeld(transaction: Transaction<Tables>, engine: Engine, lease: HeldLease): Promise<void> {
  const { name, owner, epoch } = lease;
  const kept = await transaction
    .updateTable('leases')
    .set({ owner })
    .where('name', '=', name)
    .where('owner', '=', owner)
    .where('epoch', '=', epoch)
    .where('until', '>', engine.now)
    .executeTakeFirst();
  if (Number(kept.numUpdatedRows) === 0) throw new LeaseLost(name);
}
