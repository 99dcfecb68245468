import { expect, test } from 'vitest';
import { generateKey } from '../../src/domain/api-key.ts';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate } from '../gate.ts';

const look = (url: string, secret: string, from?: string): Promise<Response> =>
  fetch(`${url}/api/version`, { headers: { 'x-api-key': secret, ...(from ? { 'x-forwarded-for': from } : {}) } });

test('a guesser on one mapped address locks out no other address', async () => {
  const fake = await startFakeOllama();
  const gate = await openGate(fake.url, { AUTH_FAILURES_PER_MINUTE: '3', TRUSTED_PROXIES: '127.0.0.1' });
  const { secret } = await gate.key();
  for (let i = 0; i < 5; i++) await look(gate.url, generateKey().text.reveal(), '::ffff:10.0.0.1');
  expect((await look(gate.url, secret, '::ffff:10.9.9.9')).status).toBe(200);
  await gate.stop();
  await fake.close();
});

test('a working key keeps working beside a guesser, even after a change in the store', async () => {
  const fake = await startFakeOllama();
  const gate = await openGate(fake.url, { AUTH_FAILURES_PER_MINUTE: '3' });
  const { secret } = await gate.key();
  expect((await look(gate.url, secret)).status).toBe(200);
  for (let i = 0; i < 5; i++) await look(gate.url, generateKey().text.reveal());
  expect((await look(gate.url, secret)).status).toBe(200);
  const before = gate.log().match(/the rules in force/g)!.length;
  await gate.key();
  await eventually(() => expect(gate.log().match(/the rules in force/g)!.length).toBeGreaterThan(before));
  expect((await look(gate.url, secret)).status).toBe(200);
  await gate.stop();
  await fake.close();
});
