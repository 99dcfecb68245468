// How the gate is encrypted, as operators see it without a shell: through the API in every mode, and on the pages in a
// browser.
import { X509Certificate } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AcmeAuthority, startAuthority } from '../acme-authority.ts';
import { checkAgainstSchema } from '../api-schemas.ts';
import { type Look, openBrowser, Reader } from '../browser.ts';
import { filesOf, type Made, makeAuthority, makeCertificate, makeContainer } from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { closedAfterEach } from '../opened.ts';
import { goodPassword, setUpCode } from '../visitor.ts';

let fake: FakeOllama;
let authority: Made;
let place: string;
const keep = closedAfterEach();
beforeAll(async () => {
  fake = await startFakeOllama();
  place = temporaryDirectory();
  authority = makeAuthority(place, 'Authority of the lab');
});
afterAll(() => fake.close());

async function open(environment: Record<string, string> = {}): Promise<TestGate> {
  return keep(await openGate(fake.url, environment));
}

const certificateIn = ({ cert }: Made): X509Certificate => new X509Certificate(readFileSync(cert));
const iso = (text: string): string => new Date(text).toISOString();

interface Answer {
  readonly status: number;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- the schema is checked by api-schemas
  readonly body: any;
}

/** Another test checks who signs the gate's certificate. */
function see(gate: TestGate, path: string, secret: string): Promise<Answer> {
  const url = new URL(`/management/v1${path}`, gate.url);
  const request = url.protocol === 'https:' ? secureRequest : plainRequest;
  return new Promise((resolve, reject) => {
    const headers = { host: url.host, ...(secret === '' ? {} : { 'x-api-key': secret }) };
    const options = { hostname: '127.0.0.1', rejectUnauthorized: false, headers };
    request(url, options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (text += piece));
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const told = { status, headers: { 'content-type': response.headers['content-type'] ?? '' } };
        const body = checkAgainstSchema('GET', path, new Response(text, told), text);
        resolve({ status, text, body });
      });
    })
      .on('error', reject)
      .end();
  });
}

/** Asked with a key that may read; the answer never contains a secret. */
async function seen(gate: TestGate, ...secrets: readonly string[]): Promise<Answer['body']> {
  const { secret } = await gate.key({ scopes: ['management:read'] });
  const [encryption, overview] = [await see(gate, '/encryption', secret), await see(gate, '/overview', secret)];
  const files = ['authority.key', 'gate.key', 'cookie.secret'].map((name) => join(gate.dataDir, name));
  const kept = files.filter((file) => existsSync(file)).map((file) => readFileSync(file, 'utf8'));
  const words = [...kept, ...secrets].flatMap((text) => text.split('\n')).filter((line) => line !== '');
  expect(words.length).toBeGreaterThan(0);
  for (const { text } of [encryption, overview])
    for (const word of [...words, 'PRIVATE KEY']) expect(text).not.toContain(word);
  expect(encryption.status).toBe(200);
  return { ...encryption.body, worry: overview.body.encryption };
}

const calm = { endsAt: null, problem: null };

