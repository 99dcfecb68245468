// Lists of models, which callers ask for as often as they like: what the gate collects of them is bounded, however many
// callers ask at once and however long a model server takes.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';

let one: FakeOllama;
let two: FakeOllama;
beforeAll(async () => {
  one = await startFakeOllama();
  two = await startFakeOllama();
  one.models = Array.from({ length: 2_000 }, (_, i) => ({ name: `m${i}:latest` }));
  two.models = [{ name: 'other:latest' }];
});
afterAll(async () => {
  await one.close();
  await two.close();
});

const isAsked = ({ url, headers }: FakeRequest): boolean => url === '/api/tags' && headers['via'] !== undefined;
const tags = (gate: TestGate, secret: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret, ...headers } });

test('of several servers are read once for all who ask meanwhile, who find what is there when they ask', async () => {
  const gate = await openGate(`${one.url},${two.url}`);
  const { secret } = await gate.key();
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  two.next(async (_, answer) => {
    await held;
    answer.whole(200, { 'Content-Type': 'application/json' }, '{"models":[]}');
  }, isAsked);
  const asked = two.arrival(isAsked);
  const first = tags(gate, secret);
  await asked;
  const before = one.requests.filter(isAsked).length;
  const others = Array.from({ length: 40 }, (_, i) => tags(gate, secret, { via: `1.0 proxy-${i}` }));
  two.models = [{ name: 'new:latest' }];
  // The gate has read what those before it have sent.
  for (let i = 0; i < 5; i++) await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
  const leaving = new AbortController();
  const left = fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret }, signal: leaving.signal });
  leaving.abort();
  await left.catch(() => undefined);
  release();
  expect(((await (await first).json()) as { models: unknown[] }).models).toHaveLength(2_000);
  for (const answer of await Promise.all(others))
    expect(((await answer.json()) as { models: { name: string }[] }).models.at(-1)?.name).toBe('new:latest');
  expect(one.requests.filter(isAsked).length - before).toBeLessThan(20);
  expect((await tags(gate, secret)).status).toBe(200);
  await gate.stop();
});

test.each([
  ['of one server', () => one.url],
  ['of several', () => `${one.url},${two.url}`],
])('%s stand in the memory of answers, which is given back with them', async (_, urls) => {
  const gate = await openGate(urls(), { ANSWER_MEMORY_BYTES: '4000000' });
  const { secret } = await gate.key({ models: ['m*', 'other'] });
  for (let i = 0; i < 12; i++) expect((await (await tags(gate, secret)).text()).length).toBeGreaterThan(300_000);
  const entries = Array.from({ length: 3_000 }, (__, i) => ({ name: `m${i}`, pad: 'x'.repeat(1_000) }));
  one.next(
    (__, answer) => answer.whole(200, { 'Content-Type': 'application/json' }, JSON.stringify({ models: entries })),
    isAsked,
  );
  const refused = await tags(gate, secret);
  expect([refused.status, refused.headers.get('x-sekisho-error-code')]).toEqual([503, 'answers_too_many']);
  expect((await tags(gate, secret)).status).toBe(200);
  await gate.stop();
});
