// Leases for work that only one gateway process does at a time. A lease is taken in one statement, so only one of
// several callers gets it.
import type { LeaseStore } from '../ports/leases.ts';
import type { Connection } from './connection.ts';

const longestLeaseMs = 3_600_000;

export function leaseQueries({ db }: Connection): LeaseStore {
  return {
    takeLease: async (name, owner, now, until) => {
      // A lease beyond the longest duration was taken under a clock that was ahead, and would otherwise be held for too
      // long.
      const taken = await db
        .insertInto('leases')
        .values({ name, owner, until })
        .onConflict((conflict) =>
          conflict
            .column('name')
            .doUpdateSet({ owner, until })
            .where((eb) =>
              eb.or([
                eb('leases.until', '<=', now),
                eb('leases.until', '>', now + longestLeaseMs),
                eb('leases.owner', '=', owner),
              ]),
            ),
        )
        .executeTakeFirst();
      return Number(taken.numInsertedOrUpdatedRows) > 0;
    },
    giveLease: async (name, owner) => {
      await db.deleteFrom('leases').where('name', '=', name).where('owner', '=', owner).execute();
    },
  };
}
