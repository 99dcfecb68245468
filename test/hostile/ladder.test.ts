import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Suspension } from '../../src/domain/suspension.ts';
import { changeRule, createRule } from '../../src/management/rules/rules.ts';
import { lift, suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, spawnGate, type TestGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { BODY_MEMORY_BYTES: '1000000' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});
const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
const chat = (secret: string, body: object = whole): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);
let rules = 0;
async function ruled(fields: object, terms: object = {}) {
  const member = await gate.member({ ...terms });
  const rule = `found-${++rules}`;
  const plan = member.account.name;
  const whatever = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 3, plans: plan };
  await gate.manage((store, by) => createRule(store, rule, { ...whatever, ...fields }, by));
  await eventually(() =>
    expect(
      gate
        .log()
        .split('\n')
        .findLast((l) => l.includes('"the rules in force"')),
    ).toContain(rule),
  );
  return { ...member, rule, plan };
}
const steps = (accountId: string): Promise<Suspension[]> =>
  gate.manage((store) => store.listSuspensions({ accountId: accountId as Suspension['accountId'], limit: 100 }));

test('slowing down is not stopping: a quarter of three calls a minute is still one', async () => {
  const { secret, account } = await gate.member({ requestsPerMinute: 3 });
  await gate.manage((store, by) =>
    suspend(store, { whom: account.id, step: 'slow', reason: 'a test.', endsAt: by.at + 60_000 }, by),
  );
  const answer = await chat(secret);
  expect(answer.status).toBe(200);
});

test('the rule that counts suspensions counts all of them, also manual ones', async () => {
  const { secret, account, plan } = await ruled({
    measure: 'suspensions',
    windowSeconds: 86400,
    threshold: 2,
    step: 'review',
  });
  for (let i = 0; i < 2; i++) {
    const { id } = await gate.manage((store, by) =>
      suspend(store, { whom: account.id, step: 'suspend', reason: 'by hand.', endsAt: by.at + 60_000 }, by),
    );
    await gate.manage((store, by) => lift(store, id, by));
  }
  await gate.manage((store, by) =>
    createRule(
      store,
      'found-trigger',
      {
        measure: 'requests',
        per: 'account',
        windowSeconds: 60,
        threshold: 2,
        step: 'suspend',
        durationSeconds: 1,
        plans: plan,
      },
      by,
    ),
  );
  await eventually(() =>
    expect(
      gate
        .log()
        .split('\n')
        .findLast((l) => l.includes('"the rules in force"')),
    ).toContain('found-trigger'),
  );
  await eventually(async () => {
    await (await chat(secret)).text();
    const taken = await steps(account.id);
    expect(taken.some(({ rule }) => rule === 'found-trigger')).toBe(true);
  });
  await eventually(async () => expect((await steps(account.id)).map(({ step }) => step)).toContain('review'));
});

test('lifting a suspension does not excuse later calls', async () => {
  const { secret, account } = await ruled({ step: 'suspend', durationSeconds: 3600 });
  for (let i = 0; i < 3; i++) await (await chat(secret)).text();
  const [first] = await eventually(async () => {
    const found = await steps(account.id);
    expect(found).toHaveLength(1);
    return found;
  });
  await gate.manage((store, by) => lift(store, first!.id, by));
  await eventually(async () => expect((await chat(secret)).status).toBe(200));
  for (let i = 0; i < 12; i++) await (await chat(secret)).text();
  await eventually(async () => expect(await steps(account.id)).toHaveLength(2));
});

test('refusals for lack of capacity do not count against a caller', async () => {
  const busy = await openGate(fake.url, { SLOTS: '1', QUEUE_LENGTH: '1' });
  const [victim, other] = [await busy.member({}), await busy.member({})];
  const plan = victim.account.name;
  const rule = {
    measure: 'refusals',
    per: 'key',
    windowSeconds: 60,
    threshold: 5,
    step: 'suspend',
    durationSeconds: 60,
    plans: plan,
  };
  await busy.manage((store, by) => createRule(store, 'refusals', rule, by));
  await eventually(() => expect(busy.log()).toMatch(/"rules":\[[^\]]*"refusals"[^\]]*\],"msg":"the rules in force"/));
  const stop = new AbortController();
  fake.next(async (request) => await request.aborted);
  const held = [1, 2].map(() =>
    fetch(`${busy.url}/api/chat`, {
      method: 'POST',
      headers: { 'x-api-key': other.secret },
      body: JSON.stringify(whole),
      signal: stop.signal,
    }).catch(() => undefined),
  );
  await eventually(() => expect(busy.waiting()).toBe(1));
  const call = (): Promise<Response> => post(`${busy.url}/api/chat`, victim.secret, whole);
  for (let i = 0; i < 5; i++) expect((await call()).status).toBe(503);
  stop.abort();
  await Promise.all(held);
  await eventually(() => expect(busy.waiting()).toBe(0));
  await busy.ledger(5);
  const taken = await busy.manage((store) => store.listSuspensions({ accountId: victim.account.id, limit: 9 }));
  await busy.stop();
  expect(taken).toHaveLength(0);
});

