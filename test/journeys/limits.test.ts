// Limits are exact, describe themselves, cost nothing when they refuse, and are released however an exchange ends.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Calendar } from '../../src/domain/calendar.ts';
import { newRequestId } from '../../src/domain/id.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { changeKey, createKey, rotateKey } from '../../src/management/keys/keys.ts';
import { changePlan } from '../../src/management/plans/plans.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import {
  eventually,
  openGate,
  post,
  spawnGate,
  type TestGate,
  temporaryDirectory,
  withinASecond,
  withinOneMinute,
} from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
const messages = [{ role: 'user', content: 'x' }];
const whole = { model: 'gemma3:270m', messages, stream: false };

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SILENCE_SECONDS: '1.2' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const chat = (secret: string, body: unknown = whole): Promise<Response> => post(`${gate.url}/api/chat`, secret, body);

/** `r=` of a limit in the RateLimit field. */
function left(response: Response, label: string): number {
  return Number(new RegExp(`"${label}";r=(\\d+)`).exec(response.headers.get('ratelimit') ?? '')?.[1]);
}

const count = <T>(values: readonly T[], value: T): number => values.filter((each) => each === value).length;

describe('250 calls at once', () => {
  test.each(['requestsPerMinute', 'requestsPerHour', 'requestsPerDay'])('against a %s of 20 let 20 through', (limit) =>
    withinOneMinute(async () => {
      const { secret } = await gate.member({ [limit]: 20 });
      const answers = await Promise.all(Array.from({ length: 250 }, () => chat(secret)));
      const statuses = answers.map((answer) => answer.status);
      expect([count(statuses, 200), count(statuses, 429)]).toEqual([20, 230]);
      expect(answers.every((answer) => answer.status === 200 || answer.headers.has('retry-after'))).toBe(true);
    }),
  );

  test('of two keys of one account share its limit', async () => {
    const { account, secret } = await gate.member({ requestsPerDay: 20 });
    const { secret: other } = await gate.key({ account: account.name });
    const answers = await Promise.all(Array.from({ length: 250 }, (_, i) => chat(i % 2 ? secret : other)));
    expect(
      count(
        answers.map(({ status }) => status),
        200,
      ),
    ).toBe(20);
  });

  test('against a concurrency of 7 run 7 at once, and then the next 7', async () => {
    const { secret } = await gate.member({ concurrentRequests: 7, waitingRequests: 0 });
    for (let round = 0; round < 2; round++) {
      let open!: () => void;
      const opened = new Promise<void>((resolve) => (open = resolve));
      const before = fake.calls.length;
      for (let i = 0; i < 7; i++)
        fake.next(async (request, answer) => {
          await opened;
          answer.head(200, { 'Content-Type': 'application/json' });
          await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":1,"eval_count":1}');
          answer.end();
          expect(request.state.aborted).toBe(false);
        });
      const answers = Array.from({ length: 250 }, () => chat(secret));
      const refused: Response[] = [];
      for (const answer of answers) void answer.then((each) => each.status === 429 && refused.push(each));
      await eventually(() => expect(refused).toHaveLength(243));
      expect(fake.calls.length - before).toBe(7);
      expect(await refused[0]!.json()).toMatchObject({ code: 'too_many_concurrent' });
      open();
      expect(
        count(
          (await Promise.all(answers)).map(({ status }) => status),
          200,
        ),
      ).toBe(7);
    }
  });

  test('against a token budget let through only what was reserved, and settle to what was used', async () => {
    const asking = { ...whole, options: { num_predict: 100 } };
    const reserved = 100 + Math.ceil(JSON.stringify(asking).length / 4);
    const { secret } = await gate.member({ tokensPerDay: 10 * reserved + reserved / 2 });
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    for (let i = 0; i < 10; i++)
      fake.next(async (_, answer) => {
        await opened;
        answer.head(200, { 'Content-Type': 'application/json' });
        await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":3,"eval_count":4}');
        answer.end();
      });
    const answers = Array.from({ length: 250 }, () => chat(secret, asking));
    const refused: Response[] = [];
    for (const answer of answers) void answer.then((each) => each.status === 429 && refused.push(each));
    await eventually(() => expect(refused).toHaveLength(240));
    open();
    expect(
      count(
        (await Promise.all(answers)).map(({ status }) => status),
        200,
      ),
    ).toBe(10);
    const next = await chat(secret, asking);
    const limit = Math.floor(10 * reserved + reserved / 2);
    expect(left(next, 'tokens-day')).toBe(limit - 10 * 7 - reserved);
  });
});

