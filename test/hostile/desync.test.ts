// Two parsers of one connection must never disagree about where a request ends. Some server has misread each of these
// requests; a second one without a key follows each. The test asserts a property: the model server receives nothing, or
// exactly the one call that the policy saw, and the smuggled request is never served.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let secret: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { HEAD_SECONDS: '0.5', BODY_SECONDS: '0.5', IDLE_SECONDS: '0.5' });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const body = '{"model":"gemma3:270m","prompt":"000","stream":false}';
const stowaway = 'POST /api/pull HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\n{"model":"smuggled"}';
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

const codings = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:	chunked',
  'Transfer-Encoding: \vchunked',
  'Transfer-Encoding: chunked ',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: CHUNKED',
  'transfer-encoding: chunked',
  'TRANSFER-ENCODING: chunked',
  'Transfer_Encoding: chunked',
  'Transfer-Encoding: "chunked"',
  "Transfer-Encoding: 'chunked'",
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding: chunked,',
  'Transfer-Encoding: ,chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunkedx',
  'Transfer-Encoding: chunk',
  'Transfer-Encoding: chu\0nked',
  'Transfer-Encoding: \0chunked',
  'Transfer-Encoding: ',
  'Transfer-Encoding:',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: cow',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding\r\n: chunked',
  ' Transfer-Encoding: chunked',
  'X: y\nTransfer-Encoding: chunked',
  'X: y\rTransfer-Encoding: chunked',
  'Transfer-Encoding: chunked\rX: y',
  'Transfer-Encoding	: chunked',
  'Transfer-­Encoding: chunked',
  '\0Transfer-Encoding: chunked',
  ': chunked\r\nTransfer-Encoding: chunked',
  'X:\r\n\rTransfer-Encoding: chunked',
  'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
  'TE: chunked',
  'Content-Encoding: chunked',
];

const lengths = [
  '+N',
  '-N',
  '0N',
  '0xN',
  'N ',
  ' N',
  'N, N',
  'N,N',
  'N;',
  'N.0',
  'Ne0',
  '"N"',
  '\0N',
  'N\0',
  'N	N',
  '0b1',
  '1_0',
  '０',
  'N\r\nContent-Length: N',
  'N\r\nContent-Length: 0',
  '0\r\nContent-Length: N',
  'N\r\ncontent-length: 0',
  '99999999999999999999',
  '18446744073709551616',
  '-0',
  '',
  'N\r\n Content-Length: 0',
  'N\nContent-Length: 0',
  'N\rContent-Length: 0',
  'abc',
  'NaN',
  'Infinity',
].map((text) => `Content-Length: ${text.replaceAll('N', String(body.length))}`);

const chunks = [
  'X\r\nB\r\n0\r\n\r\n',
  '0xX\r\nB\r\n0\r\n\r\n',
  '+X\r\nB\r\n0\r\n\r\n',
  '-X\r\nB\r\n0\r\n\r\n',
  'X \r\nB\r\n0\r\n\r\n',
  ' X\r\nB\r\n0\r\n\r\n',
  'X\nB\n0\n\n',
  'X\r\nB0\r\n\r\n',
  'X\r\nB\r\n0\r\n',
  'X\r\nB\r\n',
  'X\rB\r0\r\r',
  'X;a=b\r\nB\r\n0\r\n\r\n',
  'X;\n\r\nB\r\n0\r\n\r\n',
  '00000000000000000X\r\nB\r\n0\r\n\r\n',
  'ffffffffffffffff\r\nB',
  '100000000000000000\r\nB',
  'X\r\nB\r\n0\r\nContent-Length: 5\r\n\r\n',
  'X\r\nB\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n',
  'X\r\nB\r\n-1\r\n\r\n',
  'X\r\nB\r\n0\r\nX-Api-Key: other\r\n\r\n',
  'X;"\r\nB\r\n0\r\n\r\n',
  'X\r\n\r\nB\r\n0\r\n\r\n',
  'X\r\nB\r\n\r\n0\r\n\r\n',
  '0\r\n\r\n',
  'X\r\nB\r\n0;\0\r\n\r\n',
  'G\r\nB\r\n0\r\n\r\n',
  '\r\nX\r\nB\r\n0\r\n\r\n',
].map((text) =>
  text
    .replaceAll('X\n', `${body.length.toString(16)}\n`)
    .replace(/^([^B]*?)X(?!-)/, `$1${body.length.toString(16)}`)
    .replace('B', body),
);

