// TLS with certificates from files and from the gate's own authority, on real sockets.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type Agent, type RequestOptions, request } from 'node:https';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigErrors } from '../../src/settings/config.ts';
import { Certificates } from '../../src/tls/certificates.ts';
import { watchCertificates } from '../../src/tls/files.ts';
import { openPair, type Pair, PairUnusable } from '../../src/tls/pair.ts';
import { openSecure, ProtocolDetector } from '../../src/tls/protocol-detection.ts';
import { openBrowser, Reader } from '../browser.ts';
import { filesOf, type Made, makeAuthority, makeCertificate, makeContainer } from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, spawnGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { closedAfterEach } from '../opened.ts';

let fake: FakeOllama;
let authority: Made;
let place: string;
const keep = closedAfterEach();

beforeAll(async () => {
  fake = await startFakeOllama();
  place = temporaryDirectory();
  authority = makeAuthority(place);
});
afterAll(() => fake.close());

async function open(environment: Record<string, string>): Promise<TestGate> {
  return keep(await openGate(fake.url, environment));
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly text: string;
}

function ask(
  gate: TestGate,
  path: string,
  options: RequestOptions & { body?: string; agent?: Agent } = {},
): Promise<Answer> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port: gate.port,
        path,
        servername: 'gate.example',
        ca: readFileSync(authority.cert),
        ...rest,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => (text += piece));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
        response.on('error', reject);
      },
    );
    call.on('error', reject).end(body);
  });
}

/** Does only the handshake; returns the socket, or throws what went wrong. */
function shake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options }, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function shownTo(gate: TestGate, servername: string | undefined): Promise<string> {
  const socket = await shake(gate.port, servername === undefined ? {} : { servername });
  const { subjectaltname = '' } = socket.getPeerCertificate();
  socket.destroy();
  return subjectaltname;
}

