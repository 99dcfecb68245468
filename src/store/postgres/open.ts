// Opens the store in a PostgreSQL database. One gate uses it at a time, and any number of commands.
import { Kysely } from 'kysely';
import type { Store } from '../ports/store.ts';
import { relationalStore } from '../relational/store.ts';
import type { Tables } from '../relational/tables.ts';
import { DecidingDialect } from './dialect.ts';
import { postgresEngine } from './engine.ts';
import { migrate } from './migrate.ts';
import { Pool, type PoolSettings } from './pool.ts';
import { SoleGate } from './sole-gate.ts';

/**
 * Makes or migrates the tables if needed. `gate`: who keeps the database to itself; undefined for a command.
 * @throws StoreAway if the server cannot be reached, StoreUnusable if the database cannot be used.
 */
export async function openPostgres(settings: PoolSettings, gate?: string): Promise<Store> {
  const pool = new Pool(settings);
  try {
    await migrate(pool, Date.now());
    const sole = gate === undefined ? undefined : await SoleGate.open(pool, gate);
    const engine = postgresEngine(pool, () => sole?.loss());
    const store = relationalStore(new Kysely<Tables>({ dialect: new DecidingDialect(pool) }), engine);
    return {
      ...store,
      close: async () => {
        await sole?.close();
        await store.close();
      },
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}
