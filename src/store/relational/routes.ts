// Published services: a column for the name, the options as JSON text, and the version, which every change must increment.
import type { Selectable, Transaction } from 'kysely';
import type { RouteOptions, StoredRoute } from '../../domain/stored-route.ts';
import type { RouteStore } from '../ports/routes.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';
import { deleteVersioned, putVersioned } from './versioned.ts';

export function routeQueries(connection: Connection): RouteStore {
  const all = () => connection.db.selectFrom('routes').selectAll();
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
      putVersioned(connection, 'routes', rowOf(route), (transaction) => takenOf(transaction, route), event),
    deleteRoute: (id, event) => deleteVersioned(connection, 'routes', id, event),
  };
}

async function takenOf(transaction: Transaction<Tables>, { id, name }: StoredRoute): Promise<'name' | undefined> {
  const others = transaction.selectFrom('routes').select('id').where('name', '=', name);
  return (await others.where('id', '!=', id).executeTakeFirst()) && 'name';
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
