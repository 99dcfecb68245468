// Files that hold a secret of the gate are either whole or refused.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeWhole } from '../../src/durable-file.ts';
import { SecretUnusable, secretFrom } from '../../src/secret-file.ts';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sekisho-secret-'));
  file = join(directory, 'cookie.secret');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const made = 'm'.repeat(64);

test('is made once, readable by its owner only, and reused afterwards', () => {
  expect(secretFrom(file, () => made, 'loss')).toBe(made);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(secretFrom(file, () => 'n'.repeat(64), 'loss')).toBe(made);
  expect(readdirSync(directory)).toEqual(['cookie.secret']);
});

test.each([
  ['an empty file, as a full disk leaves it', ''],
  ['white space', '\n  \n'],
  ['the first bytes of a secret', made.slice(0, 31)],
  ['NUL bytes, as a power cut leaves them', '\0'.repeat(64)],
  ['two lines', `${made}\n${made}`],
])('%s is refused, and stays for its operator to inspect', (_, content) => {
  writeFileSync(file, content);
  expect(() => secretFrom(file, () => made, 'then everyone has to sign in again.')).toThrow(SecretUnusable);
  expect(readFileSync(file, 'utf8')).toBe(content);
});

test('the draft of an interrupted start is not taken for the secret, and blocks nothing', () => {
  writeFileSync(`${file}.new`, made.slice(0, 10));
  expect(secretFrom(file, () => made, 'loss')).toBe(made);
  expect(readdirSync(directory)).toEqual(['cookie.secret']);
});

test('the old content stays whole when the new content cannot be written', () => {
  writeWhole(file, made);
  expect(() => writeWhole(join(directory, 'not-there', 'cookie.secret'), 'other')).toThrow(/ENOENT/);
  expect(readFileSync(file, 'utf8')).toBe(made);
});
