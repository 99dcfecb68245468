// What docs/operating.md and docs/portal.md say of the data directory: a copy of it is a backup, and while it has no operator, every
// start makes a new link for one.
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, post, spawnGate, temporaryDirectory } from '../gate.ts';
import { codeOf, goodPassword, Visitor } from '../visitor.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const start = (DATA_DIR: string): Promise<GateProcess> => spawnGate({ UPSTREAM: fake.url, DATA_DIR });
async function stop(gate: GateProcess): Promise<void> {
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
}
const codeIn = (gate: GateProcess): Promise<string> =>
  eventually(() => {
    const [link] = /http\S+\/portal\/setup#\w+/.exec(gate.output()) ?? [];
    if (link === undefined) throw new Error('no link yet');
    return codeOf(link);
  });

test('a start without an operator logs a new link, and the one before opens nothing; with an operator there is none', async () => {
  const place = temporaryDirectory();
  let gate = await start(place);
  const first = await codeIn(gate);
  await stop(gate);
  gate = await start(place);
  const second = await codeIn(gate);
  const operator = { name: 'Operator', email: 'operator@example.org', password: goodPassword };
  expect((await new Visitor(gate.url).post('/setup', { ...operator, code: first })).status).not.toBe(204);
  expect((await new Visitor(gate.url).post('/setup', { ...operator, code: second })).status).toBe(204);
  await stop(gate);
  gate = await start(place);
  await eventually(() => expect(gate.output()).toContain('to create a key'));
  expect(gate.output()).not.toContain('/portal/setup#');
  await stop(gate);
});

test('a copy of the directory of a stopped gateway is the same gateway: keys, passwords, limits and records', async () => {
  const [place, copy] = [temporaryDirectory(), join(temporaryDirectory(), 'copy')];
  let gate = await start(place);
  const visitor = new Visitor(gate.url);
  const person = { name: 'Operator', email: 'operator@example.org', password: goodPassword };
  expect((await visitor.post('/setup', { ...person, code: await codeIn(gate) })).status).toBe(204);
  const { secret } = await gate.member({ requestsPerDay: 5 });
  const left = async (): Promise<string | null> => {
    const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
    expect([answer.status, (await answer.text()).includes('"done":true')]).toEqual([200, true]);
    return /r=(\d+)/.exec(answer.headers.get('ratelimit') ?? '')?.[1] ?? null;
  };
  expect(await left()).toBe('4');
  await gate.ledger(1);
  await stop(gate);
  expect(readdirSync(place).toSorted()).toEqual(expect.arrayContaining(['cookie.secret', 'gate.id', 'journal']));

  cpSync(place, copy, { recursive: true });
  gate = await start(copy);
  expect(await left()).toBe('3');
  expect(await gate.ledger(2)).toHaveLength(2);
  const again = new Visitor(gate.url);
  expect((await again.auth('/sign-in/email', { email: person.email, password: goodPassword })).status).toBe(200);
  await stop(gate);
});
