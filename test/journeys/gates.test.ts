// Several gates on one PostgreSQL: what one of them changes holds at the others, and periodic work is done by one of them. The last
// test has a Redis, too, in which they count limits and share turns.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { inMemory } from '../../src/compose/adapters.ts';
import { auditEvent } from '../../src/domain/audit.ts';
import { revokeKey } from '../../src/management/keys/keys.ts';
import { changePlan } from '../../src/management/plans/plans.ts';
import { createRule } from '../../src/management/rules/rules.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import {
  begunAnswer,
  eventually,
  openGate,
  post,
  root,
  spawnGate,
  type TestGate,
  temporaryDirectory,
} from '../gate.ts';
import { holdStream } from '../held-stream.ts';
import { type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { givenUpSoon, patient, quickBeats, quickLives, sharingSecret } from '../quick-gate.ts';
import { startRedis } from '../redis.ts';
import { goodPassword, operatorOf, Visitor } from '../visitor.ts';

let server: PostgresServer;
let fake: FakeOllama;
let url: string;
let here: TestGate;
let there: TestGate;
const adapters = { ...inMemory, shares: true, beats: quickBeats, upkeepLives: quickLives };
beforeAll(async () => {
  [server, fake] = await Promise.all([startPostgres(), startFakeOllama()]);
  url = await server.database();
  here = await openGate(fake.url, { DATABASE_URL: url, ...sharingSecret() }, adapters);
  there = await openGate(fake.url, { DATABASE_URL: url, ...sharingSecret() }, adapters);
});
afterAll(async () => {
  await Promise.all([here.stop(), there.stop()]);
  await fake.close();
  await server.stop();
});

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const send = (gate: { readonly url: string }, secret: string): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, chat);

test.each<[string, string, (member: Awaited<ReturnType<TestGate['member']>>) => Promise<unknown>]>([
  ['revoked', 'key_revoked', ({ id }) => here.manage((store, by) => revokeKey(store, id, by))],
  [
    'suspended',
    'suspended',
    ({ account }) =>
      here.manage((store, by) =>
        suspend(store, { whom: account.id, step: 'suspend', reason: 'a test.', endsAt: by.at + 60_000 }, by),
      ),
  ],
])('who is %s at one gate is refused at all, and a running stream ends with a last frame', async (_, code, act) => {
  const member = await here.member({});
  const release = holdStream(fake);
  const stream = await begunAnswer(await send(there, member.secret));
  await act(member);
  const { text } = await stream.rest;
  expect(JSON.parse(text.trim().split('\n').at(-1) ?? '')).toMatchObject({ code });
  for (const gate of [here, there])
    await eventually(async () => expect(await (await send(gate, member.secret)).json()).toMatchObject({ code }));
  release();
});

test('who signs in at one gate is signed in at the other, until they sign out at either', async () => {
  const operator = await operatorOf(here);
  const elsewhere = new Visitor(there.url);
  for (const [name, value] of operator.cookies) elsewhere.cookies.set(name, value);
  const me = async (visitor: Visitor): Promise<number> => (await visitor.get('/me')).status;
  expect([await me(operator), await me(elsewhere)]).toEqual([200, 200]);
  expect((await elsewhere.auth('/sign-out', {})).status).toBe(200);
  expect([await me(operator), await me(elsewhere)]).toEqual([401, 401]);
});

test.each<
  [string, { measure: string; per: string; threshold: number }, (member: { secret: string }) => Promise<unknown>]