describe('certificates from files', () => {
  test('encrypt every answer: a streamed call, the pages and the API', async () => {
    const gate = await open(filesOf(makeCertificate(place, ['DNS:gate.example'], { authority })));
    const { secret } = await gate.key();
    const body = JSON.stringify({ model: 'gemma3:270m', messages: [{ role: 'user', content: 'hi' }] });
    const answer = await ask(gate, '/api/chat', { method: 'POST', headers: { 'x-api-key': secret }, body });
    expect(answer.status).toBe(200);
    expect(answer.text.trim().split('\n').at(-1)).toContain('"done":true');
    expect((await ask(gate, '/api/chat', { method: 'POST', headers: { 'x-api-key': 'no' }, body })).status).toBe(401);
    expect((await ask(gate, '/management/v1/session', { headers: { host: 'gate.example' } })).status).toBe(200);
    expect((await ask(gate, '/portal/', { headers: { host: 'gate.example' } })).status).toBe(200);
    expect(gate.url).toMatch(/^https:/);
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'completed' }]);
  });

  test('U52: are chosen by the server name that the caller asks for, with wildcards', async () => {
    const first = makeCertificate(place, ['DNS:gate.example'], { authority });
    const second = makeCertificate(place, ['DNS:other.example', 'DNS:*.wild.example'], { authority });
    const gate = await open(filesOf(first, second));
    expect(await shownTo(gate, 'gate.example')).toBe('DNS:gate.example');
    expect(await shownTo(gate, 'OTHER.Example')).toContain('DNS:other.example');
    expect(await shownTo(gate, 'a.wild.example')).toContain('DNS:other.example');
    // A wildcard matches exactly one label.
    for (const name of [
      'a.b.wild.example',
      'wild.example',
      'unknown.example',
      `${'a'.repeat(63)}.example`,
      '__proto__',
    ])
      expect(await shownTo(gate, name), name).toBe('DNS:gate.example');
    expect(await shownTo(gate, undefined)).toBe('DNS:gate.example');
  });

  test('can be a PKCS#12 container beside a PEM file', async () => {
    const inside = makeCertificate(place, ['DNS:inside.example'], { authority });
    const pem = makeCertificate(place, ['DNS:gate.example'], { authority });
    const gate = await open({
      TLS_CERT: `${makeContainer(inside, 'a pass phrase')},${pem.cert}`,
      TLS_KEY: pem.key,
      TLS_PASSPHRASE: 'a pass phrase',
    });
    expect(await shownTo(gate, 'inside.example')).toBe('DNS:inside.example');
    expect(await shownTo(gate, 'gate.example')).toBe('DNS:gate.example');
  });

  test('are replaced without a restart when the files change, and running answers continue', async () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const gate = await open(filesOf(files));
    const { secret } = await gate.key();
    const body = JSON.stringify({ model: 'gemma3:270m', prompt: 'slow' });
    let go = (): void => undefined;
    const held = new Promise<void>((resolve) => (go = resolve));
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk('{"response":"first","done":false}\n');
      await held;
      await answer.chunk('{"response":"","done":true,"prompt_eval_count":1,"eval_count":1}\n');
      answer.end();
    });
    const running = ask(gate, '/api/generate', { method: 'POST', headers: { 'x-api-key': secret }, body });
    const next = makeCertificate(place, ['DNS:gate.example', 'DNS:new.example'], { authority });
    copyFileSync(next.key, files.key);
    copyFileSync(next.cert, files.cert);
    await eventually(async () => expect(await shownTo(gate, 'new.example')).toContain('DNS:new.example'));
    go();
    const { text } = await running;
    expect(text.trim().split('\n').at(-1)).toContain('"done":true');
  });

  test('S10: stay in use when the new files cannot be used, and the log says why', async () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const gate = await open(filesOf(files));
    const other = makeCertificate(place, ['DNS:wrong.example'], { authority });
    const past = makeCertificate(place, ['DNS:past.example'], { authority, days: -1 });
    const refused = (): number => gate.log().split('the last one stays').length - 1;
    const steps: (() => void)[] = [
      () => copyFileSync(other.cert, files.cert),
      () => writeFileSync(files.cert, readFileSync(other.cert).subarray(0, 200)),
      () => writeFileSync(files.cert, ''),
      () => writeFileSync(files.cert, 'no certificate at all'),
      () => renameSync(files.cert, `${files.cert}.gone`),
      () => {
        copyFileSync(past.cert, files.cert);
        copyFileSync(past.key, files.key);
      },
    ];
    for (const [index, step] of steps.entries()) {
      const before = refused();
      step();
      // The watcher checks every two seconds by itself; one check is enough for this.
      if (index > 0) gate.reload();
      await eventually(() => expect(refused()).toBeGreaterThan(before));
      expect(await shownTo(gate, 'gate.example')).toBe('DNS:gate.example');
    }
    expect(gate.log()).not.toContain('PRIVATE KEY');
  });

  test('are used again when they were missing for a while and come back unchanged', () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const events: string[] = [];
    const kept = watchCertificates(
      { cert: [files.cert], key: [files.key], passphrase: '' },
      {
        certificates: new Certificates(),
        unpack: undefined,
        trust: () => ({}),
        now: Date.now,
        onLoad: () => events.push('loaded'),
        onRefuse: () => events.push('refused'),
      },
    );
    renameSync(files.cert, `${files.cert}.away`);
    kept.reload();
    renameSync(`${files.cert}.away`, files.cert);
    kept.reload();
    kept.reload();
    kept.stop();
    expect(events).toEqual(['loaded', 'refused', 'loaded']);
  });

  test('must be usable at the start; otherwise one sentence says why they are not', async () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const other = makeCertificate(place, ['DNS:other.example'], { authority });
    await expect(open({ TLS_CERT: files.cert, TLS_KEY: other.key })).rejects.toThrow(PairUnusable);
    await expect(open({ TLS_CERT: files.cert, TLS_KEY: other.key })).rejects.toThrow(/not the one of the certificate/);
    await expect(open({ TLS_CERT: files.cert, TLS_KEY: '/nowhere' })).rejects.toThrow(/cannot be read \(ENOENT\)/);
    const container = makeContainer(files, 'right');
    await expect(open({ TLS_CERT: container, TLS_PASSPHRASE: 'wrong' })).rejects.toThrow(/passphrase/);
    await expect(open({ TLS_CERT: files.cert })).rejects.toThrow(ConfigErrors);
    await expect(open({ ...filesOf(files), ACME_DOMAINS: 'gate.example' })).rejects.toThrow(ConfigErrors);
    await expect(open({ TLS: 'self-signed', ...filesOf(files) })).rejects.toThrow(ConfigErrors);
    await expect(open({ TLS_CLIENT_CA: authority.cert })).rejects.toThrow(ConfigErrors);
  });

  test('H2: are read again on SIGHUP, which does not stop the gate', async () => {
    const files = makeCertificate(place, ['DNS:gate.example'], { authority });
    const link = join(place, 'current.pem');
    symlinkSync(files.cert, link);
    const gate = await spawnGate({ UPSTREAM: fake.url, TLS_CERT: link, TLS_KEY: files.key });
    copyFileSync(makeCertificate(place, ['DNS:wrong.example'], { authority }).cert, files.cert);
    gate.process.kill('SIGHUP');
    await eventually(() => expect(gate.output()).toContain('the last one stays'));
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
  });
});

