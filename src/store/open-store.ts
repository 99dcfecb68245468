// Opens the store that the settings name: SQLite in the data directory, or a PostgreSQL database. The client of PostgreSQL is
// loaded only for one.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Refusal } from '../domain/refusal.ts';
import { openDirectory } from './data-directory.ts';
import { type Adopted, adoptJournal } from './ledger/adopt-journal.ts';
import { type MovedTable, moveRows } from './move.ts';
import type { RawRows } from './ports/raw-rows.ts';
import type { Store } from './ports/store.ts';
import type { Beats, ReadClock } from './postgres/heartbeat.ts';
import type { GateFacts } from './postgres/registry.ts';
import { lockDirectory } from './sqlite/directory-lock.ts';
import { databaseIn, openSqlite } from './sqlite/open.ts';
import { sqliteRows } from './sqlite/raw-rows.ts';
import { DirectoryHeld, StoreUnusable } from './unusable.ts';

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
  readonly gate: GateFacts;
  /** The usual ones if they are not given. */
  readonly beats?: Beats | undefined;
  /** Told the time of PostgreSQL with each heartbeat, the first one before this is open. */
  readonly readClock?: ReadClock;
}

/** Adding up the rows of a large ledger takes minutes. */
const movingAnswerMs = 3_600_000;

/** @throws StoreUnusable. */
export async function openStore(place: StorePlace, host?: Host): Promise<Store> {
  const { dataDir, databaseUrl, databaseConnections } = place;
  if (databaseUrl === '') return openSqlite(dataDir, host?.patienceMs, host === undefined ? 'command' : 'gate');
  const { openPostgres } = await import('./postgres/open.ts');
  return openPostgres({ url: databaseUrl, connections: databaseConnections }, host?.gate, host?.beats, host?.readClock);
}

/**
 * Moves everything from the store of the settings to another database; returns what to set so that the gate uses that one.
 * `address`: `postgres://…`, or `sqlite:` and a data directory. No gate may use either.
 * @throws StoreUnusable.
 */
export async function moveStore(
  place: StorePlace,
  address: string,
  tell: (moved: MovedTable) => void,
): Promise<string> {
  const directory = /^sqlite:(.+)$/.exec(address)?.[1];
  if ((directory === undefined) === (place.databaseUrl !== ''))
    throw new StoreUnusable(
      place.databaseUrl === ''
        ? 'The data is in a file. Give the address of a PostgreSQL database: postgres://user:password@host/database'
        : 'The data is in PostgreSQL. Give a data directory for the file: sqlite:./data',
    );
  const { postgresRows } = await import('./postgres/raw-rows.ts');
  const postgres = await postgresRows({
    url: directory === undefined ? address : place.databaseUrl,
    connections: 2,
    answerMs: movingAnswerMs,
  });
  try {
    const sqlite = await fileRows(directory ?? place.dataDir, directory === undefined);
    try {
      await (directory === undefined
        ? moveRows(sqlite, postgres, sqlite, tell)
        : moveRows(postgres, sqlite, sqlite, tell));
    } finally {
      await sqlite.close();
    }
  } finally {
    await postgres.close();
  }
  return directory === undefined ? `DATABASE_URL=${address}` : `DATA_DIR=${directory}`;
}

/**
 * Writes what the journal of another gateway holds to the store of the settings. `directory`: its data directory.
 * @throws Refusal if that gateway runs, if there is no journal, or if it is one of another database; StoreUnusable.
 */
export async function adoptFrom(place: StorePlace, directory: string): Promise<Adopted> {
  if (!existsSync(directory)) throw new Refusal(`There is no directory ${directory}.`, 'not_found');
  const lock = await lockDirectory(openDirectory(directory)).catch((error: unknown) => {
    throw error instanceof DirectoryHeld ? stillRuns(directory) : error;
  });
  try {
    const store = await openStore(place);
    try {
      await refuseAlive(place, directory);
      return await adoptJournal(directory, store);
    } finally {
      await store.close();
    }
  } finally {
    lock.release();
  }
}

const stillRuns = (directory: string): Refusal =>
  new Refusal(
    `The gateway of ${directory} runs, or was heard of less than 20 seconds ago. It records its calls itself.`,
    'conflict',
  );

/** The directory may be a copy, or one on a disk of another machine, where its lock says nothing. */
async function refuseAlive({ databaseUrl, databaseConnections }: StorePlace, directory: string): Promise<void> {
  const file = join(directory, 'gate.id');
  if (databaseUrl === '' || !existsSync(file)) return;
  const { isAlive } = await import('./postgres/registry.ts');
  const id = readFileSync(file, 'utf8').trim();
  if (await isAlive({ url: databaseUrl, connections: databaseConnections }, id)) throw stillRuns(directory);
}

/** Brings the file to this version's tables first. Until it is closed, no gateway starts with it. */
async function fileRows(dataDir: string, readonly: boolean): Promise<RawRows> {
  const lock = await lockDirectory(openDirectory(dataDir)).catch((error: unknown) => {
    throw error instanceof DirectoryHeld
      ? new StoreUnusable(`A gateway uses ${dataDir}. Stop it first; its journal is then in the database, too.`)
      : error;
  });
  try {
    await (await openSqlite(dataDir, undefined, 'move')).close();
    const rows = sqliteRows(databaseIn(dataDir), readonly);
    return { ...rows, close: () => rows.close().finally(() => lock.release()) };
  } catch (error) {
    lock.release();
    throw error;
  }
}
