// Opens the store that the settings name: SQLite in the data directory, or a PostgreSQL database. The client of PostgreSQL is
// loaded only for one.
import type { Store } from './ports/store.ts';
import { openSqlite } from './sqlite/open.ts';

export interface StorePlace {
  readonly dataDir: string;
  /** Empty: SQLite. */
  readonly databaseUrl: string;
  readonly databaseConnections: number;
}

/** What a gate adds to it; a command opens the store as a guest. */
export interface Host {
  /** How long a write to SQLite waits for another process's. */
  readonly patienceMs: number;
  /** The same for every start with one data directory, and for no other gate. */
  readonly id: string;
}

/** @throws StoreUnusable. */
export async function openStore(place: StorePlace, host?: Host): Promise<Store> {
  const { dataDir, databaseUrl, databaseConnections } = place;
  if (databaseUrl === '') return openSqlite(dataDir, host?.patienceMs, host !== undefined);
  const { openPostgres } = await import('./postgres/open.ts');
  return openPostgres({ url: databaseUrl, connections: databaseConnections }, host?.id);
}