describe('an operator sees how the gate is encrypted', () => {
  test('without encryption, and behind a proxy that is expected to encrypt', async () => {
    const nothing = { certificates: [], clientCertificates: 'none', renewsAt: null, problem: null, triesAt: null };
    const off = await seen(await open());
    expect(off).toMatchObject({ how: 'off', exposed: false, authority: null, ...nothing, worry: calm });
    const exposed = await seen(await open({ HOST: '0.0.0.0' }));
    expect(exposed).toMatchObject({ how: 'off', exposed: true, ...nothing });
    const behind = await seen(await open({ HOST: '0.0.0.0', TRUSTED_PROXIES: '127.0.0.1' }));
    expect(behind).toMatchObject({ how: 'proxy', exposed: false, ...nothing, worry: calm });
  });

  test('from files: every pair with its facts, and whether client certificates are requested', async () => {
    const pem = makeCertificate(place, ['DNS:gate.example', 'DNS:*.gate.example'], { authority, days: 60 });
    const inside = makeCertificate(place, ['IP:192.0.2.7'], { authority, days: 10 });
    const gate = await open({
      TLS_CERT: `${pem.cert},${makeContainer(inside, 'a pass phrase')}`,
      TLS_KEY: pem.key,
      TLS_PASSPHRASE: 'a pass phrase',
      TLS_CLIENT_CA: authority.cert,
    });
    const encryption = await seen(gate, 'a pass phrase', readFileSync(pem.key, 'utf8'));
    const [first, second] = [certificateIn(pem), certificateIn(inside)];
    expect(encryption).toMatchObject({
      how: 'files',
      exposed: false,
      clientCertificates: 'optional',
      authority: null,
      provisional: false,
      renewsAt: null,
      problem: null,
    });
    expect(encryption.certificates).toEqual([
      {
        names: ['gate.example', '*.gate.example'],
        issuer: 'Authority of the lab',
        notBefore: iso(first.validFrom),
        notAfter: iso(first.validTo),
        daysLeft: 59,
        state: 'fine',
        keyType: 'EC P-256',
        fingerprint: first.fingerprint256,
      },
      expect.objectContaining({ names: ['192.0.2.7'], state: 'ends-soon', fingerprint: second.fingerprint256 }),
    ]);
    expect(encryption.worry).toEqual({ endsAt: iso(second.validTo), problem: null });
  });

  test('from files replaced by unusable ones: the last pair and why the new one is refused, and no complaint once it is mended', async () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const gate = await open({ ...filesOf(files), TLS_CLIENT_CA: authority.cert, TLS_CLIENT_CERT: 'optional' });
    const before = await seen(gate);
    const other = makeCertificate(place, ['DNS:other.example'], { authority });
    copyFileSync(other.cert, files.cert);
    gate.reload();
    const refused = await seen(gate, readFileSync(files.key, 'utf8'), readFileSync(other.key, 'utf8'));
    expect(refused.problem).toContain('the private key is not the one of the certificate');
    expect(refused.worry).toEqual({ endsAt: null, problem: refused.problem });
    expect(refused.certificates).toEqual(before.certificates);
    copyFileSync(other.key, files.key);
    gate.reload();
    const mended = await seen(gate);
    expect(mended).toMatchObject({ problem: null, worry: calm, certificates: [{ names: ['other.example'] }] });
  });

  test('from files that have expired', async () => {
    const past = makeCertificate(place, ['DNS:gate.example'], { authority, days: -1 });
    const { certificates, worry } = await seen(await open(filesOf(past)));
    expect(certificates).toMatchObject([{ state: 'ended' }]);
    expect(certificates[0].daysLeft).toBeLessThan(0);
    expect(worry.endsAt).toBe(iso(certificateIn(past).validTo));
  });

  test('by its own authority: the names of this machine, and the renewal date', async () => {
    const gate = await open({ TLS: 'self-signed', TLS_NAMES: 'box.lan' });
    const encryption = await seen(gate);
    const own = new X509Certificate(readFileSync(join(gate.dataDir, 'authority.pem')));
    expect(encryption).toMatchObject({ how: 'self-signed', authority: own.fingerprint256, worry: calm });
    const [{ names, notBefore, notAfter, issuer, state }] = encryption.certificates;
    expect(names).toEqual(expect.arrayContaining(['localhost', '127.0.0.1', '::1', 'box.lan']));
    expect(own.subject).toContain(issuer);
    expect(state).toBe('fine');
    const [from, renews, to] = [notBefore, encryption.renewsAt, notAfter].map((at: string) => Date.parse(at));
    expect(((renews as number) - (from as number)) / ((to as number) - (from as number))).toBeCloseTo(2 / 3);
  });

  test('from a public authority: its certificate and the next renewal date', async () => {
    const ca = await authorityFor();
    const gate = await open(acmeOf(ca));
    const encryption = await eventually(async () => {
      const found = await seen(gate);
      expect(found.provisional).toBe(false);
      return found;
    });
    expect(encryption).toMatchObject({ how: 'acme', authority: null, problem: null, triesAt: null, worry: calm });
    expect(encryption.certificates).toMatchObject([{ names: ['gate.example'], state: 'fine' }]);
    expect(encryption.certificates[0].issuer).toMatch(/^Pebble/);
    expect(Date.parse(encryption.renewsAt)).toBeGreaterThan(Date.now());
    // Facts that only the store knows are shown to no caller.
    const { secret } = await gate.key({ scopes: ['management:read'] });
    const { text } = await see(gate, '/encryption', secret);
    await gate.manage(async (store) => {
      const stored = await store.findCertificate(`${ca.directory} gate.example`);
      const account = await store.acmeAccount(ca.directory, 'there is one already');
      const lines = [stored?.key ?? '', account].flatMap((pem) => pem.split('\n')).filter((line) => line.length > 20);
      expect(lines.length).toBeGreaterThan(4);
      for (const line of lines) expect(text).not.toContain(line);
    });
  });

  test('from an unreachable public authority: the current certificate, the reason, and the next try', async () => {
    const ca = await authorityFor();
    await ca.kill();
    const [kid, hmac] = ['customer-4711', 'VGhlIHNlY3JldCBvZiB0aGUgY3VzdG9tZXI'];
    const gate = await open({ ...acmeOf(ca), ACME_KID: kid, ACME_HMAC: hmac });
    const encryption = await eventually(async () => {
      const found = await seen(gate, hmac, kid);
      expect(found.problem).not.toBeNull();
      return found;
    });
    expect(encryption).toMatchObject({ how: 'acme', provisional: true, renewsAt: null });
    expect(encryption.problem).toContain('ECONNREFUSED');
    expect(encryption.worry).toEqual({ endsAt: null, problem: encryption.problem });
    expect(encryption.certificates).toMatchObject([{ names: ['gate.example'] }]);
    expect(Date.parse(encryption.triesAt)).toBeGreaterThan(Date.now());
  });
});

