// The opening handshake, from both sides of the gateway.
import { expect, test } from 'vitest';
import { acceptOf, asksForWebSocket, ownHandshake, protocolsFor, readHandshake, shownTicket } from './handshake.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';
const head = { 'sec-websocket-version': '13', 'sec-websocket-key': key };

test('the answer to the example of RFC 6455 §1.3', () => {
  expect(acceptOf(key)).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  expect(readHandshake(head)).toEqual({ accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=', protocols: [], takesPlain: false });
});

test.each([
  ['GET', { upgrade: 'websocket' }, true],
  ['GET', { upgrade: 'WebSocket', 'content-length': '0' }, true],
  ['POST', { upgrade: 'websocket' }, false],
  ['GET', { upgrade: 'h2c' }, false],
  ['GET', { upgrade: 'websocket, h2c' }, false],
  ['GET', {}, false],
  ['GET', { upgrade: 'websocket', 'content-length': '1' }, false],
  ['GET', { upgrade: 'websocket', 'transfer-encoding': 'chunked' }, false],
] as const)('%s with %o asks for a WebSocket: %s; with HTTP/1.0 never', (method, headers, expected) => {
  expect(asksForWebSocket({ method, headers, httpVersion: '1.1' })).toBe(expected);
  expect(asksForWebSocket({ method, headers, httpVersion: '1.0' })).toBe(false);
});

test.each([
  ['no version', { 'sec-websocket-key': key }],
  ['an old version', { ...head, 'sec-websocket-version': '8' }],
  ['two versions', { ...head, 'sec-websocket-version': '13, 8' }],
  ['no key', { 'sec-websocket-version': '13' }],
  ['a short key', { ...head, 'sec-websocket-key': 'c2hvcnQ=' }],
  ['two keys', { ...head, 'sec-websocket-key': `${key}, ${key}` }],
  ['an empty subprotocol', { ...head, 'sec-websocket-protocol': 'a,,b' }],
  ['a subprotocol twice', { ...head, 'sec-websocket-protocol': 'a, a' }],
  ['a subprotocol that is no token', { ...head, 'sec-websocket-protocol': 'a b' }],
  [
    'more subprotocols than any client sends',
    { ...head, 'sec-websocket-protocol': Array.from({ length: 17 }, (_, at) => `p${at}`).join() },
  ],
])('a handshake with %s is refused', (_, headers) => {
  expect(() => readHandshake(headers)).toThrow(expect.objectContaining({ code: 'bad_web_socket' }));
});

test('subprotocols of the gateway are not for the service, in any letter case', () => {
  const offered = ['chat', ...protocolsFor('abc'), 'Sekisho.Other', 'sekishop'].join(', ');
  const headers = { ...head, 'sec-websocket-protocol': offered };
  expect(readHandshake(headers)).toMatchObject({ protocols: ['chat', 'sekishop'], takesPlain: true });
  expect(shownTicket(headers)).toBe('abc');
  expect(shownTicket(head)).toBeUndefined();
  const two = { ...head, 'sec-websocket-protocol': 'sekisho.ticket.a, sekisho.ticket.b' };
  expect(() => shownTicket(two)).toThrow(expect.objectContaining({ code: 'conflicting_credentials' }));
});

test('only a service that has read the gateway’s own handshake is believed', () => {
  const own = ownHandshake(['chat', 'superchat']);
  const sent = Object.fromEntries(own.lines.map((text, at) => [own.lines[at - (at % 2)], text]));
  expect(sent).toMatchObject({ 'sec-websocket-version': '13', 'sec-websocket-protocol': 'chat, superchat' });
  const right = { upgrade: 'websocket', 'sec-websocket-accept': acceptOf(sent['sec-websocket-key'] as string) };
  expect(own.check(right)).toEqual({ protocol: undefined });
  expect(own.check({ ...right, 'sec-websocket-protocol': 'superchat' })).toEqual({ protocol: 'superchat' });
  for (const wrong of [
    { ...right, upgrade: 'h2c' },
    { ...right, 'sec-websocket-accept': acceptOf(key) },
    { ...right, 'sec-websocket-protocol': 'other' },
    { ...right, 'sec-websocket-protocol': 'chat, superchat' },
    { ...right, 'sec-websocket-extensions': 'permessage-deflate' },
    { upgrade: 'websocket' },
  ])
    expect(() => own.check(wrong)).toThrow(expect.objectContaining({ code: 'upstream_failed' }));
  expect(ownHandshake([]).lines).not.toContain('sec-websocket-protocol');
});
