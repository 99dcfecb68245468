// Passwords of people, written as the sign-in library writes them, and what goes with an old one.
import type { Kysely } from 'kysely';
import { randomBase62 } from '../../domain/id.ts';
import type { PasswordStore } from '../ports/passwords.ts';
import type { Tables } from '../sqlite/migrations/list.ts';
import { inTransaction } from './engine.ts';

export function passwordQueries(db: Kysely<Tables>): PasswordStore {
  const readPassword: PasswordStore['readPassword'] = async (personId) => {
    const row = await db
      .selectFrom('credentials')
      .select('password')
      .where('userId', '=', personId)
      .where('providerId', '=', 'credential')
      .executeTakeFirst();
    return row?.password ?? null;
  };
  return {
    readPassword,
    renewPassword: ({ personId, hash, from, keepPasskeys }) =>
      inTransaction(db, async (transaction) => {
        const time = new Date().toISOString();
        let update = transaction
          .updateTable('credentials')
          .set({ password: hash, updatedAt: time })
          .where('userId', '=', personId)
          .where('providerId', '=', 'credential');
        if (from !== undefined) update = update.where('password', '=', from);
        const { numUpdatedRows } = await update.executeTakeFirst();
        if (Number(numUpdatedRows) === 0) {
          if (from !== undefined) return false;
          await transaction
            .insertInto('credentials')
            .values({
              id: randomBase62(24),
              accountId: personId,
              providerId: 'credential',
              userId: personId,
              password: hash,
              createdAt: time,
              updatedAt: time,
            })
            .execute();
        }
        await transaction.deleteFrom('sessions').where('userId', '=', personId).execute();
        // A challenge of the second step has the person's id as its value.
        await transaction.deleteFrom('verifications').where('value', '=', personId).execute();
        if (!keepPasskeys) await transaction.deleteFrom('passkeys').where('userId', '=', personId).execute();
        return true;
      }),
    forgetSecondStep: (personId) =>
      inTransaction(db, async (transaction) => {
        await transaction.deleteFrom('two_factors').where('userId', '=', personId).execute();
        await transaction.updateTable('people').set({ twoFactorEnabled: 0 }).where('id', '=', personId).execute();
      }),
  };
}
