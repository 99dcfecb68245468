// What docs/configuration.md says of files, names and static keys.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type ConfigErrors, loadConfig, staticDigests } from './config.ts';

const directory = mkdtempSync(join(tmpdir(), 'sekisho-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(directory, name), text, { mode: 0o600 });
  return join(directory, name);
};
const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const key = 'a-key-of-some-length';

test('only this machine reaches a gateway whose HOST is not set', () => {
  expect(loadConfig({}).host).toBe('127.0.0.1');
});

test('a setting has its name in the file, in capitals in the environment, and there with or without SEKISHO_', () => {
  const SEKISHO_CONFIG = file('seconds.yaml', 'drain_seconds: 10\n');
  expect(loadConfig({ SEKISHO_CONFIG }).drainSeconds).toBe(10);
  expect(loadConfig({ DRAIN_SECONDS: '10' }).drainSeconds).toBe(10);
  expect(loadConfig({ SEKISHO_DRAIN_SECONDS: '10' }).drainSeconds).toBe(10);
});

test('the environment wins over the file', () => {
  const SEKISHO_CONFIG = file('wins.yaml', 'drain_seconds: 10\nport: 4000\n');
  expect(loadConfig({ SEKISHO_CONFIG, DRAIN_SECONDS: '20' })).toMatchObject({ drainSeconds: 20, port: 4000 });
});

test('OLLAMA_NUM_PARALLEL sets slots where they are not set', () => {
  expect(loadConfig({}).live.now.slots).toBe(1);
  expect(loadConfig({ OLLAMA_NUM_PARALLEL: '4' }).live.now.slots).toBe(4);
  expect(loadConfig({ OLLAMA_NUM_PARALLEL: '4', SLOTS: '2' }).live.now.slots).toBe(2);
});

test('a list is one of YAML, or words with commas between them', () => {
  const servers = ['http://one.example:11434', 'http://two.example:11434'];
  const lists = [`[${servers.join(', ')}]`, servers.join(','), `\n  - ${servers.join('\n  - ')}`];
  for (const [at, list] of lists.entries()) {
    const SEKISHO_CONFIG = file(`list-${at}.yaml`, `upstream: ${list}\n`);
    expect(loadConfig({ SEKISHO_CONFIG }).upstream).toEqual(servers);
  }
  expect(loadConfig({ UPSTREAM: servers.join(', ') }).upstream).toEqual(servers);
});

describe('static keys', () => {
  test('can be text or a digest, in a list or one a line of a file', () => {
    const API_KEYS_FILE = file('keys', `${key}-1\n\n# a comment\nsha256:${digest(`${key}-2`)}\n`);
    const config = loadConfig({ API_KEYS: `${key}-3,sha256:${digest(`${key}-4`)}`, API_KEYS_FILE });
    expect(staticDigests(config).toSorted()).toEqual([1, 2, 3, 4].map((at) => digest(`${key}-${at}`)).toSorted());
  });

  test('of fewer than 16 characters, and sample keys, are refused', () => {
    const refused = (settings: Record<string, string>): string => {
      try {
        loadConfig(settings);
        return '';
      } catch (error) {
        return (error as ConfigErrors).faults.join('\n');
      }
    };
    const exposed = { HOST: '0.0.0.0', API_KEYS: 'k'.repeat(15) };
    expect(refused(exposed)).toContain('16');
    expect(refused({ ...exposed, HOST: '127.0.0.1' })).toBe('');
    expect(refused({ ...exposed, API_KEYS: 'k'.repeat(16) })).toBe('');
    expect(refused({ API_KEYS: 'changeme' })).toContain('sample');
  });
});