const heads = [
  'X-A: b\r\nX-A\r\n',
  'X A: b\r\n',
  'X-A : b\r\n',
  ' X-A: b\r\n',
  ':b\r\n',
  'X-A: b\r\n\r\n',
  '\r\n',
  '\r',
  '\n',
  '\0: b\r\n',
  'X-Ä: b\r\n',
  'X(A): b\r\n',
  'X-A: \r\n',
  'X-A: \r\n',
  'X-A: b\r\r\n',
  'X-A: b\n\r\n',
  'Expect: 200-ok\r\n',
  'Upgrade: h2c\r\nConnection: Upgrade\r\n',
];

const requests: string[] = [
  ...codings.flatMap((line) => [
    `${line}\r\n\r\n${chunked}`,
    `Content-Length: ${body.length}\r\n${line}\r\n\r\n${body}`,
    `${line}\r\nContent-Length: ${chunked.length}\r\n\r\n${chunked}`,
  ]),
  ...lengths.map((line) => `${line}\r\n\r\n${body}`),
  ...chunks.map((text) => `Transfer-Encoding: chunked\r\n\r\n${text}`),
  ...heads.map((line) => `${line}Content-Length: ${body.length}\r\n\r\n${body}`),
];

/** The result of this way of writing a request: how often it was answered, and what the model server received. */
async function send(rest: string): Promise<{ codes: number[]; text: string }> {
  const client = new RawClient(gate.port);
  const codes = (): number[] => [...client.text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, code]) => Number(code));
  // Both requests are answered, or the gate ends the connection: by a timeout, if it waits for more.
  client.socket.on('data', () => codes().length > 1 && client.socket.end());
  client.write(
    Buffer.from(`POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n${rest}${stowaway}`, 'latin1'),
  );
  await client.closed;
  return { codes: codes(), text: client.text };
}

test(`U11, U24: of ${requests.length} ways to write a request that some server has misread, none smuggles a second one`, async () => {
  expect(requests.length).toBeGreaterThan(150);
  // All at once; each is recognised by its prompt.
  const bodyOf = (at: number): string => body.replace('000', String(at).padStart(3, '0'));
  const ends = await Promise.all(requests.map((rest, at) => send(rest.replaceAll(body, bodyOf(at)))));
  const calls = await Promise.all(
    fake.calls.map(async ({ url, headers, body: sent }) => ({ url, headers, text: (await sent).toString() })),
  );
  expect(calls.filter(({ text }) => !requests.some((_, at) => text === bodyOf(at)))).toEqual([]);
  for (const [at, rest] of requests.entries()) {
    const shown = JSON.stringify(rest.slice(0, 120));
    const { codes, text } = ends[at]!;
    const heard = calls.filter((call) => call.text === bodyOf(at));
    expect(heard.length, shown).toBeLessThanOrEqual(1);
    expect(codes.filter((code) => code === 200).length, shown).toBeLessThanOrEqual(heard.length);
    expect(text, shown).not.toContain('smuggled');
    for (const { url, headers } of heard) {
      expect(url, shown).toBe('/api/generate');
      expect([headers['content-length'], headers['transfer-encoding']], shown).toEqual([
        String(body.length),
        undefined,
      ]);
    }
    // No success answer to anything that did not arrive there whole.
    if (heard.length === 0)
      expect(
        codes.every((code) => code >= 400),
        shown,
      ).toBe(true);
  }
  // Some of them are valid, and those are served.
  expect(calls.length).toBeGreaterThan(5);
  expect(calls.length).toBeLessThan(40);
  expect((await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } })).status).toBe(200);
});
