// Letting people in: each step is one transaction, which is rolled back if a later statement finds a reason against it.
import type { Kysely, Transaction } from 'kysely';
import { digestOf } from '../../domain/api-key.ts';
import type { Application } from '../../domain/application.ts';
import { placeholderDomain, placeholderEmail } from '../../domain/person.ts';
import type { AdmissionStore, NewPerson, NotConfirmed, NotSetUp, NotSubmitted } from '../ports/admission.ts';
import { applicationOf, rowOf } from './applications.ts';
import { writeAudit } from './audit.ts';
import { type Connection, doom } from './connection.ts';
import { freeAddress, hasPerson, insertPerson } from './new-person.ts';
import { useUp } from './one-time-links.ts';
import { personColumns, personOf } from './people.ts';
import type { Tables } from './tables.ts';

/** Rolls its transaction back. */
class Undone<Why extends string> extends Error {
  readonly why: Why;
  constructor(why: Why) {
    super(why);
    this.why = why;
  }
}

/** As a part of a larger decision it cannot be taken back by itself: then the decision is. */
async function orWhy<T, Why extends string>(db: Kysely<Tables>, work: Promise<T>): Promise<T | Why> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
    if (db.isTransaction) doom(db);
    return error.why as Why;
  }
}

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of queries that share one connection
export function admissionQueries({ db, transact }: Connection): AdmissionStore {
  return {
    // oxlint-disable-next-line eslint/max-lines-per-function -- one transaction, whose order is the guarantee
    submitApplication: ({
      application,
      mailbox,
      source,
      passwordHash,
      confirmBy,
      person,
      invite,
      isNamed,
      link,
      bounds,
      events,
    }) =>
      orWhy<undefined, NotSubmitted>(
        db,
        transact(async (transaction) => {
          await transaction
            .insertInto('applications')
            .values({ ...rowOf(application), mailbox, source, confirm_by: confirmBy, password: passwordHash })
            .execute();
          const { personId } = application;
          if (person === undefined && personId !== null && (await pendingOf(transaction, personId)) > 1)
            throw new Undone<NotSubmitted>('waits');
          if (confirmBy === null) {
            if ((await countWaiting(transaction)) > bounds.waiting) throw new Undone<NotSubmitted>('full');
          } else {
            const unconfirmed = countUnconfirmed(transaction);
            const mine = unconfirmed.where('source', '=', source);
            if ((await count(unconfirmed)) > bounds.unconfirmed) throw new Undone<NotSubmitted>('full');
            if ((await count(mine)) > bounds.fromSource) throw new Undone<NotSubmitted>('source');
            if ((await count(mine.where('mailbox', '=', mailbox))) > bounds.fromSourceForMailbox)
              throw new Undone<NotSubmitted>('mailbox');
          }
          if (invite !== undefined) {
            const used = await transaction
              .updateTable('invites')
              .set({ used_at: application.createdAt })
              .where('digest', '=', invite)
              .where('used_at', 'is', null)
              .where('expires_at', '>', application.createdAt)
              .executeTakeFirst();
            if (Number(used.numUpdatedRows) === 0) throw new Undone<NotSubmitted>('invite');
          }
          if (person) {
            const at = application.createdAt;
            if (isNamed) await freeAddress(transaction, person.email);
            if (!(await insertPerson(transaction, person, null, at)))
              await insertPerson(transaction, { ...person, email: placeholderEmail(application.id) }, null, at);
          }
          if (link)
            await transaction
              .insertInto('one_time_links')
              .values({
                digest: link.digest,
                purpose: link.purpose,
                subject: link.subject,
                created_at: link.createdAt,
                expires_at: link.expiresAt,
                used_at: null,
              })
              .execute();
          for (const event of events) await writeAudit(transaction, event);
          return undefined;
        }),
      ),
    confirmApplication: ({ digest, at, personId, waiting, event }) =>
      orWhy<Application, NotConfirmed>(
        db,
        transact(async (transaction) => {
          const link = await useUp(transaction, digest, 'confirm', at);
          if (link === undefined) throw new Undone<NotConfirmed>('link');
          const found = await transaction
            .selectFrom('applications')
            .selectAll()
            .where('id', '=', link as Tables['applications']['id'])
            .where('email', '<>', '')
            .where('confirmed_at', 'is', null)
            .executeTakeFirst();
          if (!found) throw new Undone<NotConfirmed>('link');
          const person = await confirmedPerson(transaction, found, personId, at);
          await transaction
            .updateTable('applications')
            .set({ confirmed_at: at, password: null, source: '', person_id: person })
            .where('id', '=', found.id)
            .execute();
          if (waiting !== null && found.status === 'pending' && (await countWaiting(transaction)) > waiting)
            throw new Undone<NotConfirmed>('full');
          await writeAudit(transaction, event(found.id));
          return applicationOf({ ...found, confirmed_at: at, person_id: person });
        }),
      ),
    setUpPerson: ({ digest, at, person, event }) =>
      orWhy<undefined, NotSetUp>(
        db,
        transact(async (transaction) => {
          const accountId = (await useUp(transaction, digest, 'setup', at)) as Tables['accounts']['id'] | undefined;
          if (accountId === undefined) throw new Undone<NotSetUp>('link');
          const account = await transaction
            .selectFrom('accounts')
            .select('closed_at')
            .where('id', '=', accountId)
            .executeTakeFirst();
          if (!account || account.closed_at !== null) throw new Undone<NotSetUp>('closed');
          if (await hasPerson(transaction, accountId)) throw new Undone<NotSetUp>('occupied');
          // An operator gave them the link, so an unconfirmed claim to the address is dropped.
          if (
            !(await freeAddress(transaction, person.email)) ||
            !(await insertPerson(transaction, person, accountId, at))
          )
            throw new Undone<NotSetUp>('taken');
          await writeAudit(transaction, event(accountId));
          return undefined;
        }),
      ),
    findMailbox: async (mailbox, except) => {
      const accounts = await count(
        db
          .selectFrom('applications')
          .innerJoin('accounts', 'accounts.id', 'applications.account_id')
          .select(({ fn }) => fn.countAll().as('count'))
          .where('mailbox', '=', mailbox)
          .where('applications.id', '<>', except)
          .where('closed_at', 'is', null),
      );
      const bar = await db
        .selectFrom('barred')
        .select('digest')
        .where('digest', '=', digestOf(mailbox))
        .executeTakeFirst();
      return { accounts, barred: bar !== undefined };
    },
    findConfirmable: async (digest, at) => {
      const row = await db
        .selectFrom('applications')
        .innerJoin('one_time_links', 'one_time_links.subject', 'applications.id')
        .selectAll('applications')
        .where('one_time_links.digest', '=', digest)
        .where('one_time_links.purpose', '=', 'confirm')
        .where('one_time_links.used_at', 'is', null)
        .where('one_time_links.expires_at', '>', at)
        .executeTakeFirst();
      return row && applicationOf(row);
    },
    countPending: () => countWaiting(db),
    findHolder: async (email) =>
      personOf(
        await db
          .selectFrom('people')
          .select(personColumns)
          .where('email', '=', email)
          .where((where) => where.or([where('emailVerified', '=', true), where('accountId', 'is not', null)]))
          .executeTakeFirst(),
      ),
  };
}

