// Opens the store in a PostgreSQL database, for a gate or for a command.
import { Kysely } from 'kysely';
import type { Store } from '../ports/store.ts';
import { relationalStore } from '../relational/store.ts';
import type { Tables } from '../relational/tables.ts';
import { DecidingDialect } from './dialect.ts';
import { postgresEngine } from './engine.ts';
import { type Beats, type ReadClock, usualBeats } from './heartbeat.ts';
import { migrate } from './migrate.ts';
import { Pool, type PoolSettings } from './pool.ts';
import { type GateFacts, Registry } from './registry.ts';
import { refuseHalf, SoleGate, together } from './sole-gate.ts';

/**
 * Makes or migrates the tables if needed. `gate`: who uses the database; undefined for a command.
 * @throws StoreAway if the server cannot be reached, StoreUnusable if the database cannot be used.
 */
export async function openPostgres(
  settings: PoolSettings,
  gate?: GateFacts,
  beats: Beats = usualBeats,
  readClock: ReadClock = () => undefined,
): Promise<Store> {
  // Calls with known keys depend on these questions, so they do not wait behind others that wait for a lock.
  const vital = gate && new Pool({ ...settings, connections: 1 });
  const pool = new Pool({
    ...settings,
    connections: gate ? Math.max(1, settings.connections - 1) : settings.connections,
  });
  const end = async (): Promise<void> => {
    await Promise.all([pool.end(), vital?.end()]);
  };
  try {
    await migrate(pool, Date.now(), { gateId: gate?.id });
    await refuseHalf(pool);
    const sole =
      gate && vital && (await SoleGate.open(vital, gate.counts === '' ? gate.id : together + gate.counts, beats));
    const gates = gate && vital && sole && (await Registry.open(vital, gate, sole, beats, readClock));
    const engine = postgresEngine(pool, vital ?? pool, () => gates?.loss());
    const store = relationalStore(new Kysely<Tables>({ dialect: new DecidingDialect(pool) }), engine);
    return {
      ...store,
      ...(gates && { gates }),
      close: async () => {
        await gates?.close();
        await store.close();
        await end();
      },
    };
  } catch (error) {
    await end();
    throw error;
  }
}
