// The headers of a model server's answer on their way to a caller.
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { clientHeaders, replaceLength } from '../../../src/upstream/headers.ts';
import { connectionOptions, mayComeBack } from '../crossing.ts';
import type { Target } from '../target.ts';

/** As the HTTP client delivers them: lower-case names, a list if a name occurs twice. */
function headersOf(bytes: Buffer): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (const line of bytes.toString('latin1').split('\n')) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line);
    if (!match) continue;
    const [name, value] = [(match[1] as string).toLowerCase(), match[2] as string];
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
    const now = before === undefined ? value : [before, value].flat();
    Object.defineProperty(headers, name, { value: now, enumerable: true, configurable: true, writable: true });
  }
  return headers;
}

function run(bytes: Buffer): void {
  const headers = headersOf(bytes);
  const back = clientHeaders(headers);
  const gone = connectionOptions([headers.connection ?? []].flat());
  const names = back.filter((_, at) => at % 2 === 0);
  assert.equal(new Set(names).size, names.length);
  for (const [at, name] of names.entries()) {
    assert.ok(mayComeBack(name), `${name} was passed back`);
    assert.ok(!gone.has(name), `${name} was passed back although Connection names it`);
    assert.equal(back[2 * at + 1], headers[name]);
  }
  const without = replaceLength(back, undefined);
  assert.ok(!without.includes('content-length') || without.indexOf('content-length') % 2 === 1);
  assert.deepEqual(replaceLength(back, 7).slice(-2), ['content-length', '7']);
}

export const target: Target = {
  words: ['\n', 'Connection: ', 'Set-Cookie: a=b', 'Location: http://x', ', ', 'Keep-Alive: timeout=5', '__proto__: x'],
  mostBytes: 600,
  seeds: () => [
    'Content-Type: application/x-ndjson\nDate: Mon, 23 Nov 2026 12:32:47 GMT\nTransfer-Encoding: chunked',
    'Content-Type: text/plain\nContent-Type: text/html\nContent-Length: 5\nConnection: close',
    'Server: x\nConnection: keep-alive, cache-control\nCache-Control: no-store\nRetry-After: 5',
    'Content-Encoding: gzip\nContent-Language: ja\nContent-Disposition: inline\nconstructor: x',
  ],
  run,
};
