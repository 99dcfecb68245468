import fc from 'fast-check';
import { expect, test } from 'vitest';
import { clientHeaders, replaceLength, upstreamHeaders } from './headers.ts';

const via = '1.1 sekisho';
const pairs = (lines: readonly string[]): [string, string][] =>
  lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1] as string] as [string, string]] : []));

const crossing = ['accept', 'content-type', 'user-agent', 'cache-control', 'content-length', 'retry-after'];
const staying = (
  'authorization x-api-key api-key cookie set-cookie origin referer host forwarded x-forwarded-for x-real-ip te trailer ' +
  'proxy-authorization keep-alive transfer-encoding upgrade server location access-control-allow-origin __proto__ ' +
  'constructor toString'
).split(' ');
const headers = fc.dictionary(fc.constantFrom(...crossing, ...staying), fc.string({ unit: 'grapheme-ascii' }));

test('HDR-2: only listed headers cross, unchanged, in either direction', () => {
  fc.assert(
    fc.property(headers, (sent) => {
      for (const [name, value] of [...pairs(upstreamHeaders(sent, via, [])).slice(1), ...pairs(clientHeaders(sent))]) {
        expect(crossing).toContain(name);
        expect(value).toBe(sent[name]);
      }
    }),
  );
});

test('HDR-1: headers named by Connection are hop-by-hop and do not cross, whatever else it names', () => {
  fc.assert(
    fc.property(
      headers,
      fc.subarray([...crossing, ...staying, 'via', 'close']),
      fc.boolean(),
      (sent, names, shouts) => {
        const connection = names.map((name) => (shouts ? ` ${name.toUpperCase()}` : name)).join(',');
        const named = { ...sent, connection };
        const own = ['x-pass', 'let-me-in'];
        const up = pairs(upstreamHeaders(named, via, own));
        for (const [name] of [...up.slice(2), ...pairs(clientHeaders(named))]) expect(names).not.toContain(name);
        // A caller cannot remove what the gate itself adds.
        expect(up.slice(0, 2)).toEqual([
          ['via', via],
          ['x-pass', 'let-me-in'],
        ]);
      },
    ),
  );
});

test('a repeated Connection header is read completely', () => {
  const twice = {
    connection: ['close', 'retry-after'] as unknown as string,
    'retry-after': '5',
    'content-type': 'a/b',
  };
  expect(clientHeaders(twice)).toEqual(['content-type', 'a/b']);
});

test('a body is forwarded under the type that the gate read it as, never the caller’s', () => {
  const sent = { 'content-type': 'application/x-www-form-urlencoded' };
  expect(upstreamHeaders(sent, via, [])).toEqual(['via', via]);
  expect(upstreamHeaders(sent, via, [], 'application/json')).toEqual(['via', via, 'content-type', 'application/json']);
});

test('the gate’s own header replaces the caller’s, and lengths are recomputed', () => {
  const own = ['user-agent', 'the gate'];
  expect(upstreamHeaders({ 'user-agent': 'caller', via: '1.1 x' }, via, own)).toEqual([
    'via',
    '1.1 x, 1.1 sekisho',
    ...own,
  ]);
  const lines = ['content-length', '5', 'content-type', 'content-length'];
  expect(replaceLength(lines, undefined)).toEqual(['content-type', 'content-length']);
  expect(replaceLength(lines, 9)).toEqual(['content-type', 'content-length', 'content-length', '9']);
});
