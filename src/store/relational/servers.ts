// Model servers: columns for what must be unique, the rest as JSON text, and the version, which every change must
// increment.
import type { Selectable, Transaction } from 'kysely';
import type { ModelServer } from '../../domain/model-server.ts';
import type { NotStored, ServerStore } from '../ports/servers.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function serverQueries({ db, transact }: Connection): ServerStore {
  const all = () => db.selectFrom('servers').selectAll();
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
      transact(async (transaction) => {
        const taken = await takenOf(transaction, server);
        if (taken) return taken;
        const row = rowOf(server);
        if (server.version === 1) await transaction.insertInto('servers').values(row).execute();
        else {
          const { id, version, created_at: _, ...rest } = row;
          const changed = await transaction
            .updateTable('servers')
            .set({ ...rest, version })
            .where('id', '=', id)
            .where('version', '=', version - 1)
            .executeTakeFirst();
          if (Number(changed.numUpdatedRows) === 0) return 'gone';
        }
        await writeAudit(transaction, event);
        return undefined;
      }),
    deleteServer: (id, event) =>
      transact(async (transaction) => {
        const result = await transaction.deleteFrom('servers').where('id', '=', id).executeTakeFirst();
        if (Number(result.numDeletedRows) === 0) return false;
        await writeAudit(transaction, event);
        return true;
      }),
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