describe('a refused call', () => {
  test('costs nothing: no request, no token and no slot', async () => {
    const { secret } = await gate.member({ requestsPerDay: 3, tokensPerDay: 1_000_000, concurrentRequests: 1 });
    const first = await chat(secret);
    await first.text();
    for (const bad of ['not json', { model: 7 }, { ...whole, stream: 'yes' }, '{"model":"a","Model":"b"}'])
      await (await chat(secret, bad)).text();
    const before = fake.calls.length;
    const second = await chat(secret);
    expect(second.status).toBe(200);
    expect(left(second, 'requests-day')).toBe(1);
    expect(fake.calls.length).toBe(before + 1);
    const row = await gate.ledger(1).then((rows) => rows.filter(({ outcome }) => outcome === 'refused'));
    expect(row.every(({ promptTokens, completionTokens }) => promptTokens + completionTokens === 0)).toBe(true);
  });

  test('names the limit, its usage and the time to retry, in the words of each dialect', async () => {
    const { secret } = await gate.member({ requestsPerDay: 1, tokensPerMonth: 1000 });
    await (await chat(secret)).text();
    const sentence = /This account may use 1 call a day; 1 is used. The next day begins in /;
    const native = await chat(secret);
    const headers = Object.fromEntries(native.headers);
    expect(native.status).toBe(429);
    expect(await native.json()).toMatchObject({ error: expect.stringMatching(sentence), code: 'quota_exceeded' });
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    expect(headers['x-should-retry']).toBe('false');
    expect(headers['ratelimit-policy']).toBe(
      '"requests-day";q=1;w=86400;qu="requests", "tokens-month";q=1000;w=2592000;qu="tokens"',
    );
    expect(headers['ratelimit']).toMatch(/^"requests-day";r=0;t=\d+, "tokens-month";r=\d+;t=\d+$/);

    const openai = new OpenAI({ baseURL: `${gate.url}/v1`, apiKey: secret });
    const before = (await gate.ledger(1)).length;
    await expect(
      openai.chat.completions.create({ model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }] }),
    ).rejects.toMatchObject({ status: 429, code: 'quota_exceeded', message: expect.stringMatching(sentence) });
    const anthropic = new Anthropic({ baseURL: gate.url, apiKey: secret });
    const failed: unknown = await anthropic.messages
      .create({ model: 'gemma3:270m', max_tokens: 9, messages: [{ role: 'user', content: 'x' }] })
      .catch((error: unknown) => error);
    expect(failed).toMatchObject({ status: 429, error: { error: { type: 'rate_limit_error' } } });
    const told = (failed as { headers: Headers }).headers;
    expect(told.get('anthropic-ratelimit-requests-remaining')).toBe('0');
    expect(told.get('x-ratelimit-limit-requests')).toBe('1');
    expect(told.get('x-ratelimit-reset-requests')).toMatch(/^(\d+h)?(\d+m)?\d+s$/);
    // The SDKs are told not to retry, and did not.
    expect((await gate.ledger(before)).length).toBe(before + 2);
  });
});

test('a limit per hour refuses, explains itself and appears in the headers like any other', async () => {
  const { secret } = await gate.member({ requestsPerHour: 1, tokensPerHour: 1000 });
  await withinOneMinute(async () => {
    await (await chat(secret)).text();
    const refused = await chat(secret);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({
      error: expect.stringMatching(
        /^This account may use 1 call an hour; 1 is used\. The next hour begins in \d+ (s|min)\./,
      ),
      code: 'quota_exceeded',
    });
    expect(refused.headers.get('ratelimit-policy')).toBe(
      '"requests-hour";q=1;w=3600;qu="requests", "tokens-hour";q=1000;w=3600;qu="tokens"',
    );
    expect(refused.headers.get('ratelimit')).toMatch(/^"requests-hour";r=0;t=\d+, "tokens-hour";r=\d+;t=\d+$/);
    const [, seconds] = /"requests-hour";r=0;t=(\d+)/.exec(refused.headers.get('ratelimit') ?? '') ?? [];
    const toTheHour = 3600 - (Math.floor(Date.now() / 1000) % 3600);
    expect(Math.abs(Number(seconds) - toTheHour)).toBeLessThanOrEqual(60);
  });
});

