// The program of the thread that writes the ledger (ledger-thread.ts): opens the database, writes each batch that it is sent,
// and answers. It loads little, because all of it is in memory a second time.
import { readlinkSync } from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { recordsOf } from '../ledger/journal-lines.ts';
import { rowOfUsage } from '../ledger/usage-rows.ts';
import { StoreBusy, StoreUnusable } from '../unusable.ts';
import { translated } from './errors.ts';
import { keyToucher, usageAppender } from './usage-appender.ts';

export interface LedgerTask {
  readonly lines?: readonly string[];
  readonly usedAt?: ReadonlyMap<string, number>;
}

/** What was wrong; undefined: nothing. Classes of errors do not survive the way between threads. */
export type LedgerAnswer =
  | { readonly kind: 'busy' | 'unusable' | 'other'; readonly message: string; readonly cause: unknown }
  | undefined;

export interface ThreadSettings {
  readonly file: string;
  readonly patienceMs: number;
}

/** Its pages are those at the ends of the tables; more would only be a second copy of the database. */
const cacheKib = 2_048;

/**
 * Added to the niceness of the process, so that calls come first where both need the same core. If it is never idle, the thread
 * still gets a quarter of it, twice what it needs. Linux counts niceness by thread (setpriority(2), "C library/kernel differences").
 */
const niceness = 5;

interface Writer {
  write(task: LedgerTask): void;
  close(): void;
}

function giveWay(): void {
  try {
    const [pid, , thread] = readlinkSync('/proc/thread-self').split('/');
    // Elsewhere /proc may be that of other process ids.
    if (Number(pid) === process.pid) os.setPriority(Number(thread), Math.min(19, os.getPriority() + niceness));
  } catch {
    // Without /proc, as on macOS, the thread is like any other.
  }
}

function openWriter({ file, patienceMs }: ThreadSettings): Writer {
  const database = new Database(file, { timeout: patienceMs, fileMustExist: true });
  // The journal that the batches come from is not flushed either.
  database.pragma('synchronous = NORMAL');
  database.pragma(`cache_size = -${cacheKib}`);
  const append = usageAppender(database);
  const touch = keyToucher(database);
  return {
    write: ({ lines, usedAt }) => {
      if (lines) append(recordsOf(lines).map(rowOfUsage));
      if (usedAt) touch(usedAt);
    },
    close: () => database.close(),
  };
}

function answerOf(error: unknown): LedgerAnswer {
  const told = translated(error);
  const kind = told instanceof StoreBusy ? 'busy' : told instanceof StoreUnusable ? 'unusable' : 'other';
  const { message, cause = error } = told as Error;
  const { message: why = '', code } = cause as { message?: string; code?: unknown };
  return { kind, message, cause: { message: why, code: String(code) } };
}

giveWay();
let writer: Writer | undefined;

parentPort?.on('message', (task: LedgerTask | 'close') => {
  if (task === 'close') {
    writer?.close();
    parentPort?.close();
    return;
  }
  let answer: LedgerAnswer;
  try {
    writer ??= openWriter(workerData as ThreadSettings);
    writer.write(task);
  } catch (error) {
    answer = answerOf(error);
  }
  parentPort?.postMessage(answer, []);
});