test('a hundred renewals under load fail no handshake and break no connection', async () => {
  const [odd, even] = [0, 1].map(() => {
    const { cert, key } = makeCertificate(place, ['DNS:gate.example'], { authority });
    return openPair({ cert: readFileSync(cert), key: readFileSync(key) });
  }) as [Pair, Pair];
  const certificates = new Certificates();
  certificates.replace([odd]);
  const encryption = { certificates, clientCertificates: 'none', handshakeMs: 5_000 } as const;
  const secure = openSecure({}, encryption);
  secure.on('request', (_request, response) => response.end('here'));
  const server = new ProtocolDetector(secure, createServer(), encryption);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const end = new AbortController();
  let answers = 0;
  let answered = Promise.withResolvers<void>();
  const visitors = Array.from({ length: 6 }, async () => {
    while (!end.signal.aborted) {
      const socket = await shake(port, { servername: 'gate.example' });
      for (let i = 0; i < 3; i++) {
        const heard = once(socket, 'data');
        socket.write('GET / HTTP/1.1\r\nHost: gate.example\r\n\r\n');
        expect(String((await heard)[0])).toMatch(/^HTTP\/1.1 200/);
        answers++;
        answered.resolve();
        answered = Promise.withResolvers();
      }
      socket.destroy();
    }
  });
  for (let i = 0; i < 100; i++) {
    certificates.replace([i % 2 === 0 ? even : odd]);
    await answered.promise;
  }
  end.abort();
  await Promise.all(visitors);
  expect(answers).toBeGreaterThanOrEqual(100);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('a handshake', () => {
  let gate: TestGate;
  const fresh = async (): Promise<TestGate> =>
    (gate = await open(filesOf(makeCertificate(place, ['DNS:gate.example'], { authority }))));

  test('U47, U53: accepts only TLS 1.2 or 1.3 with forward secrecy, and only HTTP/1.1', async () => {
    await fresh();
    const old = { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' } as const;
    await expect(shake(gate.port, { ...old, maxVersion: 'TLSv1' })).rejects.toThrow();
    await expect(shake(gate.port, { ...old, maxVersion: 'TLSv1.1' })).rejects.toThrow();
    for (const ciphers of [
      'AES128-SHA',
      'ECDHE-ECDSA-AES128-SHA',
      'ECDHE-ECDSA-AES128-CCM8',
      'NULL-SHA256:@SECLEVEL=0',
    ])
      await expect(shake(gate.port, { maxVersion: 'TLSv1.2', ciphers }), ciphers).rejects.toThrow();
    const modern = await shake(gate.port, { ALPNProtocols: ['h2', 'http/1.1'] });
    expect([modern.getProtocol(), modern.alpnProtocol]).toEqual(['TLSv1.3', 'http/1.1']);
    modern.destroy();
    await expect(shake(gate.port, { ALPNProtocols: ['h2'] })).rejects.toThrow();
    const older = await shake(gate.port, { maxVersion: 'TLSv1.2' });
    expect(older.getProtocol()).toBe('TLSv1.2');
    older.destroy();
  });

  test('U4: is aborted when it never begins or never ends', async () => {
    await fresh();
    const began = performance.now();
    const ended = (socket: ReturnType<typeof connectTcp>): Promise<number> =>
      new Promise((resolve) =>
        socket
          .on('error', () => undefined)
          .once('close', () => resolve(performance.now() - began))
          .resume(),
      );
    const silent = connectTcp(gate.port, '127.0.0.1');
    const half = connectTcp(gate.port, '127.0.0.1', () => half.write(Buffer.from('160301', 'hex')));
    for (const took of await Promise.all([ended(silent), ended(half)])) expect(took).toBeGreaterThan(8_000);
  });

  test('U52: with malformed bytes ends that connection and nothing else', async () => {
    await fresh();
    const junk = [
      Buffer.from([0x16]),
      Buffer.from('1603010200' + 'ff'.repeat(512), 'hex'),
      Buffer.alloc(4096, 0x16),
      Buffer.from('160301ffff', 'hex'),
    ];
    for (const bytes of junk) {
      const socket = connectTcp(gate.port, '127.0.0.1', () => socket.end(bytes));
      await new Promise((resolve) =>
        socket
          .on('error', () => undefined)
          .once('close', resolve)
          .resume(),
      );
    }
    expect((await ask(gate, '/healthz')).status).toBe(200);
  });

  test('U53: cannot be renegotiated, and the limit for a slow head holds inside TLS as well', async () => {
    gate = await open({ ...filesOf(makeCertificate(place, ['DNS:gate.example'], { authority })), HEAD_SECONDS: '1' });
    const socket = await shake(gate.port, { maxVersion: 'TLSv1.2' });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    let said = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (said += piece));
    expect(socket.renegotiate({}, () => undefined)).toBeTypeOf('boolean');
    await closed;
    const slow = await shake(gate.port, {});
    slow.setEncoding('latin1').on('data', (piece: string) => (said += piece));
    slow.write('GET /healthz HTTP/1.1\r\nHost: gate.example\r\n');
    await new Promise((resolve) => slow.once('close', resolve));
    expect(said).toContain('408');
  });
});

describe('without encryption', () => {
  test('a call is refused in its own dialect without a redirect, and the log names its key', async () => {
    const gate = await open(filesOf(makeCertificate(place, ['DNS:gate.example'], { authority })));
    const { id, secret } = await gate.key();
    const before = fake.calls.length;
    for (const [path, method] of [
      ['/api/chat', 'POST'],
      ['/v1/chat/completions', 'POST'],
      ['/api/tags', 'GET'],
      ['/management/v1/keys', 'GET'],
      ['/portal/auth/sign-in/email', 'POST'],
    ] as const) {
      const response = await fetch(`http://127.0.0.1:${gate.port}${path}`, {
        method,
        redirect: 'manual',
        headers: { 'x-api-key': secret },
      });
      expect([path, response.status, response.headers.get('location')]).toEqual([path, 403, null]);
      expect(await response.text()).toContain('tls_required');
    }
    expect(fake.calls.length).toBe(before);
    expect(gate.log()).toContain(`the key ${id} was sent without encryption`);
    expect(gate.log()).not.toContain(secret);
  });

  test('a browser that asks for a page is redirected to https, on the same port and on the port for plain HTTP', async () => {
    const gate = await open({
      ...filesOf(makeCertificate(place, ['DNS:gate.example'], { authority })),
      PUBLIC_URL: 'https://gate.example',
    });
    const load = async (path: string, accept = 'text/html'): Promise<unknown[]> => {
      const response = await fetch(`http://127.0.0.1:${gate.port}${path}`, { redirect: 'manual', headers: { accept } });
      return [response.status, response.headers.get('location')];
    };
    expect(await load('/')).toEqual([308, 'https://gate.example/']);
    expect(await load('/portal/apply?x=1')).toEqual([308, 'https://gate.example/portal/apply?x=1']);
    expect(await load('/portal//evil.example/..')).toEqual([308, 'https://gate.example/portal//']);
    // A client that is not a browser gets an error instead of a redirect.
    expect(await load('/', '*/*')).toEqual([403, null]);
    expect(await load('/healthz')).toEqual([200, null]);
  });

  test('browsers get Strict-Transport-Security under a public name and under no other', async () => {
    const files = makeCertificate(place, ['DNS:gate.example', 'DNS:localhost'], { authority });
    const gate = await open(filesOf(files));
    const told = async (host: string): Promise<unknown> =>
      (await ask(gate, '/portal/', { headers: { host } })).headers['strict-transport-security'];
    expect(await told('gate.example')).toBe('max-age=63072000');
    for (const host of ['localhost', '127.0.0.1', '[::1]', 'box.local']) expect(await told(host), host).toBeUndefined();
  });

  test('U46: unknown bytes are refused and do not hang', async () => {
    const gate = await open(filesOf(makeCertificate(place, ['DNS:gate.example'], { authority })));
    for (const bytes of ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\u0000\u0001\u0002\r\n\r\n', 'SSH-2.0-x\r\n\r\n']) {
      const client = new RawClient(gate.port);
      client.write(bytes);
      await client.closed;
      expect(client.text.slice(0, 12), bytes).toMatch(/^HTTP\/1\.1 [45]/);
    }
  });
});

describe('the gate’s own authority', () => {
  test.each(['en', 'ja'] as const)('is offered for download and explained on the pages, in %s', async (language) => {
    const gate = await open({ TLS: 'self-signed' });
    const browser = await openBrowser();
    const reader = await Reader.at(browser, gate.url, { language, width: 390 });
    await reader.open('/portal/');
    await reader.page.getByRole('link', { name: /Trust it once|信頼の設定/ }).click();
    await reader.page.getByText(/update-ca-certificates/).waitFor();
    const ca = readFileSync(join(gate.dataDir, 'authority.pem'));
    await reader.sees(new X509Certificate(ca).fingerprint256);
    await reader.isSound();
    const file = await ask(gate, '/portal/authority.crt', { ca, servername: 'localhost' });
    expect([file.text, file.headers['content-type']]).toEqual([ca.toString(), 'application/x-x509-ca-cert']);
    await reader.close();
    await browser.close();
  });

  test('is made once, signs every name of this machine, and keeps its key readable by its owner only', async () => {
    const dataDir = temporaryDirectory();
    const first = await openGate(fake.url, { TLS: 'self-signed', DATA_DIR: dataDir, TLS_NAMES: 'box.lan,192.0.2.7' });
    const ca = readFileSync(join(dataDir, 'authority.pem'));
    for (const servername of ['localhost', 'box.lan']) {
      const answer = await ask(first, '/healthz', { ca, servername });
      expect(answer.status).toBe(200);
    }
    const shown = await shownTo(first, 'localhost');
    expect(shown).toContain('IP Address:127.0.0.1');
    expect(shown).toContain('IP Address:192.0.2.7');
    for (const file of ['authority.key', 'gate.key']) expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
    await expect(ask(first, '/healthz', { ca, servername: 'evil.example' })).rejects.toThrow();
    const leaf = readFileSync(join(dataDir, 'gate.pem'), 'utf8');
    await first.stop();
    const second = await openGate(fake.url, { TLS: 'self-signed', DATA_DIR: dataDir, TLS_NAMES: 'box.lan,192.0.2.7' });
    expect(readFileSync(join(dataDir, 'authority.pem')).equals(ca)).toBe(true);
    expect(readFileSync(join(dataDir, 'gate.pem'), 'utf8')).toBe(leaf);
    await second.stop();
  });
});
