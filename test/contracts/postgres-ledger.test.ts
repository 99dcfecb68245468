// Several gates write the ledger of one PostgreSQL database: what a race, or an answer that was lost, must not change.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { openPostgres } from '../../src/store/postgres/open.ts';
import { StoreAway, StoreBusy } from '../../src/store/unusable.ts';
import { eventually } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { record } from './requests.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** A batch of calls of one account to a few models, with costs. */
const batch = (at: number, size: number): UsageRecord[] =>
  Array.from({ length: size }, (_, n) => ({
    ...record(at + n),
    model: `m${n % 7}`,
    upstream: 'u',
    outcome: 'completed',
    status: 200,
    promptTokens: n,
    cost: { unit: 'page', units: 2 },
  }));

/** How many calls, tokens and units the rows and each of their sums hold. */
const held = `
  select 'rows' as of, count(*)::int as calls, sum(prompt_tokens)::int as tokens, sum(units)::int as units from usage
  union all select 'quarters', sum(requests)::int, sum(prompt_tokens)::int,
    (select sum(units)::int from unit_quarterly) from usage_quarterly
  union all select 'steps', (select sum(requests)::int from outcome_steps where step = 900000), sum(prompt_tokens)::int, null
  from latency_steps where step = 900000`;

const heldOf = (rows: readonly UsageRecord[]) => {
  const [calls, tokens] = [rows.length, rows.reduce((sum, { promptTokens }) => sum + promptTokens, 0)];
  return [
    { of: 'rows', calls, tokens, units: 2 * calls },
    { of: 'quarters', calls, tokens, units: 2 * calls },
    { of: 'steps', calls, tokens, units: null },
  ];
};

test('gates that write the same calls in opposite orders do not lock each other out, and each call counts once', async () => {
  const settings = { url: await server.database(), connections: 2 };
  const [a, b] = [await openPostgres(settings), await openPostgres(settings)];
  const all: UsageRecord[] = [];
  for (let round = 0; round < 30; round++) {
    const rows = batch(Date.UTC(2026, 0, 1 + round), 400);
    all.push(...rows);
    await Promise.all([a.appendUsage(rows), b.appendUsage(rows.toReversed())]);
  }
  expect(await asking(settings.url, held)).toEqual(heldOf(all));
  await a.close();
  await b.close();
});

/** Passes everything on, until `losing` is set: then a COMMIT reaches the server, and its answer reaches nobody. */
async function startLosingProxy(port: number) {
  const proxy = { losing: false, lost: 0 };
  const listening = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    let isLost = false;
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      socket.on('error', () => undefined).on('close', () => other.destroy());
    client.on('data', (chunk) => {
      isLost ||= proxy.losing && chunk.includes('commit');
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isLost) return client.write(chunk);
      proxy.lost++;
      return client.destroy();
    });
  });
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const close = (): void => void listening.close();
  return Object.assign(proxy, { port: (listening.address() as AddressInfo).port, close });
}

test('a batch whose COMMIT was not answered is written again without counting anything twice', async () => {
  const direct = await server.database();
  const proxy = await startLosingProxy(server.port);
  const through = new URL(direct);
  through.port = String(proxy.port);
  const store = await openPostgres({ url: through.href, connections: 2 });
  const rows = batch(Date.UTC(2026, 0, 1), 50);
  // The month is made in a transaction of its own.
  await store.appendUsage(rows.slice(0, 1));
  proxy.losing = true;
  await expect(store.appendUsage(rows)).rejects.toThrow(StoreAway);
  expect(proxy.lost).toBe(1);
  // It was committed, which the gate does not know.
  expect(await asking(direct, held)).toEqual(heldOf(rows));
  proxy.losing = false;
  await eventually(() => store.appendUsage(rows));
  expect(await asking(direct, held)).toEqual(heldOf(rows));
  await store.close();
  proxy.close();
});

/** A session of another program, which holds what it asks for. */
async function session(url: string, text: string): Promise<pg.Client> {
  const client = await connectTo(url);
  await client.query(`set deadlock_timeout = '1h'; begin; ${text}`);
  return client;
}

const locks = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;

const waiting = (url: string, sessions: number): Promise<void> =>
  eventually(async () => expect(await asking(url, locks)).toHaveLength(sessions));

