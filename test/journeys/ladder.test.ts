// The automatic ladder: a rule takes every step, the step holds within a second, records its evidence and ends by itself;
// and guessing keys costs the guesser.
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../src/domain/api-key.ts';
import { toBase62 } from '../../src/domain/id.ts';
import type { Rule } from '../../src/domain/rule.ts';
import type { Suspension } from '../../src/domain/suspension.ts';
import { changeKey, rotateKey } from '../../src/management/keys/keys.ts';
import { changeRule, createRule } from '../../src/management/rules/rules.ts';
import { answer, appeal, lift, suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import {
  begunAnswer,
  eventually,
  openGate,
  post,
  spawnGate,
  type TestGate,
  temporaryDirectory,
  withinASecond,
} from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPEAL_CONTACT: 'gate@example.org' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const whole = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }], stream: false };
const chat = (secret: string, body: object = whole): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);
const get = (secret: string): Promise<Response> =>
  fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });

let rules = 0;
type Fields = Partial<Record<keyof Rule, unknown>>;

/** A rule for one member's plan alone: three calls within a minute, unless told otherwise. */
async function ruled(
  fields: Fields,
  terms: object = {},
): Promise<Awaited<ReturnType<TestGate['member']>> & { rule: string }> {
  const member = await gate.member({ ...terms });
  const rule = `test-${++rules}`;
  const plan = member.account.name;
  const whatever = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 3, plans: plan };
  await gate.manage((store, by) => createRule(store, rule, { ...whatever, ...fields }, by));
  await eventually(() => expect(rulesInForce(gate)).toContain(rule));
  return { ...member, rule };
}

/** The latest value in the gate's log. */
function rulesInForce(which: TestGate): string[] {
  const line = which
    .log()
    .trimEnd()
    .split('\n')
    .findLast((each) => each.includes('"the rules in force"'));
  return (JSON.parse(line ?? '{"rules":[]}') as { rules: string[] }).rules;
}

function steps(accountId: string): Promise<Suspension[]> {
  return gate.manage((store) => store.listSuspensions({ accountId: accountId as Suspension['accountId'], limit: 100 }));
}

async function spend(secret: string, calls: number): Promise<void> {
  for (let i = 0; i < calls; i++) await (await chat(secret)).text();
}

async function step(accountId: string): Promise<Suspension> {
  return eventually(async () => {
    const found = await steps(accountId);
    expect(found).toHaveLength(1);
    return found[0]!;
  });
}

