import { describe, expect, test } from 'vitest';
import { Origins } from './origin.ts';

const request = (headers: Record<string, string>, method = 'POST') => ({ headers, method });

describe('with a configured address', () => {
  const origins = new Origins(new URL('https://gate.example.org'), true);
  test.each([
    ['gate.example.org', true],
    ['GATE.example.org', true],
    ['gate.example.org:443', true],
    ['Gate.Example.Org:0443', true],
    ['gate.example.org:80', false],
    ['gate.example.org:8443', false],
    ['gate.example.org.', false],
    ['x@gate.example.org', false],
    ['gate.example.org/', false],
    ['gate%2eexample.org', false],
    ['gate.example.org:', false],
    ['localhost', false],
    ['127.0.0.1', false],
    ['evil.example', false],
    ['', false],
  ])('pages answer under %j: %s', (host, known) => {
    expect(origins.knows(request({ host }))).toBe(known);
  });
  test.each([
    [{ origin: 'https://gate.example.org' }, true],
    [{ 'sec-fetch-site': 'same-origin' }, true],
    [{ origin: 'http://gate.example.org' }, false],
    [{ origin: 'https://gate.example.org.evil.example' }, false],
    [{ origin: 'https://gate.example.org', host: 'Gate.example.org:443' }, true],
    [{ origin: 'https://gate.example.org', 'sec-fetch-site': 'cross-site' }, false],
    [{ origin: 'null' }, false],
    [{}, false],
  ])('a change that sends %j is ours: %s', (headers, ours) => {
    expect(origins.isOurs(request({ host: 'gate.example.org', ...headers }))).toBe(ours);
  });
});

describe('without a configured address', () => {
  const origins = new Origins(new URL('http://localhost:3000'), false);
  test.each([
    ['localhost:3000', true],
    ['127.0.0.1:3000', true],
    ['[::1]:3000', true],
    ['192.168.1.5:3000', true],
    ['gate.example.org', false],
    ['localhost.evil.example', false],
    ['192.168.1.5.evil.example', false],
  ])('pages answer under %j: %s', (host, known) => {
    expect(origins.knows(request({ host }))).toBe(known);
  });
  test('a page is ours when it came from the same name that it calls', () => {
    const at = (host: string, origin: string): boolean => origins.isOurs(request({ host, origin }));
    expect(at('192.168.1.5:3000', 'http://192.168.1.5:3000')).toBe(true);
    expect(at('192.168.1.5:3000', 'http://192.168.1.5')).toBe(false);
    expect(at('LocalHost:80', 'http://localhost')).toBe(true);
    expect(at('localhost:443', 'https://localhost')).toBe(true);
    expect(at('localhost:80', 'https://localhost')).toBe(false);
    expect(at('192.168.1.5:3000', 'http://localhost:3000')).toBe(false);
  });
});

test('reading is allowed after typing the address, and to programs; not to other sites', () => {
  const origins = new Origins(new URL('http://localhost:3000'), false);
  const look = (headers: Record<string, string>): boolean =>
    origins.isOurs(request({ host: 'localhost:3000', ...headers }, 'GET'));
  expect(look({ 'sec-fetch-site': 'none' })).toBe(true);
  expect(look({})).toBe(true);
  expect(look({ 'sec-fetch-site': 'cross-site' })).toBe(false);
  expect(origins.isOurs(request({ host: 'localhost:3000', 'sec-fetch-site': 'none' }))).toBe(false);
});
