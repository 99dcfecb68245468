// The ledger's writers of SQLite: the store itself, and the thread of a gate.
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { endOf } from '../../src/store/ledger/journal-lines.ts';
import { databaseIn, openSqlite } from '../../src/store/sqlite/open.ts';
import { temporaryDirectory } from '../gate.ts';
import { ledgerWriterContract, type OpenWriter } from './ledger-writer.ts';
import { row } from './store.ts';

const holding = (dataDir: string) => (): (() => void) => {
  const other = new Database(databaseIn(dataDir));
  other.exec('begin immediate');
  return () => other.close();
};

async function openStore(): Promise<OpenWriter> {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir, 0);
  return { writer: store, store, hold: holding(dataDir), close: () => store.close() };
}

async function openThread(
  patienceMs = 0,
): Promise<Omit<OpenWriter, 'hold'> & { readonly dataDir: string; readonly hold: () => () => void }> {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir, patienceMs, 'gate');
  return { writer: store, store, hold: holding(dataDir), close: () => store.close(), dataDir };
}

ledgerWriterContract('the store', openStore);
ledgerWriterContract('the thread', () => openThread());

test('a thread that runs out of memory fails its batch, and the next batch starts another', async () => {
  const { writer, store, close } = await openThread();
  await writer.appendLines([endOf(row(1))]);
  const huge = `E{"id":"x","all":[${'{"a":1},'.repeat(400_000)}1]}\n`;
  await expect(writer.appendLines([huge, huge, huge, huge])).rejects.toThrow(/thread that writes the ledger ended/);
  await writer.appendLines([endOf(row(2))]);
  expect(await store.listUsage(10)).toHaveLength(2);
  await close();
});

test('a thread that waits for another program holds up nothing, and ends with what it was given', async () => {
  const { writer, store, hold, close, dataDir } = await openThread(60_000);
  await writer.appendLines([endOf(row(1))]);
  const release = hold();
  let isOver = false;
  const waits = writer.appendLines([endOf(row(2))]).then(() => (isOver = true));
  for (let turn = 0; turn < 100; turn++) await nextTurn();
  expect(await store.listUsage(10)).toHaveLength(1);
  expect(isOver).toBe(false);
  const closed = close();
  release();
  await Promise.all([waits, closed]);
  const again = await openSqlite(dataDir);
  expect(await again.listUsage(10)).toHaveLength(2);
  await again.close();
});

test('a thread neither writes nor opens a file that took the place of its database', async () => {
  const { writer, store, close, dataDir } = await openThread();
  await writer.appendLines([endOf(row(1))]);
  const file = databaseIn(dataDir);
  await store.ping();
  copyFileSync(file, join(dataDir, 'copy'));
  renameSync(join(dataDir, 'copy'), file);
  await expect(writer.appendLines([endOf(row(2))])).rejects.toThrow(/was deleted or replaced/);
  await close();
  rmSync(dataDir, { recursive: true });
});

/** Of each thread of this process with that name. */
function nicenessOf(name: string): number[] {
  const tasks = '/proc/self/task';
  return readdirSync(tasks)
    .filter((task) => readFileSync(join(tasks, task, 'comm'), 'utf8') === `${name}\n`)
    .map((task) =>
      Number(
        readFileSync(join(tasks, task, 'stat'), 'utf8')
          .replace(/^.*\) /, '')
          .split(' ')[16],
      ),
    );
}

test('the thread gives way to calls', async () => {
  const { writer, close } = await openThread();
  await writer.appendLines([endOf(row(1))]);
  expect(nicenessOf('ledger')).toEqual([os.getPriority() + 5]);
  await close();
});
