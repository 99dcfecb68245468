// What operators say about model names: a column for what must be unique, the rest as JSON text, and the version, which
// every change must increment.
import type { Selectable } from 'kysely';
import type { StoredName } from '../../domain/stored-name.ts';
import type { NameStore } from '../ports/names.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function nameQueries({ db, transact }: Connection): NameStore {
  const all = () => db.selectFrom('model_names').selectAll();
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
      transact(async (transaction) => {
        const other = await transaction
          .selectFrom('model_names')
          .select('id')
          .where('canonical', '=', name.canonical)
          .where('id', '!=', name.id)
          .executeTakeFirst();
        if (other) return 'taken';
        const row = rowOf(name);
        if (name.version === 1) await transaction.insertInto('model_names').values(row).execute();
        else {
          const { id, version, created_at: _, ...rest } = row;
          const changed = await transaction
            .updateTable('model_names')
            .set({ ...rest, version })
            .where('id', '=', id)
            .where('version', '=', version - 1)
            .executeTakeFirst();
          if (Number(changed.numUpdatedRows) === 0) return 'gone';
        }
        await writeAudit(transaction, event);
        return undefined;
      }),
    deleteModelName: (id, event) =>
      transact(async (transaction) => {
        const result = await transaction.deleteFrom('model_names').where('id', '=', id).executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
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