>([
  ['requests of an account', { measure: 'requests', per: 'account', threshold: 6 }, ({ secret }) => spread(secret, 3)],
  ['tokens of a key', { measure: 'tokens', per: 'key', threshold: 100 }, ({ secret }) => spread(secret, 3)],
  [
    'refusals of a key',
    { measure: 'refusals', per: 'key', threshold: 6 },
    ({ secret }) => spread(secret, 3, { model: 7 }),
  ],
])(
  'a rule counts %s over both gates, and takes one step, of which neither gate alone has seen enough',
  async (_, fields, act) => {
    const member = await here.member({});
    const { id: accountId, name } = member.account;
    const rule = `over-${fields.measure.toLowerCase()}`;
    const whatever = { windowSeconds: 3_600, step: 'suspend', durationSeconds: 3_600, plans: name };
    await here.manage((store, by) => createRule(store, rule, { ...whatever, ...fields }, by));
    for (const gate of [here, there])
      await eventually(() => expect(gate.log().split('"the rules in force"').at(-2)).toContain(rule));
    await act(member);
    const steps = await eventually(async () => {
      const found = await there.manage((store) => store.listSuspensions({ accountId, limit: 100 }));
      expect(found).not.toHaveLength(0);
      return found;
    });
    expect(steps).toMatchObject([{ rule, evidence: { measure: fields.measure, threshold: fields.threshold } }]);
    expect(Number(steps[0]?.evidence?.['count'])).toBeLessThan(2 * fields.threshold);
    for (const gate of [here, there])
      await eventually(async () =>
        expect(await (await send(gate, member.secret)).text()).toContain('"code":"suspended"'),
      );
    expect(await there.manage((store) => store.listSuspensions({ accountId, limit: 100 }))).toHaveLength(1);
  },
);

/** The same number of calls at each of the two gates, at the same time. */
async function spread(secret: string, calls: number, body: object = chat): Promise<void> {
  const all = [here, there].flatMap(({ url: at }) =>
    Array.from({ length: calls }, () => post(`${at}/api/chat`, secret, body)),
  );
  for (const answer of await Promise.all(all)) await answer.text();
}

test('the overview of each gate shows the calls of all, and where they run, until the gate with them is gone', async () => {
  const member = await here.member({});
  const operator = await operatorOf(here);
  const command = [process.execPath, 'test/quick-gate.ts'];
  const killed = await spawnGate(
    { DATABASE_URL: url, UPSTREAM: fake.url, SHARES: 'on', ...sharingSecret(), ...givenUpSoon },
    command,
  );
  const release = holdStream(fake);
  const stream = await begunAnswer(await send(killed, member.secret));
  stream.rest.catch(() => undefined);
  const look = async () => {
    const { gates, accounts, running } = (await operator.get('/overview')).body;
    return { gates, running, mine: accounts.find((each: { account: string }) => each.account === member.account.id) };
  };
  await eventually(async () => {
    const { gates, running, mine } = await look();
    expect(gates.map((each: { running: number }) => each.running).toSorted()).toEqual([0, 1]);
    expect([running, mine]).toMatchObject([1, { running: 1, elsewhere: [expect.stringContaining(hostname())] }]);
  });
  killed.process.kill('SIGKILL');
  await killed.ended;
  await eventually(async () =>
    expect(await look()).toEqual({ gates: [{ name: hostname(), running: 0 }], running: 0, mine: undefined }),
  );
  release();
});

test('a pull that runs at one gate is shown with its progress at the other, and can be canceled there', async () => {
  const operator = await operatorOf(here);
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"status":"pulling abc","digest":"sha256:abc","total":100,"completed":40}\n');
  });
  const [pull] = (await operator.post('/pulls', { model: 'qwen3:1b' })).body.items;
  const elsewhere = new Visitor(there.url);
  for (const [name, value] of operator.cookies) elsewhere.cookies.set(name, value);
  await eventually(async () =>
    expect((await elsewhere.get('/pulls')).body.items[0]).toMatchObject({
      id: pull.id,
      state: 'running',
      progress: { status: 'pulling abc', completed: 40, total: 100 },
    }),
  );
  expect((await elsewhere.post(`/pulls/${pull.id}/cancel`)).body).toMatchObject({ state: 'canceled' });
  await eventually(async () =>
    expect((await operator.get('/pulls')).body.items[0]).toMatchObject({ state: 'canceled', progress: null }),
  );
});