describe('a rule whose threshold is reached', () => {
  test('warns: the caller gets a header, and its calls continue', async () => {
    const { secret, account, rule } = await ruled({ step: 'warn', durationSeconds: 60 });
    await spend(secret, 3);
    const taken = await step(account.id);
    expect(taken).toMatchObject({ step: 'warn', rule, keyId: null, shadow: false });
    expect(taken.evidence).toMatchObject({ measure: 'requests', threshold: 3, windowSeconds: 60 });
    await eventually(async () => {
      const next = await chat(secret);
      expect(next.status).toBe(200);
      expect(next.headers.get('x-sekisho-warning')).toContain(taken.id);
    });
  });

  test('slows down: a quarter of the limit per minute remains, and all of it again afterwards', async () => {
    const { secret, account } = await ruled({ step: 'slow', durationSeconds: 1 }, { requestsPerMinute: 1000 });
    const most = async (): Promise<number> => {
      const response = await post(`${gate.url}/v1/chat/completions`, secret, whole);
      return Number(response.headers.get('x-ratelimit-limit-requests'));
    };
    await spend(secret, 3);
    await step(account.id);
    await eventually(async () => expect(await most()).toBe(250));
    await eventually(async () => expect(await most()).toBe(1000));
  });

  test('moves to the back of the queue: everyone else is served first', async () => {
    const slow = await openGate(fake.url, { SLOTS: '1' });
    try {
      const [back, other] = [await slow.member({}), await slow.member({})];
      const plan = back.account.name;
      const fields = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 1, plans: plan };
      await slow.manage((store, by) => createRule(store, 'back', { ...fields, step: 'back', durationSeconds: 60 }, by));
      const ask = async (secret: string, who: string): Promise<number> =>
        (await post(`${slow.url}/api/chat`, secret, { ...whole, messages: [{ role: 'user', content: who }] })).status;
      await eventually(async () => {
        expect(await ask(back.secret, 'before')).toBe(200);
        const accountId = back.account.id;
        expect(await slow.manage((store) => store.listSuspensions({ accountId, limit: 9 }))).toHaveLength(1);
      });
      const arrived: string[] = [];
      const opened: (() => void)[] = [];
      for (let i = 0; i < 7; i++)
        fake.next(async (request, held) => {
          const body = JSON.parse((await request.body).toString()) as { messages: { content: string }[] };
          arrived.push(body.messages[0]!.content);
          await new Promise<void>((resolve) => opened.push(resolve));
          held.head(200, { 'Content-Type': 'application/json' });
          await held.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":1,"eval_count":1}');
          held.end();
        });
      const calls = [ask(other.secret, 'first')];
      await eventually(() => expect(arrived).toEqual(['first']));
      for (let i = 0; i < 3; i++) calls.push(ask(back.secret, 'back'));
      await eventually(() => expect(slow.waiting()).toBe(3));
      for (let i = 0; i < 3; i++) calls.push(ask(other.secret, 'other'));
      await eventually(() => expect(slow.waiting()).toBe(6));
      for (let i = 0; i < 7; i++) {
        await eventually(() => expect(opened).toHaveLength(i + 1));
        opened[i]!();
      }
      expect(await Promise.all(calls)).toEqual([200, 200, 200, 200, 200, 200, 200]);
      expect(arrived).toEqual(['first', 'other', 'other', 'other', 'back', 'back', 'back']);
    } finally {
      await slow.stop();
    }
  });

  test('suspends for a time: running streams end with a frame of their dialect, calls get 403, and then all works again', async () => {
    const { secret, account } = await ruled({ step: 'suspend', durationSeconds: 2 });
    for (const type of ['application/x-ndjson', 'text/event-stream'])
      fake.next(async (request, held) => {
        held.head(200, { 'Content-Type': type });
        await held.chunk(
          type === 'application/x-ndjson'
            ? '{"message":{"content":"a"},"done":false}\n'
            : 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
        );
        await request.aborted;
      });
    const native = await begunAnswer(await chat(secret, { ...whole, stream: true }));
    const sse = await begunAnswer(await post(`${gate.url}/v1/chat/completions`, secret, { ...whole, stream: true }));
    await spend(secret, 3);
    const taken = await step(account.id);
    const [inFrames, inEvents] = [await native.rest, await sse.rest];
    expect([inFrames.clean, inEvents.clean]).toEqual([false, false]);
    expect(JSON.parse(inFrames.text.trimEnd().split('\n').at(-1)!)).toMatchObject({
      code: 'suspended',
      error: expect.stringContaining(taken.id),
    });
    expect(inEvents.text.trimEnd().split('\n\n').at(-1)).toMatch(
      /^data: \{"error":\{"message":"This account is suspended until /,
    );

    // Where looking took longer than the suspension, these calls cause the next one.
    await eventually(async () => {
      const refused = await chat(secret);
      const { error, code } = (await refused.json()) as { error: string; code: string };
      expect([refused.status, code]).toEqual([403, 'suspended']);
      expect(error).toMatch(/until \d{4}-\d\d-\d\dT.*Z: .* Appeal to gate@example\.org, naming sus_/);
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(2);
      expect((await get(secret)).status).toBe(403);
    });
    await eventually(async () => expect((await chat(secret)).status).toBe(200));
    const rows = await gate.ledger(1);
    const mine = rows.filter(({ accountId }) => accountId === account.id);
    expect(
      mine.filter(({ outcome, code: why, streamed }) => streamed && outcome === 'ended' && why === 'suspended'),
    ).toHaveLength(2);
    expect(
      mine.filter(({ outcome, code: why }) => outcome === 'refused' && why === 'suspended').length,
    ).toBeGreaterThan(1);
  });

  test('suspends until reviewed: an appeal is written and answered, and lifting takes effect within a second', async () => {
    const { secret, account } = await ruled({ step: 'review' });
    await spend(secret, 3);
    const { id } = await step(account.id);
    await eventually(async () => {
      const refused = await chat(secret);
      expect(refused.status).toBe(403);
      expect(refused.headers.has('retry-after')).toBe(false);
      expect(((await refused.json()) as { error: string }).error).toContain('until it is reviewed');
    });
    await gate.manage((store, by) => appeal(store, id, 'ごめんなさい', by));
    await gate.manage((store, by) => answer(store, id, 'よし', true, by));
    await withinASecond(async () => expect((await chat(secret)).status).toBe(200));
    expect(await step(account.id)).toMatchObject({ appeal: 'ごめんなさい', answer: 'よし', liftedBy: 'test' });
    const events = await gate.manage((store) => store.listAudit({ subject: id, limit: 10 }));
    expect(events.map(({ action }) => action)).toEqual(['suspension.answer', 'suspension.appeal']);
  });

  test('revokes: the keys are revoked for good', async () => {
    const { secret, account, id } = await ruled({ step: 'revoke' });
    const { id: second, secret: other } = await gate.key({ account: account.name });
    await spend(secret, 3);
    await step(account.id);
    for (const each of [secret, other])
      await eventually(async () => {
        const refused = await chat(each);
        expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([401, 'key_revoked']);
      });
    for (const key of [id, second])
      expect(await gate.manage((store) => store.findKey(key))).toMatchObject({ status: 'revoked' });
  });

  test('in shadow mode records the step without taking it', async () => {
    const { secret, account, rule } = await ruled({ step: 'suspend', durationSeconds: 60, shadow: true });
    await spend(secret, 3);
    expect(await step(account.id)).toMatchObject({ rule, shadow: true, step: 'suspend' });
    await spend(secret, 5);
    expect((await chat(secret)).status).toBe(200);
    expect(await steps(account.id)).toHaveLength(1);
  });

  test('counts tokens, refusals, or a single key', async () => {
    const tokens = await ruled({ measure: 'tokens', threshold: 30, step: 'suspend', durationSeconds: 60 });
    await spend(tokens.secret, 3);
    await eventually(async () => expect((await chat(tokens.secret)).status).toBe(403));
    const refusals = await ruled({
      measure: 'refusals',
      per: 'key',
      threshold: 4,
      step: 'suspend',
      durationSeconds: 60,
    });
    const { secret: sibling } = await gate.key({ account: refusals.account.name });
    for (let i = 0; i < 4; i++) await (await chat(refusals.secret, { model: 7 })).text();
    await eventually(async () => expect((await chat(refusals.secret)).status).toBe(403));
    expect((await chat(sibling)).status).toBe(200);
    expect(await step(refusals.account.id)).toMatchObject({ keyId: refusals.id });
  });

  test('on wrong secrets for an existing key warns its owner and locks no one out', async () => {
    const { secret, account, id } = await ruled({
      measure: 'failedAuthentications',
      per: 'key',
      step: 'warn',
      durationSeconds: 60,
    });
    for (let i = 0; i < 3; i++) expect((await get(wrongSecretOf(secret))).status).toBe(401);
    expect(await step(account.id)).toMatchObject({ keyId: id, step: 'warn' });
    expect((await chat(secret)).status).toBe(200);
  });

  test('escalates repeated steps through the rule that counts suspensions', async () => {
    const { secret, account } = await ruled({ threshold: 1, step: 'suspend', durationSeconds: 1 });
    const plan = account.name;
    const fields = { measure: 'suspensions', per: 'account', windowSeconds: 3600, threshold: 2, step: 'review' };
    await gate.manage((store, by) => createRule(store, `again-${plan}`, { ...fields, plans: plan }, by));
    await eventually(() => expect(rulesInForce(gate)).toContain(`again-${plan}`));
    await eventually(async () => {
      await spend(secret, 1);
      expect((await steps(account.id)).map((each) => each.step).toSorted()).toEqual(['review', 'suspend', 'suspend']);
    });
  });
});

/** The key's id with another secret and a valid checksum. */
function wrongSecretOf(secret: string): string {
  const fresh = generateKey().text.reveal();
  const body = `sekisho_${secret.split('_')[1]!}_${fresh.split('_')[2]!.slice(0, 43)}`;
  return body + toBase62(crc32(body), 6);
}

test('an expired key is a failed authentication; a key with a wrong checksum is none', async () => {
  const once = { measure: 'failedAuthentications', per: 'key', threshold: 2, step: 'warn', durationSeconds: 60 };
  const { account } = await ruled(once);
  const { id, secret } = await gate.key({ account: account.name });
  const mistyped = secret.slice(0, -1) + (secret.endsWith('a') ? 'b' : 'a');
  for (let i = 0; i < 3; i++) expect((await get(mistyped)).status).toBe(401);
  await gate.manage((store, by) => changeKey(store, id, { expiresAt: Date.now() + 1 }, by));
  await eventually(async () => expect(await (await get(secret)).text()).toContain('key_expired'));
  await get(secret);
  const { keyId, evidence } = await step(account.id);
  expect([keyId, evidence]).toMatchObject([id, { measure: 'failedAuthentications', threshold: 2 }]);
});

test('a rule per key counts a key together with the key that replaces it', async () => {
  const { account } = await ruled({ per: 'key', step: 'suspend', durationSeconds: 60, threshold: 4 });
  const { id, secret } = await gate.key({ account: account.name });
  await spend(secret, 2);
  const { secret: next } = await gate.manage((store, by) => rotateKey(store, id, 60_000, by));
  await spend(next!.reveal(), 2);
  await step(account.id);
  for (const each of [secret, next!.reveal()])
    await eventually(async () => expect((await chat(each)).status).toBe(403));
});

test('a rule that is changed counts from zero', async () => {
  const { secret, account, rule } = await ruled({ step: 'warn', durationSeconds: 60, threshold: 3 });
  // Beside it, a rule that stays as it is.
  const kept = `kept-${rule}`;
  const plans = account.name;
  const same = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 3, plans, step: 'back' };
  await gate.manage((store, by) => createRule(store, kept, { ...same, durationSeconds: 60 }, by));
  await eventually(() => expect(rulesInForce(gate)).toContain(kept));
  await spend(secret, 2);
  const told = (): number => gate.log().split('"the rules in force"').length;
  const before = told();
  await gate.manage((store, by) => changeRule(store, rule, { durationSeconds: 50 }, by));
  await eventually(() => expect(told()).toBeGreaterThan(before));
  await spend(secret, 1);
  expect(await step(account.id)).toMatchObject({ rule: kept });
  await spend(secret, 2);
  await eventually(async () => expect((await steps(account.id)).map((each) => each.rule)).toContain(rule));
});