test('nor do they after a restart, when refusals are read back', async () => {
  const dataDir = temporaryDirectory();
  const environment = { UPSTREAM: fake.url, DATA_DIR: dataDir, SLOTS: '1', QUEUE_LENGTH: '1', DRAIN_SECONDS: '1' };
  const first = await spawnGate(environment);
  const [victim, other] = [await first.member({}), await first.member({})];
  const rule = { measure: 'refusals', per: 'key', windowSeconds: 86_400, threshold: 5, step: 'review' };
  await first.manage((store, by) => createRule(store, 'refusals', { ...rule, plans: victim.account.name }, by));
  const stop = new AbortController();
  fake.next(async (request) => await request.aborted);
  const arrived = fake.arrival();
  const headers = { 'x-api-key': other.secret };
  const hold = (): Promise<unknown> =>
    fetch(`${first.url}/api/chat`, { method: 'POST', headers, body: JSON.stringify(whole), signal: stop.signal }).catch(
      () => undefined,
    );
  const held = [hold()];
  await arrived;
  held.push(hold());
  const reader = await first.key({ scopes: ['management:read'] });
  await eventually(async () => {
    const status = await fetch(`${first.url}/management/v1/status`, { headers: { 'x-api-key': reader.secret } });
    expect(await status.json()).toMatchObject({ queues: [{ running: 1, waiting: 1 }] });
  });
  for (let i = 0; i < 9; i++) expect((await post(`${first.url}/api/chat`, victim.secret, whole)).status).toBe(503);
  stop.abort();
  await Promise.all(held);
  first.process.kill('SIGTERM');
  await first.ended;
  const second = await spawnGate(environment);
  for (let i = 0; i < 3; i++) expect((await post(`${second.url}/api/chat`, victim.secret, 'no JSON')).status).toBe(400);
  await second.ledger(11);
  const taken = await second.manage((store) => store.listSuspensions({ accountId: victim.account.id, limit: 9 }));
  expect(taken).toEqual([]);
  for (let i = 0; i < 3; i++) await post(`${second.url}/api/chat`, victim.secret, 'no JSON');
  await eventually(async () => {
    const found = await second.manage((store) => store.listSuspensions({ accountId: victim.account.id, limit: 9 }));
    expect(found).toMatchObject([{ rule: 'refusals', evidence: { count: 5 } }]);
  });
  second.process.kill('SIGTERM');
  await second.ended;
  rmSync(dataDir, { recursive: true });
});

test('a long warning in Japanese stops no call', async () => {
  const { secret, account } = await gate.member({});
  await gate.manage((store, by) =>
    suspend(store, { whom: account.id, step: 'warn', reason: '混雑'.repeat(1000), endsAt: by.at + 60_000 }, by),
  );
  const answer = await chat(secret);
  expect(answer.status).toBe(200);
});

/** Changes a rule, and waits until the gate knows. */
async function change(rule: string, fields: object): Promise<void> {
  const heard = (): number => gate.log().split('"the rules in force"').length;
  const before = heard();
  await gate.manage((store, by) => changeRule(store, rule, { ...fields }, by));
  await eventually(() => expect(heard()).toBeGreaterThan(before));
}

describe('a rule that leaves shadow mode', () => {
  const inEarnest = async (accountId: string, count: number): Promise<Suspension[]> =>
    eventually(async () => {
      const found = (await steps(accountId)).filter(({ shadow }) => !shadow);
      expect(found).toHaveLength(count);
      return found;
    });
  const spend = async (secret: string, calls: number): Promise<void> => {
    for (let i = 0; i < calls; i++) await (await chat(secret)).text();
  };

  test.each([
    ['review', {}],
    ['suspend', { durationSeconds: 3600 }],
  ])('takes its step %s although shadow mode recorded it, and again after it was lifted', async (step, fields) => {
    const { secret, account, rule } = await ruled({ step, windowSeconds: 86_400, shadow: true, ...fields });
    await spend(secret, 3);
    await eventually(async () => expect(await steps(account.id)).toMatchObject([{ shadow: true, step }]));
    await change(rule, { shadow: false });
    await spend(secret, 3);
    const [first] = await inEarnest(account.id, 1);
    await eventually(async () => expect((await chat(secret)).status).toBe(403));
    await gate.manage((store, by) => lift(store, first!.id, by));
    await eventually(async () => expect((await chat(secret)).status).toBe(200));
    await spend(secret, 3);
    await inEarnest(account.id, 2);
  });

  test('does so when it counts suspensions, and again after it was lifted', async () => {
    const { secret, account, rule, plan } = await ruled({
      measure: 'suspensions',
      windowSeconds: 86_400,
      threshold: 1,
      step: 'review',
      shadow: true,
    });
    const trigger = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 1, plans: plan };
    const name = `trigger-${rule}`;
    await gate.manage((store, by) => createRule(store, name, { ...trigger, step: 'suspend', durationSeconds: 1 }, by));
    const reviews = async (): Promise<Suspension[]> => (await steps(account.id)).filter((step) => step.rule === rule);
    /** Until the trigger has suspended once more, and the suspension is over. */
    const again = (): Promise<void> => eventually(async () => expect((await chat(secret)).status).toBe(200));
    await eventually(async () => {
      await again();
      expect((await reviews()).map(({ shadow }) => shadow)).toEqual([true]);
    });
    await change(rule, { shadow: false });
    for (let count = 1; count <= 2; count++) {
      await eventually(async () => {
        await (await chat(secret)).text();
        expect((await reviews()).filter(({ shadow }) => !shadow)).toHaveLength(count);
      });
      const [newest] = await reviews();
      await gate.manage((store, by) => lift(store, newest!.id, by));
    }
  });
});
