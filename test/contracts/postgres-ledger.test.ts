// Several gates write the ledger of one PostgreSQL database: what a race, or an answer that was lost, must not change.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { openPostgres } from '../../src/store/postgres/open.ts';
import { StoreAway } from '../../src/store/unusable.ts';
import { eventually } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
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
