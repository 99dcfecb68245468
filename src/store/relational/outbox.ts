// The outbox. Rows come with audit events (audit.ts). A claim is one statement, so that only one of several gateways
// gets it.
import type { Selectable, Transaction } from 'kysely';
import type { Consequence, EmailAbout } from '../../domain/outbox.ts';
import type { WallMs } from '../../domain/time.ts';
import type { OutboxStore, StoredConsequence } from '../ports/outbox.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

/** No claim lasts longer: a longer one was made under a clock that was ahead. */
const longestClaimMs = 3_600_000;
const idsPerQuery = 500;

export function outboxQueries({ db, transact }: Connection): OutboxStore {
  const dueIn = (id: string) => db.updateTable('outbox').where('id', '=', id).where('state', '=', 'due');
  return {
    insertConsequences: async (consequences, at) => {
      // Called often, and nearly always for existing rows, which should not cost a transaction.
      const fresh: Consequence[] = [];
      for (let from = 0; from < consequences.length; from += idsPerQuery) {
        const part = consequences.slice(from, from + idsPerQuery);
        const ids = part.map(({ id }) => id);
        const rows = await db.selectFrom('outbox').select('id').where('id', 'in', ids).execute();
        const known = new Set(rows.map(({ id }) => id));
        fresh.push(...part.filter(({ id }) => !known.has(id)));
      }
      if (fresh.length > 0) await transact((transaction) => writeConsequences(transaction, fresh, at));
    },
    dueConsequences: async (kind, at, limit) => {
      const rows = await db
        .selectFrom('outbox')
        .selectAll()
        .where('state', '=', 'due')
        .where('due_at', '<=', at)
        .where('kind', '=', kind)
        .where((where) => where.or([where('until', '<=', at), where('until', '>', at + longestClaimMs)]))
        .orderBy('due_at')
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(consequenceOf);
    },
    claimConsequence: async (id, { owner, at, until }) => {
      const taken = await dueIn(id)
        .set((set) => ({ owner, until, attempts: set('attempts', '+', 1) }))
        .where('due_at', '<=', at)
        .where((where) => where.or([where('until', '<=', at), where('until', '>', at + longestClaimMs)]))
        .executeTakeFirst();
      return Number(taken.numUpdatedRows) > 0;
    },
    holdConsequence: async (id, { owner, until }) => {
      await dueIn(id).set({ until }).where('owner', '=', owner).execute();
    },
    finishConsequence: async (id, owner, how, at) => {
      await dueIn(id).set({ state: how, done_at: at, payload: '{}' }).where('owner', '=', owner).execute();
    },
    postponeConsequence: async (id, owner, dueAt) => {
      await dueIn(id).set({ due_at: dueAt, owner: '', until: 0 }).where('owner', '=', owner).execute();
    },
  };
}

/** Adds the rows that are missing. */
export async function writeConsequences(
  transaction: Transaction<Tables>,
  consequences: readonly Consequence[],
  at: WallMs,
): Promise<void> {
  for (const { id, kind, about, waitsMs = 0 } of consequences)
    await transaction
      .insertInto('outbox')
      .values({
        id,
        kind,
        payload: JSON.stringify(about),
        created_at: at,
        due_at: at + waitsMs,
        attempts: 0,
        state: 'due',
        owner: '',
        until: 0,
        done_at: null,
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
}

function consequenceOf(row: Selectable<Tables['outbox']>): StoredConsequence {
  return {
    id: row.id,
    kind: row.kind,
    about: JSON.parse(row.payload) as EmailAbout,
    createdAt: Number(row.created_at),
    attempts: Number(row.attempts),
  };
}
