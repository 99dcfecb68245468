// One model, one slot: the order of turns, and what happens to waiting calls.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, type FakeRequest, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, openGate, post, spawnGate, type TestGate, withinASecond } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { SLOTS: '1', QUEUE_LENGTH: '12', MODEL_SLOTS: 'llama3=2' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const ask = (who: string, extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: who }],
  stream: false,
  options: { num_predict: 10 },
  ...extra,
});
const chat = (secret: string, body: object, at = gate): Promise<Response> => post(`${at.url}/api/chat`, secret, body);

/** Answers of the fake that a test releases one by one. */
class Held {
  readonly arrived: string[] = [];
  readonly #open: (() => void)[] = [];
  #free = 0;

  hold(calls: number): void {
    for (let i = 0; i < calls; i++) fake.next(this.#script);
  }

  readonly #script: Script = async (request: FakeRequest, answer) => {
    const body = JSON.parse((await request.body).toString()) as { messages: { content: string }[] };
    this.arrived.push(body.messages[0]!.content);
    if (this.#free > 0) this.#free--;
    else await Promise.race([new Promise<void>((resolve) => this.#open.push(resolve)), request.aborted]);
    answer.head(200, { 'Content-Type': 'application/json' });
    await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":20,"eval_count":10}');
    answer.end();
  };

  /** Releases the next so many answers. */
  release(calls = 1): void {
    for (let i = 0; i < calls; i++) {
      const open = this.#open.shift();
      if (open) open();
      else this.#free++;
    }
  }
}

test('an account with one call waits for one turn while another account has ten calls waiting', async () => {
  const [greedy, modest] = [await gate.member({}), await gate.member({})];
  const held = new Held();
  held.hold(11);
  const many = Array.from({ length: 10 }, () => chat(greedy.secret, ask('greedy')));
  await eventually(() => expect(held.arrived).toHaveLength(1));
  await eventually(() => expect(gate.waiting()).toBe(9));
  const one = chat(modest.secret, ask('modest'));
  await eventually(() => expect(gate.waiting()).toBe(10));
  expect(held.arrived).toHaveLength(1);
  held.release();
  await eventually(() => expect(held.arrived).toEqual(['greedy', 'modest']));
  held.release();
  const answer = await one;
  expect(answer.status).toBe(200);
  expect(Number(answer.headers.get('x-sekisho-queue-wait-ms'))).toBeGreaterThan(0);
  expect(answer.headers.get('x-sekisho-queue-position')).toBe('2');
  held.release(9);
  expect((await Promise.all(many)).map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
  const rows = await gate.ledger(11);
  expect(rows.filter((row) => row.queuedMs > 0)).toHaveLength(10);
  expect(gate.log()).toMatch(/"queuedMs":\d+,"queuePosition":2/);
});

test('turns follow the weights', async () => {
  const [light, heavy] = [await gate.member({}), await gate.member({ queueWeight: 3 })];
  const held = new Held();
  held.hold(13);
  const first = chat(light.secret, ask('first'));
  await eventually(() => expect(held.arrived).toEqual(['first']));
  const calls = [
    ...Array.from({ length: 6 }, () => chat(heavy.secret, ask('heavy'))),
    ...Array.from({ length: 6 }, () => chat(light.secret, ask('light'))),
  ];
  await eventually(() => expect(gate.waiting()).toBe(12));
  for (let turn = 0; turn < 13; turn++) {
    await eventually(() => expect(held.arrived).toHaveLength(turn + 1));
    held.release();
  }
  await Promise.all([first, ...calls]);
  const heavies = held.arrived.slice(1, 9).filter((who) => who === 'heavy');
  expect(heavies).toHaveLength(6);
});

test('an account that is slowed down has a quarter of its weight', async () => {
  const [light, heavy] = [await gate.member({}), await gate.member({ queueWeight: 4, requestsPerMinute: 400 })];
  const whom = heavy.account.id;
  await gate.manage((store, by) => suspend(store, { whom, step: 'slow', reason: 'x', endsAt: null }, by));
  await withinASecond(async () => {
    const answer = await chat(heavy.secret, ask('before'));
    await answer.text();
    expect(answer.headers.get('ratelimit')).toMatch(/r=\d\d;/);
  });
  const held = new Held();
  held.hold(9);
  const first = chat(light.secret, ask('first'));
  await eventually(() => expect(held.arrived).toEqual(['first']));
  const calls = [
    ...Array.from({ length: 4 }, () => chat(heavy.secret, ask('heavy'))),
    ...Array.from({ length: 4 }, () => chat(light.secret, ask('light'))),
  ];
  await eventually(() => expect(gate.waiting()).toBe(8));
  for (let turn = 0; turn < 9; turn++) {
    await eventually(() => expect(held.arrived).toHaveLength(turn + 1));
    held.release();
  }
  const [, waited] = await Promise.all([first, ...calls]);
  // The call before them has shown how long one takes.
  expect(waited?.headers.get('x-sekisho-queue-estimate-ms')).toMatch(/^\d+$/);
  expect(held.arrived.slice(1, 5).filter((who) => who === 'heavy')).toHaveLength(2);
});

test('a model with more slots runs more calls at once', async () => {
  const { secret } = await gate.member({});
  const held = new Held();
  held.hold(3);
  const calls = Array.from({ length: 3 }, () => chat(secret, ask('llama', { model: 'llama3' })));
  await eventually(() => expect(held.arrived).toHaveLength(2));
  held.release();
  await eventually(() => expect(held.arrived).toHaveLength(3));
  held.release(2);
  expect((await Promise.all(calls)).every(({ status }) => status === 200)).toBe(true);
});

test('each model server has its own slots, and an unreachable one has none', async () => {
  const second = await startFakeOllama();
  const both = await openGate(`${fake.url},${second.url}`, { SLOTS: '1' });
  try {
    await eventually(async () => expect((await fetch(`${both.url}/readyz`)).status).toBe(200));
    await eventually(() => expect(both.log().match(/the model server answers/g)).toHaveLength(2));
    const { secret } = await both.member({});
    const held = new Held();
    const stall: Script = async (request, answer) => {
      held.arrived.push('second');
      await request.aborted;
      answer.reset();
    };
    held.hold(2);
    second.next(stall);
    const calls = Array.from({ length: 3 }, () => post(`${both.url}/api/chat`, secret, ask('first')));
    await eventually(() => expect(held.arrived.toSorted()).toEqual(['first', 'second']));
    expect(both.waiting()).toBe(1);
    // The second server goes away; its call fails, and no other call is sent there.
    await second.close();
    await eventually(() => expect(both.log()).toContain('"msg":"no model server answers there'));
    expect(both.waiting()).toBe(1);
    held.release(2);
    const statuses = await Promise.all(calls.map(async (call) => (await call).status));
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 200, 502]);
  } finally {
    await both.stop();
  }
});

describe('a waiting call', () => {
  /** A call takes the slot; returns the function that releases it. */
  async function busy(at = gate): Promise<{ held: Held; over: () => Promise<void> }> {
    const { secret } = await at.key();
    const held = new Held();
    held.hold(1);
    const call = chat(secret, ask('first'), at);
    await eventually(() => expect(held.arrived).toEqual(['first']));
    return {
      held,
      over: async () => {
        held.release();
        expect((await call).status).toBe(200);
      },
    };
  }

  test('U9: leaves the queue at once when its caller hangs up, never reaches the model server and costs nothing', async () => {
    const { over } = await busy();
    const { secret, id } = await gate.member({ requestsPerDay: 1, concurrentRequests: 1 });
    const before = fake.calls.length;
    const stop = new AbortController();
    const call = fetch(`${gate.url}/api/chat`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: JSON.stringify(ask('gone')),
      signal: stop.signal,
    }).catch(() => undefined);
    await eventually(() => expect(gate.waiting()).toBe(1));
    stop.abort();
    await call;
    const row = await eventually(async () => {
      const found = (await gate.ledger(1)).find(({ keyId, outcome }) => keyId === id && outcome === 'client_closed');
      expect(found).toBeDefined();
      return found!;
    });
    expect([row.promptTokens, row.completionTokens]).toEqual([0, 0]);
    await over();
    expect(fake.calls.length).toBe(before);
    expect((await chat(secret, ask('again'))).status).toBe(200);
  });

  test('is refused at once when its account is suspended', async () => {
    const { over } = await busy();
    const { secret, account } = await gate.member({});
    const before = fake.calls.length;
    const call = chat(secret, ask('bad'));
    await eventually(() => expect(gate.waiting()).toBe(1));
    await gate.manage((store, by) =>
      suspend(store, { whom: account.id, step: 'suspend', reason: 'a test.', endsAt: by.at + 60_000 }, by),
    );
    const answer = await call;
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([403, 'suspended']);
    await over();
    expect(fake.calls.length).toBe(before);
  });

  test('is refused with 503 and a retry time, in its dialect, when it has waited too long', async () => {
    const hasty = await openGate(fake.url, { SLOTS: '1', QUEUE_SECONDS: '1' });
    const { over } = await busy(hasty);
    const { secret } = await hasty.member({ requestsPerDay: 1 });
    const answer = await post(`${hasty.url}/v1/chat/completions`, secret, ask('late'));
    expect(answer.status).toBe(503);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await answer.json()).toMatchObject({ error: { code: 'queue_timeout', type: 'api_error' } });
    await over();
    expect((await chat(secret, ask('later'), hasty)).status).toBe(200);
    await hasty.stop();
  });

  test('of the account with the most waiting is dropped for one with fewer when the queue is full, and is told so', async () => {
    const { held, over } = await busy();
    const [greedy, modest] = [await gate.member({}), await gate.member({})];
    held.hold(12);
    const many = Array.from({ length: 12 }, () => chat(greedy.secret, ask('greedy')));
    await eventually(() => expect(gate.waiting()).toBe(12));
    const refused = await chat(greedy.secret, ask('greedy'));
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'queue_full' });
    expect(refused.headers.has('retry-after')).toBe(true);
    const one = chat(modest.secret, ask('modest'));
    expect((await Promise.race(many)).status).toBe(503);
    expect(gate.waiting()).toBe(12);
    await over();
    held.release(12);
    expect((await one).status).toBe(200);
    expect((await Promise.all(many)).filter(({ status }) => status === 503)).toHaveLength(1);
  });
});

test('a stopping gate refuses waiting calls at once and finishes running ones', async () => {
  const process: GateProcess = await spawnGate({ UPSTREAM: fake.url, SLOTS: '1', DRAIN_SECONDS: '5' });
  const { secret } = await process.member({ concurrentRequests: 2 });
  const held = new Held();
  held.hold(1);
  const chatThere = (who: string): Promise<Response> => post(`${process.url}/api/chat`, secret, ask(who));
  const served = chatThere('first');
  await eventually(() => expect(held.arrived).toEqual(['first']));
  // Two calls may be inside: one of these two waits, and the other is told so.
  const both = [chatThere('second'), chatThere('third')];
  expect((await Promise.race(both)).status).toBe(429);
  process.process.kill('SIGTERM');
  const answers = await Promise.all(both.map(async (call) => ((await (await call).json()) as { code: string }).code));
  expect(answers.toSorted()).toEqual(['draining', 'too_many_concurrent']);
  held.release();
  expect((await served).status).toBe(200);
  expect(await process.ended).toBe(0);
});
