// A certificate manager that cannot be opened leaves no timer behind.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { AcmeStore } from './acme.ts';
import { type GateCertificateSettings, openGateCertificates } from './certificate-manager.ts';
import { PairUnusable } from './pair.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sekisho-keeper-'));
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(dataDir, { recursive: true, force: true });
});

const store = {
  findCertificate: () => Promise.reject(new Error('the store does not answer')),
  giveLease: () => Promise.resolve(),
} as unknown as AcmeStore;

function open(settings: Partial<GateCertificateSettings>) {
  const files = { cert: [], key: [], passphrase: '', clientCa: '', clientCrl: '' };
  const acme = { domains: ['gate.example'], email: '', directory: '', ca: '', kid: '', hmac: '' };
  return openGateCertificates(
    { mode: 'self-signed', files, acme, names: [], clientCertificates: 'none', dataDir, gateName: 'Gate', ...settings },
    { store, now: () => Date.now(), nowMs: () => performance.now(), tell: () => undefined },
  );
}

test('unusable certificate files leave no timer', async () => {
  const file = join(dataDir, 'bad.pem');
  writeFileSync(file, 'no certificate');
  const files = { cert: [file], key: [file], passphrase: '', clientCa: '', clientCrl: '' };
  await expect(open({ mode: 'files', files })).rejects.toThrow(PairUnusable);
  expect(vi.getTimerCount()).toBe(0);
});

test('a store that does not answer leaves no timer', async () => {
  await expect(open({ mode: 'acme' })).rejects.toThrow('the store does not answer');
  expect(vi.getTimerCount()).toBe(0);
});

test('a certificate manager has timers until it is stopped', async () => {
  const keeper = await open({});
  expect(vi.getTimerCount()).toBeGreaterThan(0);
  await keeper.stop();
  expect(vi.getTimerCount()).toBe(0);
});