test('what an operator changes at one gate holds at the other without a restart', async () => {
  const operator = await operatorOf(here);
  const member = await here.member({});
  const asMember = (path: string): Promise<Response> =>
    fetch(there.url + path, { headers: { 'x-api-key': member.secret } });
  const changes: readonly (readonly [string, () => Promise<unknown>, () => Promise<void>])[] = [
    [
      'a setting',
      () => operator.ask('PATCH', '/management/v1/settings/general', { body: { values: { gate_name: 'Both' } } }),
      async () => expect((await new Visitor(there.url).get('/session')).body.gate.name).toBe('Both'),
    ],
    [
      'an announcement',
      () => operator.post('/announcements', { en: 'Soon.', header: true }),
      async () => expect((await asMember('/v1/models')).headers.get('x-sekisho-announcement')).toContain('Soon'),
    ],
    [
      'a server',
      () => operator.post('/servers', { name: 'second', address: fake.url.replace('127.0.0.1', 'localhost') }),
      async () => expect(there.servers.all).toHaveLength(2),
    ],
    [
      'a plan',
      () => here.manage((store, by) => changePlan(store, member.account.name, { requestsPerMinute: 1 }, by)),
      async () => expect((await send(there, member.secret)).status).toBe(429),
    ],
    [
      'maintenance',
      () =>
        here.manage((store, by) =>
          store.writeMaintenance(
            { message: null, since: by.at, until: null },
            auditEvent(by, 'maintenance.on', 'maintenance', null, null),
          ),
        ),
      async () => expect((await send(there, member.secret)).status).toBe(503),
    ],
  ];
  for (const [what, change, look] of changes) {
    await change();
    await eventually(look).catch((error: unknown) => {
      throw new Error(what, { cause: error });
    });
  }
});

test('periodic work is done once, by another gate when the one that did it is frozen, and by that one again', async () => {
  const DATABASE_URL = await server.database();
  const command = [process.execPath, 'test/quick-gate.ts'];
  const frozen = await spawnGate({ DATABASE_URL, UPSTREAM: fake.url, SHARES: 'on', ...sharingSecret() }, command);
  const other = await openGate(fake.url, { DATABASE_URL, ...sharingSecret() }, adapters);
  const client = await connectTo(DATABASE_URL);
  const lease = async (): Promise<{ owner: string; epoch: string }> =>
    (await client.query("select owner, epoch from leases where name = 'upkeep'")).rows[0];
  let ended = 0;
  const endsOnce = async (): Promise<void> => {
    await other.manage((store, by) =>
      store.writeMaintenance(
        { message: null, since: by.at, until: by.at + 1 },
        auditEvent(by, 'maintenance.on', 'maintenance', null, null),
      ),
    );
    ended++;
    await eventually(async () => {
      const found = await client.query("select 1 from audit_events where action = 'maintenance.off'");
      expect(found.rowCount).toBe(ended);
    });
  };
  const first = await lease();
  await endsOnce();
  frozen.process.kill('SIGSTOP');
  await eventually(() => expect(readFileSync(`/proc/${frozen.process.pid}/stat`, 'utf8')).toMatch(/\) T /));
  // Half a minute later.
  await client.query("update leases set until = 0 where name = 'upkeep'");
  await endsOnce();
  const second = await lease();
  expect([second.owner === first.owner, Number(second.epoch)]).toEqual([false, Number(first.epoch) + 1]);
  frozen.process.kill('SIGCONT');
  await endsOnce();
  expect(await lease()).toEqual(second);
  await other.stop();
  await eventually(async () => expect((await lease()).owner).toBe(first.owner));
  frozen.process.kill('SIGKILL');
  await frozen.ended;
  await client.end();
});