test('a limit per week refuses until Monday, explains itself and appears in the headers like any other', async () => {
  const { secret } = await gate.member({ tokensPerWeek: 1 });
  // Larger than the whole limit, so it is let through once.
  expect((await chat(secret)).status).toBe(200);
  const refused = await chat(secret);
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({
    error: expect.stringMatching(
      /^This account may use 1 token a week; .* The next week begins in \d+ (s|min|h|days)\./,
    ),
    code: 'quota_exceeded',
  });
  expect(refused.headers.get('ratelimit-policy')).toBe('"tokens-week";q=1;w=604800;qu="tokens"');
  const [, seconds] = /^"tokens-week";r=0;t=(\d+)$/.exec(refused.headers.get('ratelimit') ?? '') ?? [];
  const ends = new Date(Math.round((Date.now() + Number(seconds) * 1000) / 60_000) * 60_000);
  expect([ends.getUTCDay(), ends.getUTCHours(), ends.getUTCMinutes()]).toEqual([1, 0, 0]);
});

test('an allowed call carries its remaining limits', async () => {
  const { secret } = await gate.member({ requestsPerMinute: 30, tokensPerDay: 5000, promptTokensPerMonth: 9000 });
  await withinOneMinute(async () => {
    const answer = await post(`${gate.url}/v1/chat/completions`, secret, { ...whole, max_tokens: 50 });
    expect(answer.headers.get('x-ratelimit-limit-requests')).toBe('30');
    expect(Number(answer.headers.get('x-ratelimit-remaining-requests'))).toBeLessThan(30);
    expect(answer.headers.get('x-ratelimit-limit-tokens')).toBe('5000');
    expect(answer.headers.get('ratelimit')).toContain('"prompt-tokens-month";r=');
  });
});

describe('however a call ends, its slot and its reservation come back', () => {
  const breakOff: Script = async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"message":{"content":"a"},"done":false}\n');
    answer.reset();
  };
  const stall: Script = async (request, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"message":{"content":"a"},"done":false}\n');
    await request.aborted;
  };
  const silent: Script = async (request) => {
    await request.aborted;
  };
  const fails: Script = async (_, answer) => {
    answer.head(500, { 'Content-Type': 'application/json' });
    await answer.chunk('{"error":"no"}');
    answer.end();
  };
  test.each<[string, Script | undefined, (secret: string) => Promise<unknown>]>([
    ['it completes', undefined, async (secret) => (await chat(secret)).text()],
    ['the model server answers with an error', fails, async (secret) => (await chat(secret)).text()],
    [
      'the connection breaks in mid-stream',
      breakOff,
      async (secret) => (await chat(secret, { ...whole, stream: true })).text().catch(() => ''),
    ],
    [
      'the model server stops sending',
      stall,
      async (secret) => (await chat(secret, { ...whole, stream: true })).text().catch(() => ''),
    ],
    [
      'the caller hangs up in mid-stream',
      stall,
      async (secret) => {
        const reader = (await chat(secret, { ...whole, stream: true })).body!.getReader();
        await reader.read();
        await reader.cancel();
      },
    ],
    [
      'the caller hangs up before the first byte',
      silent,
      async (secret) => {
        const stop = new AbortController();
        const arrived = fake.arrival();
        const call = fetch(`${gate.url}/api/chat`, {
          method: 'POST',
          headers: { 'x-api-key': secret },
          body: JSON.stringify(whole),
          signal: stop.signal,
        }).catch(() => undefined);
        await arrived;
        stop.abort();
        await call;
      },
    ],
    ['the model is missing', undefined, async (secret) => (await chat(secret, { ...whole, model: 'nothing' })).text()],
  ])('when %s', async (_, script, call) => {
    const limit = 1_000_000;
    const { secret, id } = await gate.member({ concurrentRequests: 1, tokensPerDay: limit });
    if (script) fake.next(script);
    await call(secret);
    const next = await eventually(async () => {
      const answer = await chat(secret, { ...whole, options: { num_predict: 1000 } });
      expect(answer.status).toBe(200);
      return answer;
    });
    const reserved = 1000 + Math.ceil(JSON.stringify({ ...whole, options: { num_predict: 1000 } }).length / 4);
    await next.text();
    await eventually(async () => {
      const mine = (await gate.ledger(1)).filter((row) => row.keyId === id && row.outcome !== 'refused');
      const used = mine.slice(0, -1).reduce((sum, row) => sum + row.promptTokens + row.completionTokens, 0);
      expect(left(next, 'tokens-day')).toBe(limit - used - reserved);
    });
  });
});

