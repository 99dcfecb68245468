// Published services: a column for the name, the options as JSON text, and the version, which every change must increment.
import type { Selectable } from 'kysely';
import type { RouteOptions, StoredRoute } from '../../domain/stored-route.ts';
import type { RouteStore } from '../ports/routes.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function routeQueries({ db, transact }: Connection): RouteStore {
  const all = () => db.selectFrom('routes').selectAll();
  return {
    listRoutes: async () => (await all().orderBy('name').execute()).map(routeOf),
    findRoute: async (id) => {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row && routeOf(row);
    },
    findRouteByName: async (name) => {
      const row = await all().where('name', '=', name).executeTakeFirst();
      return row && routeOf(row);
    },
    putRoute: (route, event) =>
      transact(async (transaction) => {
        const { id, name, version } = route;
        const others = transaction.selectFrom('routes').select('id').where('name', '=', name).where('id', '!=', id);
        if (await others.executeTakeFirst()) return 'name';
        const row = rowOf(route);
        if (version === 1) await transaction.insertInto('routes').values(row).execute();
        else {
          const changed = await transaction
            .updateTable('routes')
            .set({ name, version, changed_at: row.changed_at, options: row.options })
            .where('id', '=', id)
            .where('version', '=', version - 1)
            .executeTakeFirst();
          if (Number(changed.numUpdatedRows) === 0) return 'gone';
        }
        await writeAudit(transaction, event);
        return undefined;
      }),
    deleteRoute: (id, event) =>
      transact(async (transaction) => {
        const result = await transaction.deleteFrom('routes').where('id', '=', id).executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
  };
}

const rowOf = ({ id, name, options, version, createdAt, changedAt }: StoredRoute): Tables['routes'] => ({
  id,
  name,
  version,
  created_at: createdAt,
  changed_at: changedAt,
  options: JSON.stringify(options),
});

const routeOf = (row: Selectable<Tables['routes']>): StoredRoute => ({
  id: row.id,
  name: row.name,
  options: JSON.parse(row.options) as RouteOptions,
  version: Number(row.version),
  createdAt: Number(row.created_at),
  changedAt: Number(row.changed_at),
});