/** Does it until it is seen to wait for another session. It gives way soon, and changes nothing then. */
async function seenToWait<T>(url: string, work: () => Promise<T>): Promise<{ readonly over: Promise<T> }> {
  const watcher = await connectTo(url);
  try {
    for (;;) {
      const tried = { isOver: false };
      const over = work().finally(() => (tried.isOver = true));
      while (!tried.isOver) if ((await watcher.query(locks)).rowCount === 1) return { over };
    }
  } finally {
    await watcher.end();
  }
}

test('a batch that PostgreSQL has undone because of a deadlock is written again at once, and counts once', async () => {
  const url = await server.database();
  const store = await openPostgres({ url, connections: 2 });
  const rows = batch(Date.UTC(2026, 0, 1), 14);
  await store.appendUsage(rows.slice(0, 7));
  const next = rows.slice(7);
  const other = await session(url, 'select 1 from usage_quarterly for update');
  const third = await session(url, 'lock table usage_quarterly in share mode');
  const appended = store.appendUsage(next);
  await waiting(url, 1);
  const crossed = other.query(
    `insert into usage select (json_populate_record(u, '{"id": "${next[0]!.id}"}')).* from usage u limit 1`,
  );
  await waiting(url, 2);
  // Now the batch waits for the session that waits for it, and is the one to find out.
  await third.query('rollback');
  await crossed;
  await other.query('rollback');
  await appended;
  expect(await asking(url, held)).toEqual(heldOf(rows));
  for (const each of [other, third]) await each.end();
  await store.close();
});

test('a new month gives way to a report that runs, and holds up no other report; its rows are written afterwards', async () => {
  const url = await server.database();
  const store = await openPostgres({ url, connections: 2 });
  const report = await session(url, 'select count(*) from usage');
  const rows = batch(Date.UTC(2026, 0, 1), 7);
  const { over } = await seenToWait(url, () => store.appendUsage(rows).catch((error: unknown) => error));
  const other = await session(url, "set local lock_timeout = '2s'; select count(*) from usage");
  expect(await over).toBeInstanceOf(StoreBusy);
  for (const each of [report, other]) await each.end();
  await store.appendUsage(rows);
  expect(await asking(url, held)).toEqual(heldOf(rows));
  await store.close();
});

test('an old month that is dropped gives way to a report that runs, and holds up no call and no other report', async () => {
  const url = await server.database();
  const store = await openPostgres({ url, connections: 2 });
  const rows = batch(Date.UTC(2026, 0, 1), 7);
  await store.appendUsage([...batch(Date.UTC(2025, 0, 1), 7), ...rows]);
  const report = await session(url, 'select count(*) from usage');
  const { over } = await seenToWait(url, () =>
    store.pruneUsage(Date.UTC(2025, 5, 1), 10).catch((error: unknown) => error),
  );
  const other = await session(url, "set local lock_timeout = '2s'; select count(*) from usage");
  await store.appendUsage(batch(Date.UTC(2026, 0, 2), 7));
  expect(await over).toBeInstanceOf(StoreBusy);
  for (const each of [report, other]) await each.end();
  expect(await store.pruneUsage(Date.UTC(2025, 5, 1), 10)).toBe(10);
  expect(await asking(url, `select count(*)::int as rows from usage`)).toEqual([{ rows: 14 }]);
  await store.close();
});

test('gates that meet a new month at once make it once, and a late row of the month before goes where it belongs', async () => {
  const settings = { url: await server.database(), connections: 2 };
  const stores = await Promise.all(Array.from({ length: 4 }, () => openPostgres(settings)));
  const turn = Date.UTC(2026, 2, 1);
  const parts = stores.map((_, at) => batch(turn - 20 + at * 10, 40));
  const all: UsageRecord[] = [];
  await Promise.all(
    stores.map(async (store, at) => {
      all.push(...parts[at]!);
      await eventually(() => store.appendUsage(parts[at]!));
    }),
  );
  const late = batch(turn - 86_400_000, 7);
  await stores[0]!.appendUsage(late);
  expect(await asking(settings.url, held)).toEqual(heldOf([...all, ...late]));
  const astray = `select 1 from usage_other union all select 1 from usage_2026_02 where at >= ${turn}
    union all select 1 from usage_2026_03 where at < ${turn}`;
  expect(await asking(settings.url, astray)).toEqual([]);
  await Promise.all(stores.map((store) => store.close()));
});
