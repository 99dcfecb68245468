// What operators say about model names: a column for what must be unique, the rest as JSON text, and the version, which
// every change must increment.
import type { Selectable, Transaction } from 'kysely';
import type { StoredName } from '../../domain/stored-name.ts';
import type { NameStore } from '../ports/names.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';
import { deleteVersioned, putVersioned } from './versioned.ts';

export function nameQueries(connection: Connection): NameStore {
  const all = () => connection.db.selectFrom('model_names').selectAll();
  return {
    listModelNames: async () => (await all().orderBy('canonical').execute()).map(nameOf),
    findModelName: async (id) => {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row && nameOf(row);
    },
    findModelNameByCanonical: async (canonical) => {
      const row = await all().where('canonical', '=', canonical).executeTakeFirst();
      return row && nameOf(row);
    },
    putModelName: (name, event) =>
      putVersioned(connection, 'model_names', rowOf(name), (transaction) => takenOf(transaction, name), event),
    deleteModelName: (id, event) => deleteVersioned(connection, 'model_names', id, event),
  };
}

async function takenOf(transaction: Transaction<Tables>, { id, canonical }: StoredName): Promise<'taken' | undefined> {
  const others = transaction.selectFrom('model_names').select('id').where('canonical', '=', canonical);
  return (await others.where('id', '!=', id).executeTakeFirst()) && 'taken';
}

function rowOf({ id, canonical, version, createdAt, changedAt, ...rest }: StoredName): Tables['model_names'] {
  const definition = JSON.stringify(rest);
  return { id, canonical, version, created_at: createdAt, changed_at: changedAt, definition };
}

type Rest = Omit<StoredName, 'id' | 'canonical' | 'version' | 'createdAt' | 'changedAt'>;

function nameOf(row: Selectable<Tables['model_names']>): StoredName {
  const { id, canonical, definition } = row;
  return {
    ...(JSON.parse(definition) as Rest),
    id,
    canonical,
    version: Number(row.version),
    createdAt: Number(row.created_at),
    changedAt: Number(row.changed_at),
  };
}
