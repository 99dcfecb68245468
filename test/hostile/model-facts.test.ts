// Some plan terms depend on facts that the model server reports about the model: the context it is loaded with, and the
// answer length that its own parameters set. Neither costs an extra request per call.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { firstPlans } from '../../src/domain/plan.ts';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  fake.models = [
    { name: 'loaded:latest', contextLength: 16_384, capabilities: ['completion'] },
    { name: 'cold:latest', loaded: false, capabilities: ['completion'] },
    { name: 'other:latest', loaded: false, capabilities: ['completion'] },
    {
      name: 'brief:latest',
      parameters: 'stop                           "num_predict 9"\nnum_predict                    12',
      capabilities: ['completion'],
    },
    { name: 'endless:latest', parameters: 'num_predict                    -1', capabilities: ['completion'] },
    { name: 'far:latest', remoteHost: 'https://elsewhere.example', capabilities: ['completion'] },
  ];
  gate = await openGate(fake.url);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

interface Sent {
  readonly options: Record<string, number | null> | undefined;
  readonly max_tokens: number | undefined;
}

async function ask(secret: string, path: string, body: object): Promise<{ changed: string | null; sent: Sent }> {
  const calls = (): FakeRequest[] => fake.calls.filter(({ url }) => url === path);
  const before = calls().length;
  const whole = { messages: [{ role: 'user', content: 'x' }], prompt: 'x', input: 'x', stream: false, ...body };
  const answer = await post(gate.url + path, secret, whole);
  await answer.text();
  expect(answer.status).toBe(200);
  expect(calls().length).toBe(before + 1);
  return {
    changed: answer.headers.get('x-sekisho-changed'),
    sent: JSON.parse((await calls()[before]!.body).toString()) as Sent,
  };
}

describe('num_ctx', () => {
  const context = async (secret: string, model: string, num_ctx: number, path = '/api/chat') =>
    (await ask(secret, path, { model, options: { num_ctx } })).sent.options?.['num_ctx'];

  test.each(firstPlans.map((plan) => [plan.name, plan] as const))(
    'never makes a server reload a model, for any caller with the plan %s',
    async (_, { name: __, version: ___, scopes: ____, ...terms }) => {
      const { secret } = await gate.member({
        ...terms,
        requestsPerMinute: null,
        tokensPerMinute: null,
        tokensPerDay: null,
      });
      const most = terms.maxContextTokens!;
      const kept = most < 16_384 ? null : 16_384;
      await eventually(async () => expect(await context(secret, 'loaded', 4097)).toBe(kept));
      for (const asked of [1, 512, 2048, 2049, 16_384, 1_000_000, -1])
        for (const path of ['/api/chat', '/api/generate', '/api/embed'])
          expect(await context(secret, 'loaded', asked, path)).toBe(kept);
    },
  );

  test('of a model that is not loaded is one of a few sizes, and stays the same for later calls', async () => {
    const { secret } = await gate.member({ reloadOptions: 'strip', maxContextTokens: 32_768 });
    const first = await ask(secret, '/api/chat', { model: 'cold', options: { num_ctx: 5000, seed: 1 } });
    expect(first.changed).toContain('options.num_ctx=8192');
    expect(first.sent.options).toMatchObject({ num_ctx: 8192, seed: 1 });
    for (const asked of [512, 2048, 2049, 8192, 32_768]) expect(await context(secret, 'cold', asked)).toBe(8192);
    expect(await context(secret, 'other', 512)).toBe(4096);
  });

  test("is the caller's own, up to the plan's maximum, when the plan allows reloading", async () => {
    const { secret } = await gate.member({ maxContextTokens: 8192 });
    expect(await context(secret, 'loaded', 777)).toBe(777);
    expect(await context(secret, 'loaded', 9000)).toBe(8192);
  });

  test('that a loaded model has room for takes what is loaded, also when the plan allows reloading', async () => {
    for (const maxContextTokens of [null, 32_768]) {
      const { secret } = await gate.member({ maxContextTokens });
      await eventually(async () => expect(await context(secret, 'loaded', 777)).toBe(16_384));
      expect(await context(secret, 'loaded', 16_384)).toBe(16_384);
      expect((await ask(secret, '/api/chat', { model: 'loaded', options: { num_ctx: 777 } })).changed).toContain(
        'num_ctx=16384',
      );
      // More than that is worth a reload to a caller who may have one.
      expect(await context(secret, 'loaded', 20_000)).toBe(20_000);
      expect(await context(secret, 'loaded', -1)).toBe(-1);
    }
  });
});

