import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

/** What the model server received. */
async function sent(
  secret: string,
  text: string,
): Promise<{ options: { num_predict: number }; keep_alive: unknown } | number> {
  const before = fake.calls.length;
  const answer = await post(`${gate.url}/api/chat`, secret, text);
  await answer.text();
  if (fake.calls.length === before) return answer.status;
  return JSON.parse((await fake.calls.at(-1)!.body).toString()) as Exclude<Awaited<ReturnType<typeof sent>>, number>;
}

test.each(['0.5', '0.999', '1e-300', '5e-1'])(
  'U38: num_predict %s, which Go cuts to 0 and a runner reads as "without end", is bounded',
  async (figure) => {
    const { secret } = await gate.member({ maxOutputTokens: 100 });
    const got = await sent(
      secret,
      `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"stream":false,"options":{"num_predict":${figure}}}`,
    );
    if (typeof got === 'number') expect(got).toBe(400);
    else {
      const bound = Math.trunc(got.options.num_predict);
      expect(bound).toBeGreaterThan(0);
      expect(bound).toBeLessThanOrEqual(100);
    }
  },
);

test.each(['"-0.1ns"', '"-0.9ns"', '1e11', '"0.0000000001s"'])(
  'keep_alive %s, which Go reads as nothing, does not evict a model',
  async (figure) => {
    const { secret } = await gate.member({ minKeepAliveSeconds: 60 });
    const got = await sent(
      secret,
      `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"stream":false,"keep_alive":${figure}}`,
    );
    if (typeof got === 'number') expect(got).toBe(400);
    else expect([60, -1]).toContain(got.keep_alive);
  },
);

test.each(['-1e-7', '-1e-300', '-0.0000001', '"-1ns"', '"-0.000001ms"', '"-0.9ns0.2ns"'])(
  'keep_alive %s, which Go reads as "forever", does not pin a model',
  async (figure) => {
    const { secret } = await gate.member({ maxKeepAliveSeconds: 600 });
    const got = await sent(
      secret,
      `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"stream":false,"keep_alive":${figure}}`,
    );
    if (typeof got === 'number') expect(got).toBe(400);
    else expect(got.keep_alive).toBe(600);
  },
);

test('U38: an output limit of 0 does not mean "without end"', async () => {
  const { secret } = await gate.member({ maxOutputTokens: 0 });
  for (const options of ['', ',"options":{"num_predict":500}', ',"options":{"num_predict":-1}']) {
    const got = await sent(
      secret,
      `{"model":"gemma3:270m","messages":[{"role":"user","content":"x"}],"stream":false${options}}`,
    );
    if (typeof got !== 'number') expect(got.options.num_predict).toBe(1);
  }
});
