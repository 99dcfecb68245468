// A database that takes no rows for a long time, journals of any size, and kills in between: every exchange becomes one row
// in the end, memory holds a bounded number of them, and the journal shrinks again afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import type { RequestId } from '../../src/domain/id.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { linesOfAll } from '../../src/store/ledger/journal.ts';
import { recovered } from '../../src/store/ledger/journal-lines.ts';
import { Ledger } from '../../src/store/ledger/ledger.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { eventually, root, temporaryDirectory } from '../gate.ts';

const bounds = { rotateBytes: 20_000, maxPending: 100, batchRows: 40 };
const progress = () => ({ promptTokens: 0, completionTokens: 0, bytesIn: 0, bytesOut: 0 });

const rowOf = (number: number, outcome: UsageRecord['outcome'] = 'completed'): UsageRecord => ({
  id: `req_${String(number).padStart(20, '0')}` as RequestId,
  at: 1_800_000_000_000 + number,
  keyId: 'key_test' as UsageRecord['keyId'],
  accountId: 'acc_test' as UsageRecord['accountId'],
  operation: 'chat',
  model: 'gemma3:270m',
  upstream: 'http://127.0.0.1:1',
  outcome,
  status: 200,
  code: null,
  streamed: false,
  promptTokens: 1,
  completionTokens: 1,
  source: 'exact',
  bytesIn: 1,
  bytesOut: 1,
  firstByteMs: 1,
  durationMs: 1,
  queuedMs: 0,
  address: '127.0.0.1',
  repeats: 1,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  askedModel: null,
  fallbackFor: null,
});

const segmentsIn = (dataDir: string): string[] => readdirSync(join(dataDir, 'journal')).toSorted();

/** Every row once, with its totals. */
async function expectRows(store: Store, count: number): Promise<void> {
  const rows = await store.listUsage(100_000);
  expect(rows.map(({ id }) => id).toSorted()).toEqual(Array.from({ length: count }, (_, at) => rowOf(at).id));
  const [sum] = await store.reportUsage('account', 0, Number.MAX_SAFE_INTEGER);
  expect(sum).toMatchObject({ requests: count });
}