describe('an added output limit', () => {
  test.each([
    ['/api/chat', (sent: Sent) => sent.options?.['num_predict']],
    ['/v1/chat/completions', (sent: Sent) => sent.max_tokens],
  ] as const)("never raises the model's own, on %s", async (path, read) => {
    const { secret } = await gate.member({ maxOutputTokens: 8192, tokensPerDay: 1_000_000 });
    await eventually(async () => expect(read((await ask(secret, path, { model: 'brief' })).sent)).toBe(12));
    const { changed } = await ask(secret, path, { model: 'brief' });
    expect(changed).toMatch(/=12$/);
    for (const model of ['endless', 'loaded', 'far:latest'].slice(0, 2))
      expect(read((await ask(secret, path, { model })).sent)).toBe(8192);
    const own = path === '/api/chat' ? { options: { num_predict: 40 } } : { max_tokens: 40 };
    expect(read((await ask(secret, path, { model: 'brief', ...own })).sent)).toBe(40);
    const { secret: strict } = await gate.member({ maxOutputTokens: 5 });
    expect(read((await ask(strict, path, { model: 'brief' })).sent)).toBe(5);
  });

  test('costs no request per call, and a cloud model is never asked about', async () => {
    const shows = () => fake.requests.filter(({ url }) => url === '/api/show');
    const { secret } = await gate.member({ maxOutputTokens: 100 });
    const before = shows().length;
    for (let i = 0; i < 20; i++) await ask(secret, '/api/chat', { model: 'brief' });
    expect(shows().length).toBe(before);
    const bodies = await Promise.all(shows().map(async ({ body }) => (await body).toString()));
    expect(bodies.filter((text) => text.includes('far'))).toEqual([]);
    expect(bodies.filter((text) => text.includes('brief'))).toHaveLength(1);
  });
});

describe('facts that one of several model servers reports', () => {
  let liar: FakeOllama;
  let both: TestGate;
  beforeAll(async () => {
    liar = await startFakeOllama();
    liar.models = [
      { name: 'loaded:latest', contextLength: 2 ** 53 - 1, capabilities: ['completion'] },
      { name: 'wide:latest', contextLength: 65_536, capabilities: ['completion'] },
      { name: 'brief:latest', parameters: 'num_predict                    1', capabilities: ['completion'] },
    ];
    fake.models = [...fake.models, { name: 'wide:latest', contextLength: 8192, capabilities: ['completion'] }];
    both = await openGate(`${fake.url},${liar.url}`);
  });
  afterAll(async () => {
    await both.stop();
    await liar.close();
  });

  interface Heard extends Sent {
    readonly server: 'fake' | 'liar';
    readonly changed: string | null;
  }

  /** Of two calls at once, each server gets one, once the gateway knows the models of both. */
  async function askBoth(secret: string, body: object): Promise<Heard[]> {
    const whole = { messages: [{ role: 'user', content: 'x' }], stream: false, ...body };
    const { promise: all, resolve: release } = Promise.withResolvers<void>();
    let arrived = 0;
    let isOver = false;
    for (const [name, server] of Object.entries({ fake, liar }))
      for (let calls = 0; calls < 2; calls++)
        server.next(
          async (request, answer) => {
            const sent = JSON.parse((await request.body).toString()) as Sent;
            if (++arrived === 2) release();
            await all;
            answer.whole(
              200,
              { 'Content-Type': 'application/json', 'X-Request-Id': name },
              JSON.stringify({ ...sent, name, done: true }),
            );
          },
          ({ url }) => !isOver && url === '/api/chat',
        );
    const oneCall = async (): Promise<Heard> => {
      const answer = await post(`${both.url}/api/chat`, secret, whole);
      release();
      const { name, ...sent } = (await answer.json()) as Sent & { name: 'fake' | 'liar' };
      return { ...sent, server: name, changed: answer.headers.get('x-sekisho-changed') };
    };
    const heard = await Promise.all([oneCall(), oneCall()]);
    isOver = true;
    return heard.toSorted((a, b) => a.server.localeCompare(b.server));
  }

  test('apply to calls to that server alone, and each caller reads the changes made to their call', async () => {
    const { secret } = await both.member({ maxOutputTokens: 8192, tokensPerDay: 10_000_000 });
    await eventually(async () => {
      const heard = await askBoth(secret, { model: 'brief', options: { seed: 7 } });
      expect(heard).toMatchObject([
        { server: 'fake', options: { num_predict: 12, seed: 7 }, changed: 'options.num_predict=12' },
        { server: 'liar', options: { num_predict: 1, seed: 7 }, changed: 'options.num_predict=1' },
      ]);
    });
  });

  test('keep the context that each server has the model loaded with', async () => {
    const { secret } = await both.member({ reloadOptions: 'strip' });
    await eventually(async () => {
      const heard = await askBoth(secret, { model: 'wide', options: { num_ctx: 5000 } });
      expect(heard.map(({ options }) => options?.['num_ctx'])).toEqual([8192, 65_536]);
    });
  });

  test('are ignored when they are impossible', async () => {
    const { secret } = await both.member({ reloadOptions: 'strip' });
    await eventually(async () => {
      const heard = await askBoth(secret, { model: 'loaded', options: { num_ctx: 5000 } });
      expect(heard.map(({ options }) => options?.['num_ctx'])).toEqual([16_384, 8192]);
    });
  });
});