test('a gate that is killed right after its answers loses none of them, and none is counted twice beside the other gate', async () => {
  const DATABASE_URL = await server.database();
  const command = [process.execPath, 'test/quick-gate.ts'];
  const environment = { DATABASE_URL, UPSTREAM: fake.url, SHARES: 'on', ...sharingSecret() };
  const killed = await spawnGate(environment, command);
  const other = await openGate(fake.url, { DATABASE_URL, ...sharingSecret() }, adapters);
  const { secret } = await other.key();
  const calls = 60;
  const statuses = await Promise.all(
    Array.from({ length: calls }, async (_, at) => {
      const answer = await send(at % 2 === 0 ? killed : other, secret);
      await answer.text();
      return answer.status;
    }),
  );
  killed.process.kill('SIGKILL');
  await killed.ended;
  expect(new Set(statuses)).toEqual(new Set([200]));
  const again = await spawnGate(environment, command);
  const rows = await other.ledger(calls);
  expect([rows.length, new Set(rows.map(({ id }) => id)).size]).toEqual([calls, calls]);
  const client = await connectTo(DATABASE_URL);
  const sums = await client.query('select sum(requests) as requests from usage_quarterly');
  expect(Number(sums.rows[0].requests)).toBe(calls);
  await client.end();
  again.process.kill('SIGTERM');
  await Promise.all([again.ended, other.stop()]);
});

test('a gate without the key that encrypts stored secrets at the other one does not start', async () => {
  const DATABASE_URL = await server.database();
  const place = temporaryDirectory();
  const file = (name: string, ...keys: readonly string[]): { readonly SERVER_SECRET_KEY: string } => {
    writeFileSync(join(place, name), keys.join('\n'), { mode: 0o600 });
    return { SERVER_SECRET_KEY: join(place, name) };
  };
  const [mine, newer] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
  const open = (given: object): Promise<TestGate> =>
    openGate(fake.url, { DATABASE_URL, ...sharingSecret(), ...given }, adapters);
  const first = await open(file('one', mine));
  for (const given of [{}, file('two', newer)])
    await expect(open(given)).rejects.toThrow(/^The gateway on .* Copy its file of SERVER_SECRET_KEY/);
  await (await open(file('three', newer, mine))).stop();
  await first.stop();
});

test('gates with one Redis admit together what one would, share the turns, and let in none that counts elsewhere', async () => {
  const redis = await startRedis();
  const environment = { DATABASE_URL: await server.database(), REDIS_URL: redis.database(), SLOTS: '1' };
  const open = (changed: Record<string, string> = {}): Promise<TestGate> =>
    openGate(fake.url, { ...environment, ...sharingSecret(), ...changed }, patient);
  const gates = [await open(), await open(), await open(), await open()] as const;
  for (const changed of [{ REDIS_URL: '' }, { REDIS_URL: redis.database() }])
    await expect(open(changed)).rejects.toThrow(/set the same REDIS_URL at each/);

  const member = await gates[0].member({ requestsPerDay: 30, waitingRequests: 100 });
  const statusOf = async (gate: TestGate): Promise<number> => {
    const answer = await send(gate, member.secret);
    await answer.text();
    // Redis did not answer in time on a busy machine: the call counts nowhere and is sent again, as its caller is told.
    return answer.status === 503 ? statusOf(gate) : answer.status;
  };
  const statuses = await Promise.all(
    Array.from({ length: 80 }, (_, at) => statusOf(gates[at % gates.length] as TestGate)),
  );
  expect([
    statuses.filter((status) => status === 200).length,
    statuses.filter((status) => status === 429).length,
  ]).toEqual([30, 50]);
  await eventually(async () => {
    const rows = await gates[3].ledger(30);
    expect(rows.filter(({ status }) => status === 200)).toHaveLength(30);
  });

  const [first, second] = [await gates[0].member({}), await gates[1].member({})];
  const release = holdStream(fake);
  const held = await begunAnswer(await send(gates[0], first.secret));
  const waits = send(gates[1], second.secret);
  await eventually(() => expect(gates.map((gate) => gate.waiting())).toEqual([1, 1, 1, 1]));
  release();
  expect(JSON.parse((await held.rest).text.trim().split('\n').at(-1) ?? '')).toMatchObject({ done: true });
  expect((await waits).status).toBe(200);

  const balancer = await startBalancer(gates[2], gates[3]);
  const calls = async (): Promise<number[]> =>
    Promise.all(Array.from({ length: 20 }, async () => (await send(balancer, second.secret)).status));
  const all = new Set([200]);
  expect(new Set(await calls())).toEqual(all);
  await gates[2].stop();
  expect(new Set(await calls())).toEqual(all);
  await balancer.stop();
  await Promise.all([gates[0], gates[1], gates[3]].map((gate) => gate.stop()));
  await redis.stop();
});