test('rotating a suspended key does not end its suspension', async () => {
  const { account } = await gate.member({});
  const { id } = await gate.key({ account: account.name });
  await gate.manage((store, by) => suspend(store, { whom: id, step: 'review', reason: 'x', endsAt: null }, by));
  const { secret } = await gate.manage((store, by) => rotateKey(store, id, 0, by));
  expect((await chat(secret!.reveal())).status).toBe(403);
});

test('changing or disabling a rule takes effect within a second', async () => {
  const { secret, account, rule } = await ruled({ step: 'suspend', durationSeconds: 60 });
  await gate.manage((store, by) => changeRule(store, rule, { enabled: 'off' }, by));
  await withinASecond(() => expect(rulesInForce(gate)).not.toContain(rule));
  await spend(secret, 6);
  expect((await chat(secret)).status).toBe(200);
  expect(await steps(account.id)).toEqual([]);
});

test("the operator's own account is never subject to rules", async () => {
  const open = await openGate(fake.url);
  try {
    const fields = { measure: 'requests', per: 'account', windowSeconds: 60, threshold: 1, step: 'review' };
    await open.manage((store, by) => createRule(store, 'everybody', fields, by));
    await eventually(() => expect(rulesInForce(open)).toContain('everybody'));
    const [operator, member] = [await open.key(), await open.member({})];
    const call = async (secret: string): Promise<number> => (await post(`${open.url}/api/chat`, secret, whole)).status;
    expect([await call(operator.secret), await call(operator.secret), await call(member.secret)]).toEqual([
      200, 200, 200,
    ]);
    await eventually(async () => expect(await call(member.secret)).toBe(403));
    expect(await call(operator.secret)).toBe(200);
  } finally {
    await open.stop();
  }
});

