// What docs/routes.md says of addresses: what the gateway answers itself, and which part of an address goes on to a model server.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operations } from '../../src/gateway/operation.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

test('the gateway itself answers its root and OPTIONS of every route, without a key and without asking a server', async () => {
  const before = fake.calls.length;
  for (const method of ['GET', 'HEAD']) {
    const answer = await fetch(`${gate.url}/`, { method, redirect: 'manual' });
    expect([method, answer.status]).toEqual([method, 200]);
  }
  for (const { path } of operations) {
    const answer = await fetch(gate.url + path.replaceAll(/\{\w+\}/g, 'x'), { method: 'OPTIONS' });
    expect([path, answer.status]).toEqual([path, 204]);
  }
  expect(fake.calls.slice(before).filter(({ url }) => url !== '/api/tags')).toEqual([]);
});

test('no query string reaches a model server', async () => {
  const answer = await post(`${gate.url}/api/generate?stream=true&x=1`, secret, {
    model: 'gemma3:270m',
    prompt: 'x',
    stream: false,
  });
  expect(answer.status).toBe(200);
  await answer.text();
  expect(fake.calls.findLast(({ method }) => method === 'POST')?.url).toBe('/api/generate');
});
