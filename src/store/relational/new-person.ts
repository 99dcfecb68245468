// Inserts new people in the sign-in library's format, for every way to join: decides who gets an address that several
// people name, and allows one person per account.
import type { Transaction } from 'kysely';
import { randomBase62 } from '../../domain/id.ts';
import { placeholderEmail } from '../../domain/person.ts';
import type { NewPerson } from '../ports/admission.ts';
import type { Tables } from './tables.ts';

/** False if the address or the account already has a person. */
export async function insertPerson(
  transaction: Transaction<Tables>,
  { id, name, email, emailVerified, passwordHash, language }: NewPerson,
  accountId: Tables['people']['accountId'],
  at: number,
): Promise<boolean> {
  const time = new Date(at).toISOString();
  const made = await transaction
    .insertInto('people')
    .values({
      id,
      name,
      email,
      emailVerified,
      twoFactorEnabled: false,
      accountId,
      language,
      createdAt: time,
      updatedAt: time,
    })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (Number(made.numInsertedOrUpdatedRows) === 0) return false;
  if (passwordHash !== null)
    await transaction
      .insertInto('credentials')
      .values({
        id: randomBase62(24),
        accountId: id,
        providerId: 'credential',
        userId: id,
        password: passwordHash,
        createdAt: time,
        updatedAt: time,
      })
      .execute();
  return true;
}

/**
 * Frees an address for a person with a better claim than merely stating it. A holder with an unconfirmed claim and no
 * account keeps their application, with a placeholder address. False if the address stays taken.
 */
export async function freeAddress(
  transaction: Transaction<Tables>,
  email: string,
  except?: Tables['people']['id'],
): Promise<boolean> {
  const holder = await transaction
    .selectFrom('people')
    .select(['id', 'emailVerified', 'accountId'])
    .where('email', '=', email)
    .executeTakeFirst();
  if (!holder || holder.id === except) return true;
  if (holder.accountId !== null || holder.emailVerified) return false;
  await transaction
    .updateTable('people')
    .set({ email: placeholderEmail(holder.id) })
    .where('id', '=', holder.id)
    .execute();
  return true;
}

/** Whether the account has a person. */
export async function hasPerson(
  transaction: Transaction<Tables>,
  accountId: NonNullable<Tables['people']['accountId']>,
): Promise<boolean> {
  const there = await transaction
    .selectFrom('people')
    .select('id')
    .where('accountId', '=', accountId)
    .executeTakeFirst();
  return there !== undefined;
}
