// What common scanners report about the gate: sslscan and testssl.sh, against a gate with a certificate of an authority that
// they trust.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Made, makeAuthority, makeCertificate } from '../certificates.ts';
import { openGate, type TestGate, temporaryDirectory } from '../gate.ts';

const run = promisify(execFile);
let gate: TestGate;
let authority: Made;
let place: string;

beforeAll(async () => {
  place = temporaryDirectory();
  authority = makeAuthority(place);
  const shown = makeCertificate(place, ['DNS:localhost', 'IP:127.0.0.1'], { authority, days: 89 });
  gate = await openGate('http://127.0.0.1:9', { TLS_CERT: shown.cert, TLS_KEY: shown.key });
});
afterAll(() => gate.stop());

test('U53: sslscan finds no old protocol, no weak cipher, no renegotiation, no compression', async () => {
  const { stdout } = await run('sslscan', ['--no-colour', `127.0.0.1:${gate.port}`], { maxBuffer: 1e7 });
  for (const old of ['SSLv2', 'SSLv3', 'TLSv1.0', 'TLSv1.1']) expect(stdout).toMatch(new RegExp(`${old}\\s+disabled`));
  for (const now of ['TLSv1.2', 'TLSv1.3']) expect(stdout).toMatch(new RegExp(`${now}\\s+enabled`));
  expect(stdout).toMatch(/Session renegotiation not supported|Secure session renegotiation supported/);
  expect(stdout).toMatch(/Compression disabled|does not support compression/);
  expect(stdout).not.toMatch(
    /CBC|RC4|3DES|NULL|EXPORT|anon|CCM_8|DHE .* 1024|not vulnerable to heartbleed.*is vulnerable/,
  );
  const accepted = Array.from(
    stdout.matchAll(/^(?:Preferred|Accepted)\s+\S+\s+\d+ bits\s+(\S+)/gm),
    ([, name]) => name,
  );
  expect(accepted.length).toBeGreaterThan(3);
  for (const name of accepted) expect(name).toMatch(/^(TLS_|ECDHE-)(ECDSA-|RSA-)?.*(GCM|CHACHA20|POLY1305)/);
});

test('U53: testssl.sh finds nothing above "info"', async () => {
  const out = join(mkdtempSync(join(tmpdir(), 'sekisho-scan-')), 'found.json');
  const ca = join(place, 'authority-for-scan.pem');
  writeFileSync(ca, readFileSync(authority.cert));
  // Protocols, server defaults, ciphers, forward secrecy and known faults; the exit code is the number of findings.
  await run(
    'testssl',
    [
      '--quiet',
      '--color',
      '0',
      '--warnings',
      'off',
      '--add-ca',
      ca,
      '-p',
      '-P',
      '-s',
      '-f',
      '-U',
      '-S',
      '--jsonfile',
      out,
      `localhost:${gate.port}`,
    ],
    { maxBuffer: 1e8, timeout: 590_000 },
  ).catch((error: unknown) => {
    if ((error as { killed?: boolean }).killed === true) throw error;
  });
  const found = JSON.parse(readFileSync(out, 'utf8')) as { id: string; severity: string; finding: string }[];
  expect(found.length).toBeGreaterThan(50);
  // A warning is a check that could not be made, such as that of tickets by this old version.
  const bad = found.filter(({ severity }) => !['OK', 'INFO', 'DEBUG', 'WARN'].includes(severity));
  // A test authority has no revocation list, no stapling, no transparency log and no CAA record.
  const ours = bad.filter(
    ({ id }) =>
      !/^(cert_(ocsp|crl|revocation|caa|transparency)|DNS_CAA|OCSP|certificate_transparency|cert_crlDistributionPoints|cert_ocspURL)/i.test(
        id,
      ),
  );
  expect(ours.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)).toEqual([]);
});
