// Model servers: columns for what must be unique, the rest as JSON text, and the version, which every change must
// increment.
import type { Selectable, Transaction } from 'kysely';
import type { ModelServer } from '../../domain/model-server.ts';
import type { NotStored, ServerStore } from '../ports/servers.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';
import { deleteVersioned, putVersioned } from './versioned.ts';

export function serverQueries(connection: Connection): ServerStore {
  const all = () => connection.db.selectFrom('servers').selectAll();
  return {
    listServers: async () => (await all().orderBy('name').execute()).map(serverOf),
    findServer: async (id) => {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row && serverOf(row);
    },
    findServerByName: async (name) => {
      const row = await all().where('name', '=', name).executeTakeFirst();
      return row && serverOf(row);
    },
    putServer: (server, event) =>
      putVersioned(connection, 'servers', rowOf(server), (transaction) => takenOf(transaction, server), event),
    deleteServer: (id, event) => deleteVersioned(connection, 'servers', id, event),
  };
}

/** What another server has of it. */
async function takenOf(
  transaction: Transaction<Tables>,
  { id, name, address }: ModelServer,
): Promise<NotStored | undefined> {
  const others = await transaction
    .selectFrom('servers')
    .select(['name', 'address'])
    .where('id', '!=', id)
    .where((where) => where.or([where('name', '=', name), where('address', '=', address)]))
    .execute();
  if (others.length === 0) return undefined;
  return others.some((other) => other.name === name) ? 'name' : 'address';
}

function rowOf({ id, name, address, version, createdAt, changedAt, ...rest }: ModelServer): Tables['servers'] {
  const definition = JSON.stringify(rest);
  return { id, name, address, version, created_at: createdAt, changed_at: changedAt, definition };
}

type Rest = Omit<ModelServer, 'id' | 'name' | 'address' | 'version' | 'createdAt' | 'changedAt'>;

function serverOf(row: Selectable<Tables['servers']>): ModelServer {
  const { id, name, address, definition } = row;
  return {
    ...(JSON.parse(definition) as Rest),
    id,
    name,
    address,
    version: Number(row.version),
    createdAt: Number(row.created_at),
    changedAt: Number(row.changed_at),
  };
}