test('usage before a restart counts for rules, a suspension survives it, and a lifted one is not repeated', async () => {
  const dataDir = temporaryDirectory();
  let first = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const { secret, account } = await first.member({});
  const plan = account.name;
  const fields = {
    measure: 'requests',
    per: 'account',
    windowSeconds: 3600,
    threshold: 4,
    step: 'review',
    plans: plan,
  };
  await first.manage((store, by) => createRule(store, 'four', fields, by));
  const call = async (): Promise<number> => (await post(`${first.url}/api/chat`, secret, whole)).status;
  expect([await call(), await call(), await call()]).toEqual([200, 200, 200]);
  first.process.kill('SIGKILL');
  await first.ended;
  first = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  expect(await call()).toBe(200);
  await eventually(async () => expect(await call()).toBe(403));
  first.process.kill('SIGTERM');
  await first.ended;
  first = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  expect(await call()).toBe(403);
  const [taken] = await first.manage((store) => store.listSuspensions({ limit: 10 }));
  await first.manage((store, by) => lift(store, taken!.id, by));
  await eventually(async () => expect(await call()).toBe(200));
  first.process.kill('SIGTERM');
  await first.ended;
  first = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  expect([await call(), await call()]).toEqual([200, 200]);
  expect(await first.manage((store) => store.listSuspensions({ limit: 10 }))).toHaveLength(1);
  first.process.kill('SIGTERM');
  expect(await first.ended).toBe(0);
});

