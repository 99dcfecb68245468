// Passwords of people, in the sign-in library's format, and what ends with an old one.
import { randomBase62 } from '../../domain/id.ts';
import type { PasswordStore } from '../ports/passwords.ts';
import type { Connection } from './connection.ts';

export function passwordQueries({ db, transact }: Connection): PasswordStore {
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
      transact(async (transaction) => {
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
        // The value of a second-step challenge is the person's id.
        await transaction.deleteFrom('verifications').where('value', '=', personId).execute();
        if (!keepPasskeys) await transaction.deleteFrom('passkeys').where('userId', '=', personId).execute();
        return true;
      }),
    forgetSecondStep: (personId) =>
      transact(async (transaction) => {
        await transaction.deleteFrom('two_factors').where('userId', '=', personId).execute();
        await transaction.updateTable('people').set({ twoFactorEnabled: false }).where('id', '=', personId).execute();
      }),
  };
}
