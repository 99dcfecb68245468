// Work that one gate does at a time: one statement takes a lease, so that of several that ask one gets it.
import type { LeaseStore } from '../ports/leases.ts';
import type { Connection } from './connection.ts';

const longestLeaseMs = 3_600_000;

export function leaseQueries({ db }: Connection): LeaseStore {
  return {
    takeLease: async (name, owner, now, until) => {
      // One that lasts longer than any does was taken under a clock that was ahead, and would hold for as long as that was.
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