test('while Redis is gone, gates tell each other what they run, and each takes its share of concurrent calls', async () => {
  const redis = await startRedis();
  const environment = { DATABASE_URL: await server.database(), REDIS_URL: redis.database() };
  const open = (): Promise<TestGate> => openGate(fake.url, { ...environment, ...sharingSecret() }, patient);
  const gates = [await open(), await open()] as const;
  const member = await gates[0].member({ concurrentRequests: 4 });
  for (const gate of gates) expect((await send(gate, member.secret)).status).toBe(200);
  await redis.kill();
  for (const gate of gates) await eventually(async () => expect((await send(gate, member.secret)).status).toBe(200));
  await Promise.all(gates.map((gate) => gate.stop()));
  await redis.stop();
});

/** HAProxy with the configuration in deploy/several-gateways. */
async function startBalancer(one: TestGate, two: TestGate): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const environment = {
    PATH: process.env['PATH'],
    LISTEN: `127.0.0.1:${port}`,
    GATE_1: `127.0.0.1:${one.port}`,
    GATE_2: `127.0.0.1:${two.port}`,
  };
  const child = spawn('haproxy', ['-db', '-f', join(root, 'deploy/several-gateways/haproxy.cfg')], {
    env: environment,
  });
  const ended = once(child, 'exit');
  const address = `http://127.0.0.1:${port}`;
  await eventually(async () => expect((await fetch(`${address}/readyz`)).status).toBe(200));
  return {
    url: address,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

test('gateways that start together without an operator each log a link, and either one sets up the account, once', async () => {
  const redis = await startRedis();
  const environment = { DATABASE_URL: await server.database(), REDIS_URL: redis.database(), UPSTREAM: fake.url };
  const gates = await Promise.all([0, 1].map(() => spawnGate({ ...environment, ...sharingSecret() })));
  const codes = await Promise.all(
    gates.map((gate) =>
      eventually(() => /setup#(link_\w+)/.exec(gate.output())?.[1] ?? Promise.reject(new Error('no link'))),
    ),
  );
  const visitor = new Visitor(gates[0]!.url);
  const look = async (code: string): Promise<number> =>
    (await visitor.post('/links/look', { code, purpose: 'setup' })).status;
  expect(await Promise.all(codes.map(look))).toEqual([204, 204]);
  const person = { name: 'Boss', email: 'boss@example.org', password: goodPassword };
  expect((await visitor.post('/setup', { code: codes[1], ...person })).status).toBe(204);
  expect(await look(codes[0]!)).toBe(403);
  for (const gate of gates) gate.process.kill('SIGTERM');
  expect(await Promise.all(gates.map(({ ended }) => ended))).toEqual([0, 0]);
  await redis.stop();
});

test('deploy/several-gateways/compose.yaml has gates with one database, one Redis that evicts nothing, and one secret', () => {
  const { services } = parse(readFileSync(join(root, 'deploy/several-gateways/compose.yaml'), 'utf8'), {
    merge: true,
  }) as {
    services: Record<string, { environment: Record<string, string>; volumes: readonly string[]; command?: string }>;
  };
  const [one, two] = [services['gate-1'], services['gate-2']];
  expect(one?.environment).toEqual(two?.environment);
  expect(one?.environment).toMatchObject({ DATABASE_URL: expect.any(String), REDIS_URL: expect.any(String) });
  expect(one?.volumes[0]).not.toBe(two?.volumes[0]);
  expect(one?.volumes[1]).toBe(two?.volumes[1]);
  expect(services['redis']?.command).toContain('--maxmemory-policy noeviction');
  expect(services['balancer']?.environment).toMatchObject({ GATE_1: 'gate-1:3000', GATE_2: 'gate-2:3000' });
});
