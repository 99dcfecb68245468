// Opens the store in a PostgreSQL database, for a gate or for a command.
import { Kysely } from 'kysely';
import type { Store } from '../ports/store.ts';
import { relationalStore } from '../relational/store.ts';
import type { Tables } from '../relational/tables.ts';
import { DecidingDialect } from './dialect.ts';
import { postgresEngine } from './engine.ts';
import { type Beats, usualBeats } from './heartbeat.ts';
import { migrate } from './migrate.ts';
import { Pool, type PoolSettings } from './pool.ts';
import { type GateFacts, Registry } from './registry.ts';
import { SoleGate, together } from './sole-gate.ts';

/**
 * Makes or migrates the tables if needed. `gate`: who uses the database; undefined for a command.
 * @throws StoreAway if the server cannot be reached, StoreUnusable if the database cannot be used.
 */
export async function openPostgres(
  settings: PoolSettings,
  gate?: GateFacts,
  beats: Beats = usualBeats,
): Promise<Store> {
  const pool = new Pool(settings);
  try {
    await migrate(pool, Date.now());
    const sole = gate && (await SoleGate.open(pool, gate.counts === '' ? gate.id : together + gate.counts, beats));
    const gates = gate && sole && (await Registry.open(pool, gate, sole, beats));
    const engine = postgresEngine(pool, () => gates?.loss());
    const store = relationalStore(new Kysely<Tables>({ dialect: new DecidingDialect(pool) }), engine);
    return {
      ...store,
      ...(gates && { gates }),
      close: async () => {
        await gates?.close();
        await store.close();
        await pool.end();
      },
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}
