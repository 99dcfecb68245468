// Creations that a client may repeat, for Idempotency-Key: a name is claimed before anything is created, so that two
// identical requests cannot both create something. The id of what was created is stored; a secret is not.
import type { RepeatStore } from '../ports/creations.ts';
import type { Connection } from './connection.ts';

const keptMs = 24 * 3_600_000;

export function creationQueries({ db }: Connection): RepeatStore {
  return {
    claimRepeatable: async (claim) => {
      // A name is kept for a day, longer than any client retries.
      await db
        .deleteFrom('repeatables')
        .where('at', '<', claim.at - keptMs)
        .execute();
      const row = { key_id: claim.keyId, name: claim.name, digest: claim.digest, at: claim.at, made: claim.made };
      const result = await db
        .insertInto('repeatables')
        .values(row)
        .onConflict((conflict) => conflict.columns(['key_id', 'name']).doNothing())
        .executeTakeFirst();
      if (Number(result.numInsertedOrUpdatedRows) > 0) return undefined;
      const found = await db
        .selectFrom('repeatables')
        .selectAll()
        .where('key_id', '=', claim.keyId)
        .where('name', '=', claim.name)
        .executeTakeFirstOrThrow();
      return { ...found, keyId: found.key_id, at: Number(found.at) };
    },
    finishRepeatable: async (keyId, name, made) => {
      await db.updateTable('repeatables').set({ made }).where('key_id', '=', keyId).where('name', '=', name).execute();
    },
    dropRepeatable: async (keyId, name) => {
      await db.deleteFrom('repeatables').where('key_id', '=', keyId).where('name', '=', name).execute();
    },
  };
}
