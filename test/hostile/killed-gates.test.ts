// Four gateways under load behind connections that are reset, while they are killed, frozen and started again at random moments, and
// Redis and PostgreSQL with them: afterwards the ledger, its sums, the windows in Redis and what callers were told agree.
// SECONDS=180 does it for that long; the seed is in the output.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts';
import { eventually, type GateProcess, spawnGate } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { givenUpSoon, sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

const seconds = Number(process.env['SECONDS'] ?? 12);
const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const callers = 12;

let postgres: PostgresServer;
let redis: RedisServer;
let fake: FakeOllama;
let url: string;
const places: { gate: GateProcess; readonly proxy: FaultProxy; readonly data: { readonly DATA_DIR: string } }[] = [];

beforeAll(async () => {
  [postgres, redis, fake] = await Promise.all([startPostgres(), startRedis(), startFakeOllama({ pieceDelayMs: 3 })]);
  url = await postgres.database();
  environment = { DATABASE_URL: url, REDIS_URL: redis.database(), UPSTREAM: fake.url, SLOTS: '8' };
  for (let i = 0; i < 4; i++) {
    const data = sharingSecret();
    const gate = await open(data);
    places.push({ gate, data, proxy: await startFaultProxy(gate.url) });
  }
});
afterAll(async () => {
  for (const { gate } of places) gate.process.kill('SIGKILL');
  await Promise.all(places.map(({ gate, proxy }) => Promise.all([gate.ended, proxy.close()])));
  await Promise.all([postgres.stop(), redis.stop(), fake.close()]);
});

let environment: Record<string, string>;
const open = (data: { readonly DATA_DIR: string }): Promise<GateProcess> =>
  spawnGate({ ...environment, ...givenUpSoon, ANSWER_MS: '250', ...data }, [process.execPath, 'test/quick-gate.ts']);

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Told {
  readonly id: string;
  readonly prompt: number;
  readonly completion: number;
}

test('nothing is lost, nothing counts twice, and no limit is exceeded', {
  timeout: (seconds + 600) * 1000,
}, async () => {
  process.stderr.write(`seed ${seed}\n`);
  const random = randomFrom(seed);
  const most = 400 * seconds;
  const members = [
    await places[0]!.gate.member({ requestsPerDay: 40 }),
    await places[1]!.gate.member({
      requestsPerDay: most,
      tokensPerDay: 1e9,
      concurrentRequests: 4,
      waitingRequests: 50,
    }),
    await places[2]!.gate.member({ requestsPerDay: most }),
  ];
  const told = members.map((): Told[] => []);
  const codes = new Map<string, number>();
  const over = new AbortController();
  const call = async (who: number): Promise<void> => {
    const { proxy } = places[Math.floor(random() * places.length)]!;
    const answer = await fetch(`${proxy.url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': members[who]!.secret },
      body: JSON.stringify({ model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] }),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await answer.text();
    if (!answer.ok) {
      const code = (JSON.parse(text) as { code: string }).code;
      codes.set(code, (codes.get(code) ?? 0) + 1);
      await sleep(20);
      return;
    }
    const last = JSON.parse(text.trim().split('\n').at(-1)!) as {
      done?: boolean;
      prompt_eval_count: number;
      eval_count: number;
    };
    if (last.done === true)
      told[who]!.push({
        id: answer.headers.get('x-request-id') ?? '',
        prompt: last.prompt_eval_count,
        completion: last.eval_count,
      });
  };
  const load = Array.from({ length: callers }, async (_, at) => {
    while (!over.signal.aborted)
      await call(at % members.length).catch(async () => {
        codes.set('broken', (codes.get('broken') ?? 0) + 1);
        await sleep(20);
      });
  });
  const faults: readonly (readonly [number, () => Promise<unknown>])[] = [
    [5, () => replace()],
    [3, () => freeze()],
    [4, () => reset()],
    [1, () => hang(redis, 100 + random() * 1_500)],
    [1, () => hang(postgres, 100 + random() * 3_000)],
    [1, () => redis.ask('FLUSHALL')],
    [1, () => crash(redis)],
    [1, () => crash(postgres)],
  ];
  const place = (): (typeof places)[number] => places[Math.floor(random() * places.length)]!;
  const replace = async (): Promise<void> => {
    const one = place();
    one.gate.process.kill('SIGKILL');
    await one.gate.ended;
    if (random() < 0.3) await sleep(random() * 3_000);
    one.gate = await open(one.data);
    one.proxy.lead(one.gate.url);
  };
  const freeze = async (): Promise<void> => {
    const { gate } = place();
    gate.process.kill('SIGSTOP');
    await sleep(100 + random() * 4_000);
    gate.process.kill('SIGCONT');
  };
  const reset = async (): Promise<void> => {
    const { proxy } = place();
    proxy.faults = { reset: Math.floor(random() * 3_000) };
    await sleep(200);
    proxy.faults = {};
  };
  const hang = async (server: { signal(name: NodeJS.Signals): void }, ms: number): Promise<void> => {
    server.signal('SIGSTOP');
    await sleep(ms);
    server.signal('SIGCONT');
  };
  const crash = async (server: RedisServer | PostgresServer): Promise<void> => {
    await server.kill();
    await sleep(random() * 2_000);
    await server.start();
  };
  const chosen = (): (() => Promise<unknown>) => {
    let at = random() * faults.reduce((sum, [weight]) => sum + weight, 0);
    return faults.find(([weight]) => (at -= weight) < 0)![1];
  };
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    await sleep(random() * 600);
    await chosen()();
  }
  over.abort();
  await Promise.all(load);
  expect([...codes.keys()]).not.toContain('internal');

  for (const [who, { account, secret }] of members.entries()) {
    const own = `account_id = '${account.id}'`;
    await eventually(async () => {
      const rows = await asking<Record<string, number | string>>(
        url,
        `select id, prompt_tokens, completion_tokens from usage where ${own}`,
      );
      const byId = new Map(
        rows.map((row) => [row['id'], [row['prompt_tokens'], row['completion_tokens']].map(Number)]),
      );
      for (const { id, prompt, completion } of told[who]!) expect(byId.get(id)).toEqual([prompt, completion]);
    });
    await eventually(async () => {
      const [row] = await asking(
        url,
        `select count(*) filter (where outcome <> 'refused') as calls, sum(repeats) - (select sum(requests) from usage_quarterly where ${own}) as off,
           sum(prompt_tokens + completion_tokens) - (select sum(prompt_tokens + completion_tokens) from usage_quarterly where ${own}) as tokens_off
         from usage where ${own}`,
      );
      expect([row!['off'], row!['tokens_off']].map(Number)).toEqual([0, 0]);
      for (const { gate } of places) {
        const answer = await fetch(`${gate.url}/management/v1/me/limits`, { headers: { 'x-api-key': secret } });
        // It may not be asked more often.
        await sleep(500);
        const text = await answer.text();
        if (!answer.ok) throw new Error(`${answer.status} ${text}`);
        const { items } = JSON.parse(text) as {
          items: { per: string; measure: string; window: string; used: number }[];
        };
        expect(
          items.find(({ per, measure, window }) => `${per} ${measure} ${window}` === 'account requests day')?.used,
        ).toBe(Number(row!['calls']));
      }
    }, 90_000);
  }
  expect(told[0]!.length).toBeLessThanOrEqual(40);
  const [rows] = await asking(
    url,
    "select sum(prompt_tokens) as prompt, sum(completion_tokens) as completion from usage where outcome = 'completed'",
  );
  expect(Number(rows!['prompt'])).toBeLessThanOrEqual(fake.totals.promptTokens);
  expect(Number(rows!['completion'])).toBeLessThanOrEqual(fake.totals.completionTokens);
  process.stderr.write(`${JSON.stringify([told.map((each) => each.length), Object.fromEntries(codes)])}\n`);
});
