import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GatewayError } from '../domain/error.ts';
import { canonicalTarget, dialectOf, matchOperation, operations, upstreamPath } from './operation.ts';

const codeOf = (method: string, raw: string): string => {
  try {
    return matchOperation(method, canonicalTarget(raw)).operation.name;
  } catch (error) {
    return (error as GatewayError).code;
  }
};

test('every row of the table is found by its own path and methods only', () => {
  for (const operation of operations) {
    const path = operation.path.replace(/\{.*\}/, 'x');
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'CONNECT', 'get']) {
      const mine = operations.filter((other) => other.path === operation.path && other.methods.includes(method));
      expect(codeOf(method, path)).toBe(mine[0]?.name ?? 'method_not_allowed');
    }
  }
});

describe('U16: an ambiguous path is refused, not repaired', () => {
  test.each([
    '/api/../api/chat',
    '/api//../chat',
    '/v1/models/a%2F',
    '/v1/models/%2Fa',
    '/v1/models/a%2F%2Fb',
    '/v1/models/a%2F..%2Fb',
    '/v1/model%73/a%2Fb',
    '/v1/models%2Fa',
    '/k/a%2Fb/v1/models/a',
    '/api/blobs/a%2Fb',
    '/api/./chat',
    '/api/%2e%2e/chat',
    '/api%2fchat',
    '/api/chat%00',
    '/api/chat%',
    '/api/chat%2',
    '/api/%252e',
    '/api\\chat',
    '/api/chat;x=1',
    '/api/chat#x',
    'http://evil.test/api/chat',
    '*',
    '',
    'api/chat',
    '/api/chät',
    '/api/chat%0d%0a',
    '/api/chat%20',
    '/api/chat%3fx',
    '/\\evil.test/x',
    '/api/.hidden',
    `/${'a'.repeat(5000)}`,
  ])('%j', (raw) => {
    expect(codeOf('POST', raw)).toBe('bad_target');
  });
});

test.each([
  '/API/chat',
  '//evil.test/api/chat',
  '/api/blobs/a/b',
  '/api/Chat',
  '/api',
  '/api/unknown',
  '/v1',
  '/debug/pprof',
  '/metrics',
  '/api/blobs/',
  '/constructor',
  '/__proto__',
  '/k',
])('U17: %s is not a route', (raw) => {
  expect(codeOf('POST', raw)).toBe('unknown_route');
});

test.each([
  ['POST', '//api/chat', 'chat', '/api/chat'],
  ['POST', '/api//chat', 'chat', '/api/chat'],
  ['POST', '/api/chat///', 'chat', '/api/chat'],
  ['GET', '//v1/models/', 'models', '/v1/models'],
  ['GET', '/k/abc//v1/models/', 'models', '/v1/models'],
  ['GET', '/v1/models/aaa%2Fllava%3A13b', 'model', '/v1/models/aaa%2Fllava:13b'],
  ['GET', '/v1/models/aaa/llava:13b/', 'model', '/v1/models/aaa%2Fllava:13b'],
  ['POST', '/v1/messages/count_tokens?beta=true', 'count-tokens', '/v1/messages/count_tokens'],
])('%s %s is one route, and is forwarded as its canonical path', (method, raw, name, onward) => {
  const asked = matchOperation(method, canonicalTarget(raw));
  expect([asked.operation.name, upstreamPath(asked)]).toEqual([name, onward]);
});

test('a WebSocket is refused as such, and only when the route exists and has no GET', () => {
  const code = (path: string): string => {
    try {
      return matchOperation('GET', canonicalTarget(path), true).operation.name;
    } catch (error) {
      return (error as GatewayError).code;
    }
  };
  expect(['/v1/responses', '/nothing', '/v1/models'].map(code)).toEqual(['no_web_socket', 'unknown_route', 'models']);
});

test('percent escapes of plain characters are decoded before the route is matched, as the upstream would', () => {
  expect(codeOf('DELETE', '/api/%64elete')).toBe('delete');
  expect(codeOf('POST', '/%61pi/chat?x=1')).toBe('chat');
});

test('the upstream path comes from the table and keeps only the parameter', () => {
  const asked = matchOperation('GET', canonicalTarget('/k/abc/v1/models/gemma3%3A270m?limit=1'));
  expect(upstreamPath(asked)).toBe('/v1/models/gemma3:270m');
  expect(asked.target).toMatchObject({ pathKey: 'abc', path: '/v1/models/gemma3:270m', query: 'limit=1' });
});

test('the error dialect follows the route, with and without a key in the path', () => {
  const nameOf = (path: string): string => dialectOf(path).name;
  expect(nameOf('/api/chat')).toBe('ollama');
  expect(nameOf('/v1/chat/completions')).toBe('openai');
  expect(nameOf('/v1/messages')).toBe('anthropic');
  expect(nameOf('/v1/messages/count_tokens?beta=true')).toBe('anthropic');
  expect(nameOf('/v1/messagesx')).toBe('openai');
  expect(nameOf('/k/key/v1/messages')).toBe('anthropic');
  expect(nameOf('//v1/chat')).toBe('ollama');
});

test('every other decoder reads an accepted path as the same path on the same server', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '//',
      '.',
      '..',
      '%2e',
      '%2F',
      '%5c',
      '%25',
      '%00',
      '%',
      ';',
      '\\',
      '#',
      '@',
      ':',
      '?',
      'k',
      'api',
    ),
    fc.constantFrom('/api/chat', '/v1/models/', '/api/blobs/sha256:', 'http://evil.test', '\t', '\u00e9', '\u2025'),
    fc.string({ maxLength: 3 }),
    fc.nat(255).map((code) => `%${code.toString(16).padStart(2, '0')}`),
  );
  let accepted = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const raw = `/${pieces.join('')}`;
      let target: ReturnType<typeof canonicalTarget>;
      try {
        target = canonicalTarget(raw);
      } catch (error) {
        expect((error as GatewayError).code).toBe('bad_target');
        return;
      }
      accepted++;
      const { path, pathKey } = target;
      if (pathKey !== undefined) return;
      const [rawPath = ''] = raw.split('?');
      const single = rawPath.replace(/\/+/g, '/').replace(/(.)\/$/, '$1');
      const url = new URL(single, 'http://model-server.test');
      expect([url.host, decodeURIComponent(url.pathname)]).toEqual(['model-server.test', path]);
      expect(canonicalTarget(path).path).toBe(path);
    }),
    { numRuns: 3000 },
  );
  // Not because everything is refused.
  expect(accepted).toBeGreaterThan(100);
});

test('a parameter of plain characters is unchanged in the upstream path', () => {
  const characters = Array.from("AZaz09-_~!$&'()*+,=:@/");
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...characters), minLength: 1, maxLength: 40 }), (parameter) => {
      fc.pre(!/^\/|\/$|\/\//.test(parameter));
      const asked = matchOperation('GET', canonicalTarget(`/v1/models/${encodeURIComponent(parameter)}`));
      expect(asked.parameter).toBe(parameter);
      const again = matchOperation('GET', canonicalTarget(upstreamPath(asked)));
      expect([again.operation.name, again.parameter]).toEqual(['model', parameter]);
    }),
  );
});