type Writer = Kysely<Tables> | Transaction<Tables>;

const countUnconfirmed = (db: Writer) =>
  db
    .selectFrom('applications')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('status', '=', 'pending')
    .where('confirm_by', 'is not', null)
    .where('confirmed_at', 'is', null);

async function count(query: {
  readonly executeTakeFirstOrThrow: () => Promise<{ readonly count: string | number | bigint }>;
}): Promise<number> {
  return Number((await query.executeTakeFirstOrThrow()).count);
}

/** Applications that wait for an operator, not for their applicant. */
const countWaiting = (db: Writer): Promise<number> =>
  count(
    db
      .selectFrom('applications')
      .select(({ fn }) => fn.countAll().as('count'))
      .where('status', '=', 'pending')
      .where((where) => where.or([where('confirm_by', 'is', null), where('confirmed_at', 'is not', null)])),
  );

const pendingOf = (db: Writer, personId: NewPerson['id']): Promise<number> =>
  count(
    db
      .selectFrom('applications')
      .select(({ fn }) => fn.countAll().as('count'))
      .where('status', '=', 'pending')
      .where('person_id', '=', personId),
  );

/** The person who signs in with an application whose address was just confirmed. */
async function confirmedPerson(
  transaction: Transaction<Tables>,
  row: Tables['applications'],
  fresh: NewPerson['id'],
  at: number,
): Promise<NewPerson['id'] | null> {
  if (row.person_id !== null) {
    const id = row.person_id;
    const own = await transaction.selectFrom('people').select('email').where('id', '=', id).executeTakeFirst();
    // A person with a placeholder address gets the address that they confirmed, unless another person has it.
    const gets = own?.email === row.email || own?.email.endsWith(placeholderDomain) === true;
    if (gets && (await freeAddress(transaction, row.email, id)))
      await transaction
        .updateTable('people')
        .set({ email: row.email, emailVerified: true })
        .where('id', '=', id)
        .execute();
    return id;
  }
  if (row.password === null) return null;
  // An operator may have sent a set-up link for the account meanwhile; an account has one person.
  if (row.account_id !== null && (await hasPerson(transaction, row.account_id)))
    throw new Undone<NotConfirmed>('occupied');
  const person: NewPerson = {
    id: fresh,
    name: row.name,
    email: row.email,
    emailVerified: true,
    passwordHash: row.password,
    language: row.language,
  };
  if (!(await freeAddress(transaction, row.email)) || !(await insertPerson(transaction, person, row.account_id, at)))
    throw new Undone<NotConfirmed>('taken');
  return fresh;
}
