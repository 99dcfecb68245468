// The file of header lines that the gate sends to a model server, and the masking of their values in errors. An accepted
// file holds lines that HTTP can carry and that only the operator may set; no byte of them is returned.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { type Credentials, CredentialsUnusable, readCredentials } from '../../../src/upstream/credentials.ts';
import { Screen } from '../../../src/upstream/screen.ts';
import type { Target } from '../target.ts';

const url = new URL('http://gpu-box.internal:11434/');
const directory = mkdtempSync(join(tmpdir(), 'sekisho-pass-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const file = join(directory, 'headers');

/** The file, a NUL, and the body of an error, in which `@` stands for all secrets. */
function run(bytes: Buffer): void {
  const nul = bytes.indexOf(0);
  const text = nul < 0 ? bytes : bytes.subarray(0, nul);
  writeFileSync(file, text);
  let credentials: Credentials;
  try {
    credentials = readCredentials(url, { ca: [], cert: [], key: [], headers: [file] });
  } catch (error) {
    assert.ok(error instanceof CredentialsUnusable);
    for (const line of text.toString('utf8').split(/\r?\n/))
      assert.ok(line.trim().length < 12 || !error.message.includes(line.trim()), 'the error shows the line');
    return;
  }
  assert.equal(credentials.headers.length % 2, 0);
  for (const [at, word] of credentials.headers.entries()) {
    if (at % 2 === 0) {
      validateHeaderName(word);
      assert.equal(word, word.toLowerCase());
      assert.ok(!['host', 'content-length', 'transfer-encoding', 'connection', 'via', 'upgrade'].includes(word));
    } else {
      validateHeaderValue('x', word);
      assert.match(word, /^[\x21-\x7e](.*[\x21-\x7e])?$/);
      assert.ok(text.includes(word));
      if (word.length >= 8) assert.ok(credentials.secrets.includes(word));
    }
  }
  const body = bytes
    .subarray(nul + 1)
    .toString('latin1')
    .replaceAll('@', credentials.secrets.join(' '));
  const back = new Screen(credentials, url).sentence(body) ?? '';
  // A secret that consists of the mask itself, brackets included, is not one.
  for (const secret of credentials.secrets)
    if (!/[[\]]/.test(secret)) assert.ok(!back.includes(secret), 'a secret is returned');
  assert.ok(!back.includes(url.host), 'the address of the server is returned');
}

export const target: Target = {
  words: [
    'Authorization: Bearer ',
    ': ',
    '\n',
    '\r\n',
    '#',
    '\t',
    '@',
    '\0',
    '[hidden]',
    'gpu-box.internal:11434',
    'hidden]x',
  ],
  mostBytes: 400,
  seeds: () => [
    'Authorization: Bearer of-the-gate-itself\nX-Pass: on\n# for people\n\0{"error":"no @ at gpu-box.internal:11434"}',
    'CF-Access-Client-Secret: 0123456789abcdef\r\nX-A:b\r\n\0@@',
    'Host: x\n',
    'not a header\n',
    'X: \x7f\n',
    'X-One: abcabcabc\nX-Two: abcabcabcabc\0abcabcabcabcabc',
  ],
  run,
};
