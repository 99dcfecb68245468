// `sekisho migrate --to postgres://…` is killed at random moments, again and again: it goes on where it was, nothing is lost or copied
// twice, and the file that it reads stays as it is to the byte.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { record } from '../contracts/requests.ts';
import { commandFile, root, sekisho, temporaryDirectory } from '../gate.ts';
import { asking, startPostgres } from '../postgres.ts';

const calls = 20_000;
const startsAt = Date.UTC(2026, 0, 30);

test('a move that is killed at random moments ends with every row once, and leaves the file as it was', async () => {
  const DATA_DIR = temporaryDirectory();
  const store = await openSqlite(DATA_DIR);
  const rows = Array.from({ length: calls }, (_, at) => record(startsAt + at * 20_000, { promptTokens: at }));
  for (let from = 0; from < calls; from += 2_000) await store.appendUsage(rows.slice(from, from + 2_000));
  await store.close();
  const hash = (): string =>
    createHash('sha256')
      .update(readFileSync(join(DATA_DIR, 'sekisho.db')))
      .digest('hex');
  const before = hash();
  const server = await startPostgres();
  const url = await server.database();
  const moved = async (): Promise<number> =>
    asking<{ moved: number }>(url, 'select count(*)::int as moved from usage').then(
      ([found]) => found?.moved ?? 0,
      // The tables are not there yet.
      () => -1,
    );
  const reached: number[] = [];
  let isDone = false;
  for (let kill = 0; kill < 5 && !isDone; kill++) {
    const enough = Math.max(-1, await moved()) + Math.floor((Math.random() * calls) / 6);
    const child = spawn(process.execPath, [commandFile, 'migrate', '--to', url], {
      cwd: root,
      env: { PATH: process.env['PATH'], DATA_DIR },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    while ((await moved()) < enough && child.exitCode === null) continue;
    child.kill('SIGKILL');
    const [code] = (await ended) as [number | null];
    reached.push(await moved());
    expect(hash()).toBe(before);
    // On a busy machine it may be done before it is killed.
    expect([0, null]).toContain(code);
    isDone = code === 0;
  }
  expect(Math.max(...reached)).toBeGreaterThan(0);
  if (!isDone) expect(await sekisho(['migrate', '--to', url], { DATA_DIR })).toMatchObject({ code: 0, err: '' });
  const [held] = await asking(
    url,
    `select count(*)::int as rows, count(distinct id)::int as ids, sum(prompt_tokens)::int as tokens,
       (select sum(requests)::int from usage_quarterly) as sums, (select sum(prompt_tokens)::int from usage_quarterly) as summed
     from usage`,
  );
  const tokens = (calls * (calls - 1)) / 2;
  expect(held).toEqual({ rows: calls, ids: calls, tokens, sums: calls, summed: tokens });
  expect(hash()).toBe(before);
  await server.stop();
});