test('a killed gate restarts with every slot free and with its usage kept', async () => {
  const dataDir = temporaryDirectory();
  let killed = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const terms = { concurrentRequests: 3, tokensPerDay: 1_000_000, requestsPerDay: 50 };
  const { secret } = await killed.member(terms);
  await (await post(`${killed.url}/api/chat`, secret, whole)).text();
  for (let i = 0; i < 3; i++) {
    fake.next(async (request, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"message":{"content":"a"},"done":false}\n');
      await request.aborted;
    });
    const running = await post(`${killed.url}/api/chat`, secret, { ...whole, stream: true });
    await running.body!.getReader().read();
  }
  expect((await post(`${killed.url}/api/chat`, secret, whole)).status).toBe(429);
  killed.process.kill('SIGKILL');
  await killed.ended;
  killed = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const rows = await killed.ledger(5);
  const used = rows.reduce((sum, row) => sum + row.promptTokens + row.completionTokens, 0);
  expect(rows.filter(({ outcome }) => outcome === 'interrupted')).toHaveLength(3);
  const asking = { ...whole, options: { num_predict: 10 } };
  const answer = await post(`${killed.url}/api/chat`, secret, asking);
  expect(answer.status).toBe(200);
  expect(left(answer, 'tokens-day')).toBe(1_000_000 - used - 10 - Math.ceil(JSON.stringify(asking).length / 4));
  // Four that were let through before, and this one; the refused one does not count.
  expect(left(answer, 'requests-day')).toBe(50 - 5);
  killed.process.kill('SIGTERM');
  expect(await killed.ended).toBe(0);
});

test('a key narrows its plan for itself alone and never widens it', async () => {
  const { account } = await gate.member({ requestsPerDay: 5, tokensPerDay: 1_000_000 });
  const { secret: narrow } = await gate.key({ account: account.name, limits: { requestsPerDay: 2 } });
  const { secret: wide } = await gate.key({ account: account.name, limits: { requestsPerDay: 1000 } });
  const statuses = async (secret: string, calls: number) =>
    (await Promise.all(Array.from({ length: calls }, () => chat(secret)))).map(({ status }) => status);
  expect(count(await statuses(narrow, 4), 200)).toBe(2);
  expect(count(await statuses(wide, 6), 200)).toBe(3);
});

test('a rotated key continues with the usage of the key it replaced', async () => {
  const { account } = await gate.member({});
  const { id, secret } = await gate.key({ account: account.name, limits: { requestsPerDay: 2 } });
  await (await chat(secret)).text();
  const fresh = await gate.manage((store, by) => rotateKey(store, id, 0, by));
  const text = fresh.secret!.reveal();
  expect((await chat(text)).status).toBe(200);
  expect((await chat(text)).status).toBe(429);
});

test('where hours and months begin in the middle of a UTC hour, their first minutes still count after a restart', async () => {
  const dataDir = temporaryDirectory();
  const environment = { UPSTREAM: fake.url, DATA_DIR: dataDir, TIME_ZONE: 'Asia/Kolkata' };
  const first = await spawnGate(environment);
  const { secret, account, id } = await first.member({ tokensPerMonth: 1_000_000, tokensPerDay: 1_000_000 });
  const hourly = await first.member({ tokensPerHour: 1_000_000 });
  const calendar = new Calendar('Asia/Kolkata');
  const { startsAt } = calendar.month(Date.now());
  expect(startsAt % 3_600_000).toBe(1_800_000);
  const row = (at: number, promptTokens: number, whose = { id, account }): UsageRecord => ({
    ...interrupted,
    id: newRequestId(at),
    at,
    keyId: whose.id,
    accountId: whose.account.id,
    promptTokens,
  });
  const hour = calendar.hour(Date.now());
  expect(hour.startsAt % 3_600_000).toBe(1_800_000);
  const inHours = [row(hour.startsAt - 1, 70_000, hourly), row(hour.startsAt, 400_000, hourly)];
  // The first belongs to the previous month, in the same UTC hour.
  await first.manage((store) =>
    store.appendUsage([row(startsAt - 60_000, 70_000), row(startsAt + 600_000, 400_000), ...inHours]),
  );
  first.process.kill('SIGTERM');
  await first.ended;
  const second = await spawnGate(environment);
  const asking = { ...whole, options: { num_predict: 10 } };
  const answer = await post(`${second.url}/api/chat`, secret, asking);
  const reserved = 10 + Math.ceil(JSON.stringify(asking).length / 4);
  expect(left(answer, 'tokens-month')).toBe(600_000 - reserved);
  const ofHour = await post(`${second.url}/api/chat`, hourly.secret, asking);
  // Unless the next hour has begun meanwhile, in which nothing is used.
  const used = Date.now() < hour.endsAt ? 400_000 : 0;
  expect(left(ofHour, 'tokens-hour')).toBe(1_000_000 - used - reserved);
  second.process.kill('SIGTERM');
  expect(await second.ended).toBe(0);
});