test('a key that may not read settings learns nothing about encryption', async () => {
  const gate = await open({ TLS: 'self-signed' });
  const { secret: member } = await gate.member({});
  const { secret: wide } = await gate.key();
  for (const [secret, status] of [
    [member, 403],
    [wide, 403],
    ['', 401],
  ] as const) {
    const answer = await see(gate, '/encryption', secret);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toMatch(/certificates|127\.0\.0\.1|localhost/);
  }
});

describe('on the pages', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser.close());

  /** An operator of that gate, on its settings page. */
  async function atSettings(gate: TestGate, look: Look = {}): Promise<Reader> {
    const code = await setUpCode(gate, 'desk');
    const reader = await Reader.at(browser, gate.url, look);
    keep({ stop: () => reader.close() });
    await reader.open(`/portal/setup#${code}`);
    await reader.fill('Name *', 'Boss');
    await reader.fill('Email address *', 'boss@example.org');
    await reader.fill('Password *', goodPassword);
    await reader.press('Set up');
    await reader.page.getByRole('heading', { name: 'Overview' }).waitFor();
    await reader.open('/portal/operate/settings');
    await reader.page.getByRole('heading', { name: 'Encryption' }).waitFor();
    return reader;
  }

  /** Text wider than its box is cut off there silently. */
  async function isReadWhole({ page }: Reader): Promise<void> {
    await page.getByRole('alert').first().waitFor();
    const beyond = await page.evaluate<number[]>(
      '[...document.querySelectorAll("[role=alert]")].map((box) => box.scrollWidth - box.clientWidth)',
    );
    expect(beyond).toEqual(beyond.map(() => 0));
  }

  /** As the page writes it for this reader, whose time zone is Tokyo. */
  function written(text: string): string {
    const inTokyo = (at: Date, how: Intl.DateTimeFormatOptions): string =>
      new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Tokyo', ...how }).format(at);
    const at = new Date(text);
    const thisYear = inTokyo(at, { year: 'numeric' }) === inTokyo(new Date(), { year: 'numeric' });
    return inTokyo(at, {
      ...(thisYear ? {} : { year: 'numeric' }),
      month: 'short',
      day: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
    });
  }

  test('an operator of a self-signed gate sees its names, its expiry and how to trust it', async () => {
    const gate = await open({ TLS: 'self-signed', TLS_NAMES: 'box.lan' });
    const reader = await atSettings(gate);
    const leaf = new X509Certificate(readFileSync(join(gate.dataDir, 'gate.pem')));
    const { page } = reader;
    await reader.sees('own certificate authority');
    if (await page.getByRole('button', { name: /^\d+ more$/ }).isVisible()) await reader.press(/^\d+ more$/);
    for (const name of ['localhost', '127.0.0.1', 'box.lan'])
      await eventually(async () => expect(await page.getByText(name, { exact: true }).count(), name).toBe(1));
    await reader.sees(written(leaf.validTo));
    await reader.sees('396 days left');
    await reader.sees(leaf.fingerprint256);
    await reader.isSound();
    await page.getByRole('link', { name: 'How to make devices trust it' }).click();
    await reader.sees(new X509Certificate(readFileSync(join(gate.dataDir, 'authority.pem'))).fingerprint256);
    await reader.open('/portal/operate');
    await reader.sees('Live');
    expect(await page.getByText('See “Settings”').count()).toBe(0);
  });

  test('the pages warn of refused files and of a certificate that expires soon', async () => {
    const made = makeCertificate(place, ['DNS:localhost'], { authority, days: 10 });
    // A name without a break opportunity is readable to its end, also on a phone.
    const files = { cert: join(place, `${'c'.repeat(120)}.pem`), key: made.key };
    copyFileSync(made.cert, files.cert);
    const gate = await open(filesOf(files));
    const reader = await atSettings(gate, { width: 390 });
    await reader.sees('9 days left');
    expect(await reader.page.getByText('The newest files are not used').count()).toBe(0);
    await reader.open('/portal/operate');
    await reader.sees(`A certificate expires on ${written(certificateIn(files).validTo)}`);
    expect(await reader.page.getByText(/The renewal failed/).count()).toBe(0);
    copyFileSync(makeCertificate(place, ['DNS:other.example'], { authority }).cert, files.cert);
    gate.reload();
    await reader.sees(/The renewal failed: .*the private key is not the one of the certificate/);
    await reader.isSound();
    await isReadWhole(reader);
    await reader.page.getByRole('link', { name: 'See “Settings”' }).click();
    await reader.sees('The newest files are not used');
    await reader.sees(/the private key is not the one of the certificate/);
    await reader.sees('The current certificate stays in use.');
    expect(await reader.page.getByText('other.example').count()).toBe(0);
    await reader.isSound();
    await isReadWhole(reader);
  });
});

async function authorityFor(): Promise<AcmeAuthority> {
  const made = await startAuthority();
  keep(made);
  return made;
}

const acmeOf = ({ directory, ca, httpPort }: AcmeAuthority): Record<string, string> => ({
  ACME_DOMAINS: 'gate.example',
  ACME_DIRECTORY: directory,
  ACME_CA: ca,
  HTTP_PORT: String(httpPort),
});
