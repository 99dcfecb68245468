// Callers may ask for model lists as often as they like: the memory that the gate spends on them is bounded, however many
// callers ask at once and however slow a model server is.
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

test('concurrent requests for the list of several servers share one read, and each sees the models present when it asked', async () => {
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
  // The gate has read what the earlier servers sent.
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
  ['answers with the list of one server', () => one.url],
  ['answers with the merged list of several', () => `${one.url},${two.url}`],
])('%s count against the answer memory, and release it afterwards', async (_, urls) => {
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

test.each([
  ['/api/tags', 'in another member', '{"models":[{"name":"m1"},{"name":"secret"}],"data":[{"id":"secret"}]}'],
  ['/api/tags', 'and nothing is in its place', '{"data":[{"id":"secret"}]}'],
  ['/api/ps', 'as a member', '{"models":null,"loaded":{"secret":1}}'],
  ['/v1/models', 'in the words of Ollama', '{"object":"list","data":[{"id":"m1"}],"models":[{"name":"secret"}]}'],
  ['/v1/models', 'and nothing is in its place', '{"models":[{"name":"secret"}]}'],
])('%s: a model that the key must not see is hidden when the server lists it %s', async (path, _, list) => {
  const gate = await openGate(one.url);
  const { secret } = await gate.key({ models: ['m1'] });
  one.next(
    (__, answer) => answer.whole(200, { 'Content-Type': 'application/json' }, list),
    ({ url, headers }) => url === path && headers['via'] !== undefined,
  );
  const answer = await fetch(gate.url + path, { headers: { 'x-api-key': secret } });
  const text = await answer.text();
  expect([answer.status, text]).toEqual([200, expect.not.stringContaining('secret')]);
  const entries = Object.values(JSON.parse(text) as object).filter((each) => Array.isArray(each));
  expect(entries.flat()).toHaveLength(list.includes('m1') ? 1 : 0);
  await gate.stop();
});
