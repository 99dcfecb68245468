// Gateways of one PostgreSQL and one Redis on machines of which one has a clock that is an hour ahead and one that is an hour behind: each
// row of the table in docs/several-gateways.md. A row without a test fails, and so does a test without a row.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { commandFile, eventually, type GateProcess, post, root, run, spawnGate } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { sharingSecret } from '../quick-gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { totp } from '../totp.ts';
import { goodPassword, operatorOf, Visitor } from '../visitor.ts';

const hourMs = 3_600_000;
const minuteMs = 60_000;
let postgres: PostgresServer;
let redis: RedisServer;
let fake: FakeOllama;
let url: string;
let environment: Record<string, string>;
let right: GateProcess;
let ahead: GateProcess;
let behind: GateProcess;
let all: readonly GateProcess[];

/** Words for Node: its clock shows this much more. */
const clock = (ms: number): readonly string[] => [
  '--import',
  `data:text/javascript,${encodeURIComponent(`
const Right = Date;
globalThis.Date = class Date extends Right {
  constructor(...given) { if (given.length === 0) super(Right.now() + ${ms}); else super(...given); }
  static now() { return Right.now() + ${ms}; }
};`)}`,
];

beforeAll(async () => {
  [postgres, redis, fake] = await Promise.all([startPostgres(), startRedis(), startFakeOllama()]);
  url = await postgres.database();
  environment = { DATABASE_URL: url, REDIS_URL: redis.database(), UPSTREAM: fake.url };
  right = await start(0);
  [ahead, behind] = await Promise.all([start(hourMs), start(-hourMs)]);
  all = [right, ahead, behind];
});
afterAll(async () => {
  for (const gate of all) gate.process.kill('SIGKILL');
  await Promise.all(all.map(({ ended }) => ended));
  await Promise.all([postgres.stop(), redis.stop(), fake.close()]);
});

const start = (ms: number): Promise<GateProcess> =>
  spawnGate({ ...environment, ...sharingSecret() }, [process.execPath, ...clock(ms), 'test/quick-gate.ts']);

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const send = async (gate: GateProcess, secret: string): Promise<string> => {
  const answer = await post(`${gate.url}/api/chat`, secret, chat);
  const text = await answer.text();
  return answer.ok ? 'ok' : (JSON.parse(text) as { code: string }).code;
};
const forAll = (ask: (gate: GateProcess) => Promise<unknown>): Promise<unknown[]> => Promise.all(all.map(ask));
const at = (gate: GateProcess, { cookies }: Visitor): Visitor => {
  const visitor = new Visitor(gate.url);
  for (const [name, value] of cookies) visitor.cookies.set(name, value);
  return visitor;
};
/** Their names are of the database, not of the gateway. */
const maker = {};
const personAt = (gate: GateProcess): Promise<Visitor> =>
  operatorOf(Object.assign(maker, { url: gate.url, manage: gate.manage }));
const isNow = (ms: unknown): void => expect(Math.abs(Number(ms) - Date.now())).toBeLessThan(5 * minuteMs);

const tests: Readonly<Record<string, () => Promise<unknown>>> = {
  'keys and suspensions that end by themselves': async () => {
    const ends = Date.now() + 2_000;
    const [lasting, ending] = [
      await right.key({ expiresAt: Date.now() + hourMs / 2 }),
      await right.key({ expiresAt: ends }),
    ];
    expect(await forAll((gate) => send(gate, lasting.secret))).toEqual(['ok', 'ok', 'ok']);
    await eventually(async () =>
      expect(await forAll((gate) => send(gate, ending.secret))).toEqual(all.map(() => 'key_expired')),
    );
    expect(Date.now()).toBeGreaterThanOrEqual(ends);
  },
  'sessions, and what needs a recent sign-in': async () => {
    for (const first of all) {
      const operator = await personAt(first);
      expect(await forAll(async (gate) => (await at(gate, operator).get('/session')).body.person.fresh)).toEqual([
        true,
        true,
        true,
      ]);
    }
    for (const { createdAt, expiresAt } of await asking<{ createdAt: string; expiresAt: string }>(
      url,
      'select "createdAt", "expiresAt" from sessions',
    )) {
      isNow(Date.parse(createdAt));
      isNow(Date.parse(expiresAt) - 24 * hourMs);
    }
  },
  'codes of authenticator apps': async () => {
    const operator = await personAt(right);
    const { body } = await operator.auth('/two-factor/enable', { password: goodPassword });
    const secret = new URL(body.totpURI).searchParams.get('secret') ?? '';
    const prove = async (gate: GateProcess): Promise<number> =>
      (await at(gate, operator).auth('/two-factor/verify-totp', { code: totp(secret) })).status;
    expect([await prove(ahead), await prove(behind), await prove(right)]).toEqual([401, 401, 200]);
  },
  'limits per minute, hour, day and month': async () => {
    const member = await right.member({ requestsPerDay: 6, requestsPerHour: 6 });
    for (const gate of [behind, ahead, right]) expect(await send(gate, member.secret)).toBe('ok');
    await right.ledger(3);
    // Each makes the account's sums again from the ledger.
    for (const gate of [ahead, behind, right]) {
      await redis.ask('FLUSHALL');
      expect(await send(gate, member.secret)).toBe('ok');
    }
    expect(await forAll((gate) => send(gate, member.secret))).toEqual(all.map(() => 'quota_exceeded'));
  },
  'the ledger, reports and retention': async () => {
    const { secret, id } = await right.key();
    for (const gate of all) expect(await send(gate, secret)).toBe('ok');
    await eventually(async () => {
      const rows = await asking(url, `select at from usage where key_id = '${id}'`);
      expect(rows).toHaveLength(3);
      for (const row of rows) isNow(row['at']);
    });
    for (const table of ['usage_quarterly']) {
      const quarters = await asking<{ quarter: number }>(url, `select distinct quarter from ${table}`);
      for (const { quarter } of quarters)
        expect(Math.abs(quarter * 15 * minuteMs - Date.now())).toBeLessThan(31 * minuteMs);
    }
    for (const row of await asking(url, 'select at from audit_events')) isNow(row['at']);
  },
  'leases, heartbeats and the places of gateways': async () => {
    const operator = await personAt(behind);
    await eventually(async () => expect((await operator.get('/overview')).body.gates).toHaveLength(2));
    for (const row of await asking(url, 'select until from leases where until > 0')) isNow(row['until']);
  },
  'commands on that machine': async () => {
    const { code } = await run(process.execPath, [...clock(-hourMs), commandFile, 'account', 'create', 'by-command'], {
      DATABASE_URL: url,
      DATA_DIR: behind.dataDir,
    });
    expect(code).toBe(0);
    const [row] = await asking(url, "select created_at from accounts where name = 'by-command'");
    isNow(row?.['created_at']);
  },
};

const heading = '## When the clock of a gateway is wrong\n';
const section = readFileSync(join(root, 'docs/several-gateways.md'), 'utf8').split(heading)[1]?.split('\n## ')[0] ?? '';
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  .slice(1)
  .map((line) => line.slice(2).split(' | ')[0]?.trim() ?? '');

test('the table has a row for each test, and a test for each row', () => {
  expect(rows).toEqual(Object.keys(tests));
});

test.for(Object.entries(tests))('a clock that is an hour off: %s', async ([, check]) => {
  await check();
});

test('a gateway whose clock is wrong says so in its log', () => {
  const said = 'the clock of this machine differs from that of the database';
  expect(all.map((gate) => gate.output().includes(said))).toEqual([false, true, true]);
});
