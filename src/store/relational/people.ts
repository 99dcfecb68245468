// People who sign in, and the closing of accounts, which removes all personal data.
import type { Kysely, Selectable, Transaction } from 'kysely';
import { digestOf } from '../../domain/api-key.ts';
import type { Registration } from '../../domain/application.ts';
import { keptRefusals, refusalActions } from '../../domain/audit.ts';
import { mailboxOf } from '../../domain/mailbox.ts';
import { type Language, languages, type Person } from '../../domain/person.ts';
import { refusal } from '../../domain/refusal.ts';
import type { WallMs } from '../../domain/time.ts';
import type { PersonStore } from '../ports/people.ts';
import { refuseLastOperator } from './accounts.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

/** Within this time, a repeated cause (a key that expires in a week) finds its existing row. */
const consequenceKeptMs = 30 * 86_400_000;

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function personQueries({ db, transact }: Connection): PersonStore {
  const people = () => db.selectFrom('people').select(personColumns);
  return {
    findPerson: async (id) => personOf(await people().where('id', '=', id).executeTakeFirst()),
    findPersonByEmail: async (email) => personOf(await people().where('email', '=', email).executeTakeFirst()),
    findPersonOf: async (accountId) => personOf(await people().where('accountId', '=', accountId).executeTakeFirst()),
    updatePerson: (id, { emailVerified, ...change }, event) =>
      transact(async (transaction) => {
        const columns = { ...change, ...(emailVerified ? { emailVerified: true } : {}) };
        if (Object.keys(columns).length > 0)
          await transaction.updateTable('people').set(columns).where('id', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    closeAccount: (id, at, event) =>
      transact(async (transaction) => {
        const account = await transaction
          .selectFrom('accounts')
          .select(['id', 'role', 'closed_at'])
          .where('id', '=', id)
          .executeTakeFirst();
        if (!account) throw refusal('account_missing_id', { id }, 'not_found');
        if (account.closed_at !== null) throw refusal('account_closed', {}, 'conflict');
        await refuseLastOperator(transaction, account);
        await transaction
          .updateTable('accounts')
          .set({ name: `closed ${id}`, skeleton: '', role: 'member', plan: 'default', unlimited: 0, closed_at: at })
          .where('id', '=', id)
          .execute();
        await transaction
          .updateTable('keys')
          .set({ status: 'revoked', revoked_at: at })
          .where('account_id', '=', id)
          .where('revoked_at', 'is', null)
          .execute();
        await transaction.updateTable('keys').set({ name: '' }).where('account_id', '=', id).execute();
        const person = await transaction
          .selectFrom('people')
          .select(['id', 'email', 'emailVerified'])
          .where('accountId', '=', id)
          .executeTakeFirst();
        await bar(transaction, id, person?.email, at);
        const theirs = transaction.updateTable('applications').set({ ...blank, decision: null });
        await theirs.where('account_id', '=', id).execute();
        if (person) {
          await withdraw(transaction, person.id, at);
          await theirs.where('person_id', '=', person.id).execute();
          // An unconfirmed address may belong to another applicant.
          if (person.emailVerified) await theirs.where('email', '=', person.email).execute();
        }
        await transaction
          .updateTable('suspensions')
          .set({ appeal: '' })
          .where('account_id', '=', id)
          .where('appeal', 'is not', null)
          .execute();
        await transaction.deleteFrom('people').where('accountId', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    deletePerson: (id, event) =>
      transact(async (transaction) => {
        await withdraw(transaction, id, event.at);
        await transaction.updateTable('applications').set(blank).where('person_id', '=', id).execute();
        await transaction.deleteFrom('people').where('id', '=', id).execute();
        await writeAudit(transaction, event);
      }),
    sessionStands: async (session, person, now) =>
      (await db
        .selectFrom('sessions')
        .select('id')
        .where('id', '=', session)
        .where('userId', '=', person)
        // The library stores times as RFC 3339 text, which sorts like time.
        .where('expiresAt', '>', new Date(now).toISOString())
        .executeTakeFirst()) !== undefined,
    tidyPeople: async (now) => {
      // The library stores times as RFC 3339 text, which sorts like time.
      const over = new Date(now).toISOString();
      const gone = [
        await db.deleteFrom('sessions').where('expiresAt', '<', over).executeTakeFirst(),
        await db.deleteFrom('verifications').where('expiresAt', '<', over).executeTakeFirst(),
        await db.deleteFrom('one_time_links').where('expires_at', '<', now).executeTakeFirst(),
        await pruneRefusals(db),
        await db.deleteFrom('barred').where('until', '<', now).executeTakeFirst(),
        await db.deleteFrom('used_once').where('expires_at', '<', now).executeTakeFirst(),
        await db
          .deleteFrom('outbox')
          .where('created_at', '<', now - consequenceKeptMs)
          .executeTakeFirst(),
        await db
          .deleteFrom('applications')
          .where('status', '=', 'pending')
          .where('confirm_by', '<', now)
          .where('confirmed_at', 'is', null)
          .executeTakeFirst(),
      ];
      return gone.reduce((sum, { numDeletedRows }) => sum + Number(numDeletedRows), 0);
    },
  };
}

export const personColumns = [
  'people.id',
  'people.name',
  'people.email',
  'people.emailVerified',
  'people.twoFactorEnabled',
  'people.accountId',
  'people.language',
] as const;

/** An application without its personal data. */
const blank = {
  name: '',
  email: '',
  mailbox: '',
  source: '',
  purpose: '',
  models: '[]',
  password: null,
  person_id: null,
} as const;

/** Unauthenticated clients can add these events, so only the newest are kept; all others are kept forever. */
async function pruneRefusals(db: Kysely<Tables>): Promise<{ readonly numDeletedRows: bigint }> {
  const refusals = db.selectFrom('audit_events').select('id').where('action', 'in', refusalActions);
  const oldest = await refusals.orderBy('id', 'desc').offset(keptRefusals).limit(1).executeTakeFirst();
  if (!oldest) return { numDeletedRows: 0n };
  return db
    .deleteFrom('audit_events')
    .where('action', 'in', refusalActions)
    .where('id', '<=', oldest.id)
    .executeTakeFirst();
}

/** Restrictions of a closed account stay in force for the mailboxes that it had. */
async function bar(
  transaction: Transaction<Tables>,
  id: Tables['accounts']['id'],
  email: string | undefined,
  at: WallMs,
): Promise<void> {
  const inForce = await transaction
    .selectFrom('suspensions')
    .select('ends_at')
    .where('account_id', '=', id)
    .where('shadow', '=', 0)
    .where('step', '<>', 'warn')
    .where('lifted_at', 'is', null)
    .where((where) => where.or([where('ends_at', 'is', null), where('ends_at', '>', at)]))
    .execute();
  if (inForce.length === 0) return;
  const ends = inForce.map(({ ends_at }) => (ends_at === null ? null : Number(ends_at)));
  const until = ends.includes(null) ? null : Math.max(...ends.map(Number));
  const { definition } = await transaction.selectFrom('registration').select('definition').executeTakeFirstOrThrow();
  const { dotless = [] } = JSON.parse(definition) as Partial<Registration>;
  const applied = await transaction.selectFrom('applications').select('mailbox').where('account_id', '=', id).execute();
  const mailboxes = new Set(applied.map(({ mailbox }) => mailbox));
  if (email !== undefined) mailboxes.add(mailboxOf(email, dotless));
  for (const mailbox of mailboxes) {
    if (mailbox === '') continue;
    const digest = digestOf(mailbox);
    await transaction.deleteFrom('barred').where('digest', '=', digest).where('until', 'is not', null).execute();
    await transaction
      .insertInto('barred')
      .values({ digest, until })
      .onConflict((conflict) => conflict.column('digest').doNothing())
      .execute();
  }
}

/** Withdraws pending applications of a person who has left. */
async function withdraw(transaction: Transaction<Tables>, id: Person['id'], at: number): Promise<void> {
  await transaction
    .updateTable('applications')
    .set({ status: 'rejected', decided_at: at, decided_by: 'applicant' })
    .where('person_id', '=', id)
    .where('status', '=', 'pending')
    .execute();
}

export function personOf(
  row:
    | Pick<
        Selectable<Tables['people']>,
        'id' | 'name' | 'email' | 'emailVerified' | 'twoFactorEnabled' | 'accountId' | 'language'
      >
    | undefined,
): Person | undefined {
  if (!row) return undefined;
  return {
    id: row.id,
    name: row.name,
    email: row.email,
    // An integer in SQLite, a boolean in PostgreSQL.
    emailVerified: Boolean(row.emailVerified),
    twoFactor: Boolean(row.twoFactorEnabled),
    language: languages.find((language): language is Language => language === row.language) ?? null,
    accountId: row.accountId,
  };
}