/** Runs a script in a process of its own, whose data directory is a disk of 64 KiB; returns its output. */
async function runOnSmallDisk(dataDir: string, script: string): Promise<Record<string, unknown>> {
  const child = spawn(
    'unshare',
    [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      `mount -t tmpfs -o size=64k tmpfs ${dataDir} && exec "$0" "$@"`,
      process.execPath,
      '--input-type=module',
      '-e',
      script,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  await once(child, 'close');
  return JSON.parse(output) as Record<string, unknown>;
}

test('a database that recovers after a long lock gets every row, and the journal rotates again', async () => {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir, 0, 'gate');
  const errors: unknown[] = [];
  const ledger = await Ledger.start(store, dataDir, (error) => errors.push(error), bounds);
  const open = ledger.begin(rowOf(0), progress);
  const other = new Database(join(dataDir, 'sekisho.db'));
  other.exec('begin immediate');
  for (let number = 1; number < 1_000; number++) {
    ledger.end(rowOf(number), ledger.begin(rowOf(number), progress));
    // A timer begins new segments.
    if (number % 100 === 0) {
      const before = segmentsIn(dataDir).length;
      await eventually(() => expect(segmentsIn(dataDir).length).toBeGreaterThan(before));
    }
  }
  await expect(ledger.settle()).rejects.toThrow('wait in the journal');
  expect(errors.length).toBeGreaterThan(0);
  expect(segmentsIn(dataDir).length).toBeGreaterThan(5);
  other.exec('rollback');
  other.close();
  await ledger.settle();
  expect((await store.listUsage(100_000)).length).toBe(999);
  // One segment is left, with the open exchanges.
  expect(segmentsIn(dataDir)).toHaveLength(1);
  expect(readFileSync(join(dataDir, 'journal', segmentsIn(dataDir)[0] as string), 'utf8')).toContain(rowOf(0).id);
  // From here on, everything is as it was.
  for (let number = 1_000; number < 1_300; number++) {
    ledger.end(rowOf(number), ledger.begin(rowOf(number), progress));
    if (number % 100 === 0) await ledger.settle();
  }
  await ledger.settle();
  await eventually(() => {
    expect(segmentsIn(dataDir)).toHaveLength(1);
    expect(statSync(join(dataDir, 'journal', segmentsIn(dataDir)[0] as string)).size).toBeLessThan(bounds.rotateBytes);
  });
  ledger.end(rowOf(0), open);
  await ledger.close();
  expect(segmentsIn(dataDir)).toEqual([]);
  await expectRows(store, 1_300);
  await store.close();
});

test.each(['while the database is locked', 'while it catches up'])(
  'a kill %s loses no row and duplicates none',
  async (when) => {
    const dataDir = temporaryDirectory();
    const store = await openSqlite(dataDir);
    const script = `
      import { readdirSync } from 'node:fs';
      import { setImmediate as nextTurn } from 'node:timers/promises';
      import { Ledger } from ${JSON.stringify(join(root, 'src/store/ledger/ledger.ts'))};
      import { openSqlite } from ${JSON.stringify(join(root, 'src/store/sqlite/open.ts'))};
      const row = ${JSON.stringify(rowOf(0))};
      const rowOf = (number) => ({ ...row, id: 'req_' + String(number).padStart(20, '0'), at: row.at + number });
      const progress = () => ({ promptTokens: 0, completionTokens: 0, bytesIn: 0, bytesOut: 0 });
      const segments = () => readdirSync(${JSON.stringify(join(dataDir, 'journal'))}).join();
      const store = await openSqlite(${JSON.stringify(dataDir)}, 0, 'gate');
      let batches = 0;
      const slow = {
        touchKeys: (used) => store.touchKeys(used),
        flushLines: () => store.flushLines(),
        noteRecovered: (accounts) => store.noteRecovered(accounts),
        appendLines: async (lines) => {
          await store.appendLines(lines);
          if (++batches === 4) console.log('half');
          if (batches >= 4) await new Promise(() => undefined);
        },
      };
      const ledger = await Ledger.start(slow, ${JSON.stringify(dataDir)}, () => {}, ${JSON.stringify(bounds)});
      for (let number = 0; number < 600; number++) {
        const begun = ledger.begin(rowOf(number), progress);
        if (number % 50 !== 0) ledger.end(rowOf(number), begun);
        if (number % 100 !== 99) continue;
        for (const before = segments(); segments() === before; ) await nextTurn();
      }
      console.log('written');
      setInterval(() => {}, 1_000);`;
    const other = new Database(join(dataDir, 'sekisho.db'));
    other.exec('begin immediate');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    await eventually(() => expect(output).toContain('written'));
    if (when === 'while it catches up') {
      other.exec('rollback');
      await eventually(() => expect(output).toContain('half'));
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    if (other.inTransaction) other.exec('rollback');
    other.close();
    const ledger = await Ledger.start(store, dataDir, () => undefined, bounds);
    await ledger.close();
    await expectRows(store, 600);
    expect(segmentsIn(dataDir)).toEqual([]);
    await store.close();
  },
);

test('ends in one turn of the event loop are written together, and each caller gets its end only afterwards', async () => {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir);
  const ledger = await Ledger.start(store, dataDir, () => undefined);
  const journal = () =>
    segmentsIn(dataDir)
      .map((name) => readFileSync(join(dataDir, 'journal', name), 'utf8'))
      .join('');
  const heard: string[] = [];
  await new Promise<void>((resolve) => {
    for (let number = 0; number < 3; number++) {
      const row = rowOf(number);
      ledger.endSoon(row, ledger.begin(row, progress), () => {
        heard.push(row.id);
        for (let other = 0; other < 3; other++) expect(journal()).toContain(`E{"id":"${rowOf(other).id}"`);
        if (heard.length === 3) resolve();
      });
    }
    expect(journal()).toBe('');
  });
  expect(heard).toEqual([0, 1, 2].map((number) => rowOf(number).id));
  // A stop, a report or a new segment loses nothing that waits to be written.
  ledger.endSoon(rowOf(3), ledger.begin(rowOf(3), progress), () => heard.push('stopped'));
  expect(ledger.isBehind).toBe(true);
  await ledger.settle();
  await expectRows(store, 4);
  ledger.endSoon(rowOf(4), ledger.begin(rowOf(4), progress), () => heard.push('stopped'));
  await ledger.close();
  await nextTurn();
  expect(heard.slice(3)).toEqual(['stopped', 'stopped']);
  await expectRows(store, 5);
  await store.close();
});

test('an end that waits while the journal cannot be written reaches the store, and its caller gets it', async () => {
  const dataDir = temporaryDirectory();
  const script = `
    import { rmSync, writeFileSync } from 'node:fs';
    import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
    import { Ledger } from ${JSON.stringify(join(root, 'src/store/ledger/ledger.ts'))};
    const row = ${JSON.stringify(rowOf(0))};
    const rowOf = (number) => ({ ...row, id: 'req_' + String(number).padStart(20, '0') });
    const progress = () => ({ promptTokens: 0, completionTokens: 0, bytesIn: 0, bytesOut: 0 });
    const stored = [];
    const store = { appendLines: async (lines) => void stored.push(...lines.map((line) => JSON.parse(line.slice(1)).id)), touchKeys: async () => {}, flushLines: async () => {}, noteRecovered: async () => {} };
    let failures = 0;
    const ledger = await Ledger.start(store, ${JSON.stringify(dataDir)}, () => failures++);
    const begun = [];
    for (let number = 0; number < 200; number++) begun.push(ledger.begin(rowOf(number), progress));
    await nextTurn();
    const filler = ${JSON.stringify(join(dataDir, 'filler'))};
    try { writeFileSync(filler, Buffer.alloc(1024 * 1024)); } catch {}
    let heard = 0;
    for (const [number, entry] of begun.entries()) ledger.endSoon(rowOf(number), entry, () => heard++);
    await nextTurn();
    await nextTurn();
    const early = heard;
    rmSync(filler);
    // With them, a new segment would need more room than there is.
    while (stored.length < 200) await sleep(5);
    ledger.begin(rowOf(999), progress);
    await nextTurn();
    await ledger.settle();
    console.log(JSON.stringify({ early, failures, stored: [...new Set(stored)].length, twice: stored.length }));
    process.kill(process.pid, 'SIGKILL');`;
  const said = await runOnSmallDisk(dataDir, script);
  expect(said).toEqual({ early: 200, failures: said['failures'], stored: 200, twice: 200 });
  expect(said['failures']).toBeGreaterThan(0);
});

test('a journal longer than any string, with endless lines, is read', async () => {
  const dataDir = temporaryDirectory();
  const store = await openSqlite(dataDir);
  mkdirSync(join(dataDir, 'journal'));
  const file = join(dataDir, 'journal', '00000007.ndjson');
  writeFileSync(file, `E${JSON.stringify(rowOf(0))}\n`);
  // A hole, which the disk does not store and a reader sees as 513 MiB of zeros in one line.
  truncateSync(file, 513 * 1024 * 1024);
  appendFileSync(file, `\nE${JSON.stringify(rowOf(1))}\nE${JSON.stringify(rowOf(2))}`);
  const ledger = await Ledger.start(store, dataDir, () => undefined);
  await expectRows(store, 3);
  expect(segmentsIn(dataDir)).toEqual(['00000008.ndjson']);
  await ledger.close();
  await store.close();
});

test('what began or ended while the disk was full is in the journal as soon as there is room, before anything else begins', async () => {
  const dataDir = temporaryDirectory();
  const copy = temporaryDirectory();
  const script = `
    import { cpSync, rmSync, writeFileSync } from 'node:fs';
    import { setImmediate as nextTurn } from 'node:timers/promises';
    import { Ledger } from ${JSON.stringify(join(root, 'src/store/ledger/ledger.ts'))};
    const row = ${JSON.stringify(rowOf(0))};
    const rowOf = (number) => ({ ...row, outcome: 'interrupted', id: 'req_' + String(number).padStart(20, '0') });
    const progress = () => ({ promptTokens: 0, completionTokens: 0, bytesIn: 0, bytesOut: 0 });
    const store = { appendLines: async () => { throw new Error('no room'); }, touchKeys: async () => {}, flushLines: async () => {}, noteRecovered: async () => {} };
    let failures = 0;
    const ledger = await Ledger.start(store, ${JSON.stringify(dataDir)}, () => failures++);
    const before = ledger.begin(rowOf(0), progress);
    await nextTurn();
    const filler = ${JSON.stringify(join(dataDir, 'filler'))};
    try { writeFileSync(filler, Buffer.alloc(1024 * 1024)); } catch {}
    // What fits into the last piece of the file that is there still goes in.
    let lost = 1;
    for (failures = 0; failures === 0; lost++) {
      ledger.begin(rowOf(lost), progress);
      await nextTurn();
    }
    ledger.end({ ...rowOf(0), outcome: 'completed' }, before);
    let refused = 0;
    try { ledger.begin(rowOf(998), progress); } catch { refused++; }
    rmSync(filler);
    await new Promise((resolve) => setTimeout(resolve, 30));
    ledger.begin(rowOf(999), progress);
    await nextTurn();
    cpSync(${JSON.stringify(join(dataDir, 'journal'))}, ${JSON.stringify(copy)}, { recursive: true });
    console.log(JSON.stringify({ lost, refused }));
    process.kill(process.pid, 'SIGKILL');`;
  const { lost, refused } = (await runOnSmallDisk(dataDir, script)) as { lost: number; refused: number };
  expect(refused).toBe(1);
  const paths = readdirSync(copy)
    .toSorted()
    .map((name) => join(copy, name));
  const found = new Map([...recovered(linesOfAll(paths))].map(({ id, outcome }) => [id, outcome]));
  expect(found.get(rowOf(0).id)).toBe('completed');
  for (const number of [...Array.from({ length: lost - 1 }, (_, at) => at + 1), 999])
    expect([number, found.get(rowOf(number).id)]).toEqual([number, 'interrupted']);
  expect(found.has(rowOf(998).id)).toBe(false);
});

test('a stop says how many records are only in the journal, and the next start writes them', async () => {
  const dataDir = temporaryDirectory();
  const away = {
    appendLines: () => Promise.reject(new Error('away')),
    touchKeys: () => Promise.resolve(),
    flushLines: () => Promise.resolve(),
    noteRecovered: () => Promise.resolve(),
  };
  const ledger = await Ledger.start(away, dataDir, () => undefined, { ...bounds, maxPending: 2 });
  for (let number = 0; number < 5; number++) ledger.end(rowOf(number), ledger.begin(rowOf(number), progress));
  expect(await ledger.close()).toBe(5);
  const store = await openSqlite(dataDir);
  const next = await Ledger.start(store, dataDir, () => undefined);
  await expectRows(store, 5);
  expect(await next.close()).toBe(0);
  await store.close();
});

test('a stop on a full disk fails if a record is nowhere, and not if there is room again', async () => {
  const dataDir = temporaryDirectory();
  const script = `
    import { rmSync, writeFileSync } from 'node:fs';
    import { Ledger } from ${JSON.stringify(join(root, 'src/store/ledger/ledger.ts'))};
    const row = ${JSON.stringify(rowOf(0))};
    const rowOf = (number) => ({ ...row, id: 'req_' + String(number).padStart(20, '0') });
    const store = { appendLines: async () => { throw new Error('no room'); }, touchKeys: async () => {}, flushLines: async () => {}, noteRecovered: async () => {} };
    const filler = ${JSON.stringify(join(dataDir, 'filler'))};
    const stopped = [];
    for (const isFreed of [false, true]) {
      let failures = 0;
      const ledger = await Ledger.start({ ...store, appendLines: async () => {} }, ${JSON.stringify(dataDir)}, () => {});
      await ledger.close();
      const full = await Ledger.start(store, ${JSON.stringify(dataDir)}, () => failures++);
      try { writeFileSync(filler, Buffer.alloc(1024 * 1024)); } catch {}
      for (let number = 0; failures === 0; number++) full.end(rowOf(number), undefined);
      if (isFreed) rmSync(filler);
      stopped.push(await full.close().then((records) => records > 0 ? 'kept' : 'none', () => 'failed'));
      rmSync(filler, { force: true });
    }
    console.log(JSON.stringify({ stopped }));
    process.kill(process.pid, 'SIGKILL');`;
  expect(await runOnSmallDisk(dataDir, script)).toEqual({ stopped: ['failed', 'kept'] });
});
