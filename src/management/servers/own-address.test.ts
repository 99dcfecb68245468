import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { isOwnAddress } from './own-address.ts';

test("the gate's own addresses are recognized, however they are written", () => {
  const local = { host: '127.0.0.1', ports: [3000, 3080], publicUrl: 'https://gate.example.org' };
  for (const address of [
    'http://127.0.0.1:3000',
    'http://localhost:3000/x',
    'http://LOCALHOST.:3080',
    'http://[::1]:3000',
    'http://[::ffff:127.0.0.1]:3000',
    'http://0.0.0.0:3000',
    'http://2130706433:3000',
    'http://0x7f.1:3000',
    'http://0:3000',
    'http://any.localhost:3000',
    'http://localhost.localdomain:3000',
    'http://ip6-localhost:3000',
    'http://gate.example.org:3000',
    'https://gate.example.org/v2',
  ])
    expect([address, isOwnAddress(address, local)]).toEqual([address, true]);
  for (const address of [
    'http://127.0.0.1:3001',
    'http://10.0.0.7:3000',
    'http://gate.example.org',
    'http://127.0.0.2:3000',
    'http://localhost.example.org:3000',
    'http://127.0.0.1',
  ])
    expect([address, isOwnAddress(address, local)]).toEqual([address, false]);
});

test('a gate that listens everywhere is found under every name of its machine', () => {
  const open = { host: '0.0.0.0', ports: [80], publicUrl: '' };
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', 'x.localhost', hostname(), `${hostname()}.local`])
    expect(isOwnAddress(`http://${host}`, open)).toBe(true);
  expect(isOwnAddress('https://localhost', open)).toBe(false);
  const one = { host: '10.0.0.7', ports: [3000], publicUrl: '' };
  expect(isOwnAddress('http://10.0.0.7:3000', one)).toBe(true);
  expect(isOwnAddress('http://localhost:3000', one)).toBe(false);
});