describe('U49: guessing keys', () => {
  test('is throttled after a number of failures, while cached keys continue to work', async () => {
    const tight = await openGate(fake.url, { AUTH_FAILURES_PER_MINUTE: '5' });
    try {
      const [known, unseen] = [await tight.key(), await tight.key()];
      const ask = (secret: string): Promise<Response> =>
        fetch(`${tight.url}/v1/models`, { headers: { authorization: `Bearer ${secret}` } });
      expect((await ask(known.secret)).status).toBe(200);
      const guesses = Array.from({ length: 8 }, () => generateKey().text.reveal());
      const statuses: number[] = [];
      for (const guess of guesses) statuses.push((await ask(guess)).status);
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
      const refused = await ask(unseen.secret);
      expect(refused.status).toBe(429);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(await refused.json()).toMatchObject({ error: { code: 'too_many_failures', type: 'rate_limit_error' } });
      expect((await ask(known.secret)).status).toBe(200);
    } finally {
      await tight.stop();
    }
  });

  test('does not include calls without any key', async () => {
    const tight = await openGate(fake.url, { AUTH_FAILURES_PER_MINUTE: '1' });
    try {
      const bare = async (): Promise<number> => (await fetch(`${tight.url}/v1/models`)).status;
      expect([await bare(), await bare(), await bare()]).toEqual([401, 401, 401]);
    } finally {
      await tight.stop();
    }
  });
});