const interrupted: Omit<UsageRecord, 'id' | 'at' | 'keyId' | 'accountId'> = {
  operation: 'chat',
  model: 'gemma3:270m',
  upstream: 'http://x',
  outcome: 'completed',
  status: 200,
  code: null,
  streamed: false,
  promptTokens: 0,
  completionTokens: 0,
  source: 'exact',
  bytesIn: 0,
  bytesOut: 0,
  firstByteMs: null,
  durationMs: 1,
  queuedMs: 0,
  address: '::1',
  repeats: 1,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  askedModel: null,
  fallbackFor: null,
};

test('with a plan of one key, at most two keys work at a time, however often they are rotated', async () => {
  const { id, account } = await gate.member({ maxKeys: 1 });
  const second = await gate.manage((store, by) => rotateKey(store, id, 60_000, by));
  await expect(gate.manage((store, by) => rotateKey(store, second.key.id, 60_000, by))).rejects.toThrow(
    /revoke it first/,
  );
  const counts = gate.manage((store, by) =>
    Promise.all([store.countKeys(account.id, by.at), store.countKeys(account.id, by.at, 'passing')]),
  );
  expect(await counts).toEqual([1, 1]);
});

test('a replaced key cannot be extended beyond its grace period when the plan has no room for it', async () => {
  const { id, account } = await gate.member({ maxKeys: 1 });
  const extend = (expiresAt: number | null) => gate.manage((store, by) => changeKey(store, id, { expiresAt }, by));
  await gate.manage((store, by) => rotateKey(store, id, 30 * 86_400_000, by));
  await expect(extend(null)).rejects.toThrow(/the plan .* allows 1/);
  await expect(extend(Date.now() + 60 * 86_400_000)).rejects.toThrow(/the plan .* allows 1/);
  await extend(Date.now() + 86_400_000);
  const alone = await gate.member({ maxKeys: 1 });
  const end = (days: number) => ({ expiresAt: Date.now() + days * 86_400_000 });
  await gate.manage((store, by) => changeKey(store, alone.id, end(2), by));
  await gate.manage((store, by) => changeKey(store, alone.id, end(3), by));
  expect(await gate.manage((store, by) => store.countKeys(account.id, by.at))).toBe(2);
});

test('keys that live for at most an hour do not count against the plan’s maxKeys, and have a small limit of their own', async () => {
  const { account } = await gate.member({ maxKeys: 1 });
  const key = (expiresAt: number | null) =>
    gate.manage((store, by) => createKey(store, { name: 'page', account: account.name, expiresAt }, by));
  const hour = 3_600_000;
  for (let i = 0; i < 5; i++) await key(Date.now() + hour - 1_000);
  await expect(key(Date.now() + hour - 1_000)).rejects.toThrow(/one-hour keys/);
  await expect(key(Date.now() + hour + 60_000)).rejects.toThrow(/the plan .* allows 1/);
  await expect(key(null)).rejects.toThrow(/the plan .* allows 1/);
});

test('a changed plan takes effect within a second', async () => {
  const { account, secret } = await gate.member({ requestsPerDay: 1 });
  await (await chat(secret)).text();
  expect((await chat(secret)).status).toBe(429);
  await gate.manage((store, by) => changePlan(store, account.name, { requestsPerDay: 2 }, by));
  await withinASecond(async () => expect((await chat(secret)).status).toBe(200));
  expect((await chat(secret)).status).toBe(429);
});

test("the operator's own calls are not counted and carry no limit headers", async () => {
  const { secret } = await gate.key();
  const answer = await chat(secret);
  expect(answer.headers.has('ratelimit')).toBe(false);
  const refused = gate.manage((store, by) =>
    createKey(store, { name: 'x', account: 'operator', limits: { requestsPerDay: 1 } }, by),
  );
  await expect(refused).rejects.toThrow(/operator has no plan/);
});

test.each([
  ['default', 10],
  ['trusted', 20],
  ['trial', 6],
])('the first plan %s lets a coding agent send its first %i requests in one minute', async (plan, calls) => {
  const { name } = await gate.manage((store, author) => createAccount(store, `agent-${plan}`, plan, author));
  const { secret } = await gate.key({ account: name });
  // Claude Code: 27,700 prompt tokens before the conversation begins, and answers of up to 32,000.
  const request = {
    model: 'llama3',
    max_tokens: 32_000,
    messages: [{ role: 'user', content: 'word '.repeat((27_700 * 4) / 5) }],
    tools: [
      { name: 'Bash', input_schema: {} },
      { type: 'web_search_20250305', name: 'web_search' },
    ],
  };
  for (let i = 0; i < calls; i++) {
    const answer = await post(`${gate.url}/v1/messages`, secret, request);
    expect(answer.status, await answer.text()).toBe(200);
  }
});
