// Certificate material that contains more, less or something other than the operator believes: containers, several pairs,
// authorities, revocation lists, and the leftovers of an interrupted start or a wrong clock.
import { once } from 'node:events';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Certificates } from '../../src/tls/certificates.ts';
import { openLocalAuthority } from '../../src/tls/local-authority.ts';
import { orderCertificate } from '../../src/tls/order.ts';
import { PairUnusable } from '../../src/tls/pair.ts';
import { loadListReader } from '../../src/tls/revocation.ts';
import { WatchedTrust } from '../../src/tls/trust.ts';
import { WatchedFiles } from '../../src/tls/watch.ts';
import {
  type Made,
  makeAuthority,
  makeCertificate,
  makeContainer,
  makeRevocationList,
  rsaKey,
} from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { closedAfterEach } from '../opened.ts';

let fake: FakeOllama;
let place: string;
let servers: Made;
let clients: Made;
let alice: Made;
let shown: Made;
const keep = closedAfterEach();

beforeAll(async () => {
  fake = await startFakeOllama();
  place = temporaryDirectory();
  servers = makeAuthority(place, 'Servers');
  clients = makeAuthority(place, 'Clients');
  shown = makeCertificate(place, ['DNS:gate.example'], { authority: servers });
  alice = makeCertificate(place, ['DNS:alice.example'], { authority: clients, use: 'clientAuth' });
});
afterAll(() => fake.close());

async function open(environment: Record<string, string>): Promise<TestGate> {
  return keep(await openGate(fake.url, environment));
}

/** The gate's answer to `GET /healthz` with this client certificate; undefined if it hangs up. */
function knock(gate: TestGate, who: Made | undefined, options: ConnectionOptions = {}): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connect({
    host: '127.0.0.1',
    port: gate.port,
    servername: 'gate.example',
    rejectUnauthorized: false,
    ...(who ? { cert: readFileSync(who.cert), key: readFileSync(who.key) } : {}),
    ...options,
  });
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]));
  socket.write('GET /healthz HTTP/1.1\r\nHost: gate.example\r\nConnection: close\r\n\r\n');
  return promise;
}

async function shownTo(gate: TestGate, servername: string): Promise<{ names: string; serial: string; chain: number }> {
  const socket = connect({ host: '127.0.0.1', port: gate.port, servername, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerCertificate(true);
  socket.destroy();
  let chain = 1;
  for (let at = certificate; at.issuerCertificate && at.issuerCertificate !== at; at = at.issuerCertificate) chain++;
  return { names: String(certificate.subjectaltname), serial: certificate.serialNumber, chain };
}

describe('a PKCS#12 container', () => {
  test.each([
    ['EC', undefined, []],
    ['RSA', rsaKey, []],
    [
      'EC with the old ciphers',
      undefined,
      ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1'],
    ],
    ['RSA with the old ciphers', rsaKey, ['-keypbe', 'PBE-SHA1-3DES', '-certpbe', 'PBE-SHA1-3DES', '-macalg', 'sha1']],
  ] as const)('of %s that carries its root does not make that root a client authority', async (_, key, how) => {
    const own = makeCertificate(place, ['DNS:gate.example'], { authority: servers, ...(key ? { key } : {}) });
    const container = makeContainer(own, 'open', ['-certfile', servers.cert, ...how]);
    const stranger = makeCertificate(place, ['DNS:any.example'], { authority: servers, use: 'clientAuth,serverAuth' });
    const gate = await open({
      TLS_CERT: container,
      TLS_PASSPHRASE: 'open',
      TLS_CLIENT_CA: clients.cert,
      TLS_CLIENT_CERT: 'required',
    });
    expect(await knock(gate, alice)).toBe('200');
    expect(await knock(gate, stranger)).toBeUndefined();
    expect(await knock(gate, own)).toBeUndefined();
    expect(await knock(gate, undefined)).toBeUndefined();
  });

  test('sends its intermediate authority, and opens without a passphrase if it has none', async () => {
    const middle = makeCertificate(place, ['DNS:middle.example'], { authority: servers, isAuthority: true });
    const own = makeCertificate(place, ['DNS:gate.example'], { authority: middle });
    const both = join(place, 'both.pem');
    writeFileSync(both, readFileSync(servers.cert, 'utf8') + readFileSync(middle.cert, 'utf8'));
    const gate = await open({ TLS_CERT: makeContainer(own, '', ['-certfile', both]) });
    expect(await shownTo(gate, 'gate.example')).toMatchObject({ names: 'DNS:gate.example', chain: 2 });
    expect(await knock(gate, undefined, { rejectUnauthorized: true, ca: readFileSync(servers.cert) })).toBe('200');
  });

  test('that is invalid or holds no key is refused in one sentence', async () => {
    const file = join(place, 'nonsense.p12');
    writeFileSync(file, 'nonsense');
    await expect(open({ TLS_CERT: file })).rejects.toThrow(/nonsense\.p12: it is no PKCS#12 container/);
    const keyless = makeContainer(shown, 'open', ['-nokeys']);
    await expect(open({ TLS_CERT: keyless, TLS_PASSPHRASE: 'open' })).rejects.toThrow(
      /no certificate with its private key/,
    );
  });
});

describe('one of several pairs', () => {
  test.each([
    [
      'half renewed',
      (bad: Made) => copyFileSync(makeCertificate(place, ['DNS:b.example'], { authority: servers }).cert, bad.cert),
    ],
    [
      'expired',
      (bad: Made) => {
        const past = makeCertificate(place, ['DNS:b.example'], { authority: servers, days: -1 });
        copyFileSync(past.cert, bad.cert);
        copyFileSync(past.key, bad.key);
      },
    ],
    ['away', (bad: Made) => rmSync(bad.cert)],
  ])('that is %s blocks neither the others nor a new revocation list', async (_, spoil) => {
    const [a, b] = ['a', 'b'].map((name) => makeCertificate(place, [`DNS:${name}.example`], { authority: servers }));
    const list = join(temporaryDirectory(), 'list.pem');
    copyFileSync(makeRevocationList(place, clients, []), list);
    const gate = await open({
      TLS_CERT: `${a?.cert},${b?.cert}`,
      TLS_KEY: `${a?.key},${b?.key}`,
      TLS_CLIENT_CA: clients.cert,
      TLS_CLIENT_CRL: list,
      TLS_CLIENT_CERT: 'required',
    });
    expect(await knock(gate, alice)).toBe('200');
    spoil(b as Made);
    gate.reload();
    await eventually(() => expect(gate.log()).toContain('the last one stays'));
    const fresh = makeCertificate(place, ['DNS:a.example', 'DNS:fresh.example'], { authority: servers });
    copyFileSync(fresh.cert, (a as Made).cert);
    copyFileSync(fresh.key, (a as Made).key);
    copyFileSync(makeRevocationList(place, clients, [alice]), list);
    gate.reload();
    await eventually(async () => {
      // With required client certificates, the server's certificate is visible before the client is refused.
      expect((await shownTo(gate, 'a.example')).names).toContain('DNS:fresh.example');
      expect((await shownTo(gate, 'b.example')).names).toBe('DNS:b.example');
      expect(await knock(gate, alice)).toBeUndefined();
    });
  });
});

describe('verification of client certificates', () => {
  const reject = (text: string, files: { ca?: string; crl?: string }): Promise<void> =>
    expect(
      open({
        TLS_CERT: shown.cert,
        TLS_KEY: shown.key,
        TLS_CLIENT_CA: files.ca ?? clients.cert,
        ...(files.crl === undefined ? {} : { TLS_CLIENT_CRL: files.crl }),
      }),
    ).rejects.toThrow(text);
  const file = (name: string, content: string | Buffer): string => {
    const path = join(place, name);
    writeFileSync(path, content);
    return path;
  };

  test('does not start with an authority file that contains less than the operator believes', async () => {
    const whole = readFileSync(clients.cert, 'utf8');
    const two = whole + readFileSync(servers.cert, 'utf8');
    await reject('there is no certificate in it', { ca: file('empty.pem', '') });
    await reject('it is cut off', { ca: file('cut.pem', whole.slice(0, -60)) });
    await reject('it is cut off', { ca: file('second-cut.pem', two.slice(0, -60)) });
    await reject('it is cut off', { ca: clients.key });
    await reject('cannot be read', {
      ca: file('damaged.pem', whole.replace(/\n[A-Za-z0-9+/]{20}/, '\nAAAAAAAAAAAAAAAAAAAA')),
    });
    await reject('not an authority', { ca: alice.cert });
    await reject('it ended on', {
      ca: makeCertificate(place, ['DNS:past.example'], { days: -1, isAuthority: true }).cert,
    });
    await reject('there is no certificate in it', { ca: file('none.pem', 'text') });
  });

  test('does not start with a list that is cut off, empty, foreign or expired, or omits an authority', async () => {
    const list = readFileSync(makeRevocationList(place, clients, [alice]), 'utf8');
    const other = makeAuthority(place, 'Other');
    const both = file('two-authorities.pem', readFileSync(clients.cert, 'utf8') + readFileSync(other.cert, 'utf8'));
    await reject('there is no revocation list in it', { crl: file('empty-list.pem', '') });
    await reject('it is cut off', { crl: file('cut-list.pem', list.slice(0, -40)) });
    await reject('it is cut off', { crl: clients.cert });
    await reject('signed by no authority', { crl: makeRevocationList(place, other, []) });
    await reject('ended on', {
      crl: makeRevocationList(
        place,
        clients,
        [],
        ['-crl_lastupdate', '20260101000000Z', '-crl_nextupdate', '20260102000000Z'],
      ),
    });
    await reject('it has no list of CN=Other', { ca: both, crl: makeRevocationList(place, clients, []) });
    const twin = makeAuthority(place, 'Clients');
    await reject('signed by no authority', { crl: makeRevocationList(place, twin, []) });
  });

  test('keeps its old files when a new one is unusable, and reports it in the log and the status', async () => {
    const ca = file('running.pem', readFileSync(clients.cert));
    const gate = await open({
      TLS_CERT: shown.cert,
      TLS_KEY: shown.key,
      TLS_CLIENT_CA: ca,
      TLS_CLIENT_CERT: 'required',
    });
    const whole = readFileSync(clients.cert, 'utf8');
    const bad = [
      '',
      whole.slice(0, -60),
      readFileSync(makeCertificate(place, ['DNS:past.example'], { days: -1, isAuthority: true }).cert, 'utf8'),
    ];
    for (const [index, text] of bad.entries()) {
      writeFileSync(ca, text);
      gate.reload();
      await eventually(() => expect(gate.log().split('the last of it stays').length - 1).toBe(index + 1));
      expect(await knock(gate, alice)).toBe('200');
    }
    const { secret } = await gate.key({ scopes: ['management:read'] });
    expect(await problemOf(gate, secret)).toContain('running.pem: it ended on');
    writeFileSync(ca, whole);
    gate.reload();
    await eventually(async () => expect(await problemOf(gate, secret)).toBeNull());
  });

  async function problemOf({ port }: TestGate, secret: string): Promise<unknown> {
    const socket = connect({
      host: '127.0.0.1',
      port,
      rejectUnauthorized: false,
      cert: readFileSync(alice.cert),
      key: readFileSync(alice.key),
    });
    socket.write(
      `GET /management/v1/encryption HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${secret}\r\nConnection: close\r\n\r\n`,
    );
    let text = '';
    for await (const piece of socket) text += String(piece);
    return (JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)) as { problem: unknown }).problem;
  }

  test('ends with an expired list while the gate runs: it is reported, and open connections must reconnect', async () => {
    const soon = Date.now() + 3_600_000;
    const stamp = new Date(soon).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
    const clock = { at: Date.now() };
    const said: string[] = [];
    let renewals = 0;
    const certificates = new Certificates();
    certificates.onTrust(() => renewals++);
    const trust = new WatchedTrust(
      { clientCa: clients.cert, clientCrl: makeRevocationList(place, clients, [], ['-crl_nextupdate', stamp]) },
      {
        certificates,
        readLists: await loadListReader(),
        now: () => clock.at,
        onLoad: () => undefined,
        onRefuse: (sentence) => said.push(sentence),
        onEnd: (sentence) => said.push(sentence),
      },
    );
    trust.reload();
    expect([said, renewals]).toEqual([[], 0]);
    clock.at = soon + 1_000;
    trust.reload();
    trust.reload();
    trust.stop();
    expect(said).toEqual([expect.stringContaining('its list of CN=Clients ended')]);
    expect(renewals).toBe(1);
  });
});

test('a file that changes just after its first reading is noticed at the next check', async () => {
  const path = join(place, 'raced');
  writeFileSync(path, 'first');
  const used: string[] = [];
  const files = new WatchedFiles([path], {
    use: (contents) => used.push(String(contents.get(path))),
    onRefuse: () => undefined,
    read: (from) => {
      const content = readFileSync(from);
      // Another length, so that the stamp differs even if the file system's clock is coarse.
      if (String(content) === 'first') writeFileSync(path, 'the second');
      return content;
    },
  });
  await eventually(() => expect(used).toEqual(['first', 'the second']));
  files.stop();
});

describe('the gate’s own authority', () => {
  const now = Date.now();
  const day = 86_400_000;
  const openIn = (dataDir: string, at = now) => {
    const reasons: string[] = [];
    return openLocalAuthority(dataDir, 'Sekisho', at, (reason) => reasons.push(reason)).then((opened) => ({
      opened,
      reasons,
    }));
  };

  test.each([
    ['the certificate of a key that was already written', (at: string) => rmSync(join(at, 'gate.pem'))],
    ['the key of the certificate', (at: string) => copyFileSync(join(at, 'authority.key'), join(at, 'gate.key'))],
    [
      'half of its certificate',
      (at: string) => writeFileSync(join(at, 'gate.pem'), readFileSync(join(at, 'gate.pem')).subarray(0, 100)),
    ],
  ])('starts again after a start that was interrupted before it wrote %s', async (_, interrupt) => {
    const dataDir = temporaryDirectory();
    const { opened } = await openIn(dataDir);
    await opened.pairFor(['localhost'], now);
    interrupt(dataDir);
    const gate = await open({ TLS: 'self-signed', DATA_DIR: dataDir });
    expect(
      await knock(gate, undefined, { rejectUnauthorized: true, ca: opened.certificate(), servername: 'localhost' }),
    ).toBe('200');
  });

  test('starts again after a first start that made only its key', async () => {
    const dataDir = temporaryDirectory();
    await openIn(dataDir);
    rmSync(join(dataDir, 'authority.pem'));
    const gate = await open({ TLS: 'self-signed', DATA_DIR: dataDir });
    expect(await knock(gate, undefined)).toBe('200');
  });

  test.each([
    ['missing', (at: string) => rmSync(join(at, 'authority.key')), /authority\.key is missing/],
    ["another authority's", (at: string) => copyFileSync(shown.key, join(at, 'authority.key')), /not its private key/],
  ])('is not silently replaced when its key is %s', async (_, spoil, sentence) => {
    const dataDir = temporaryDirectory();
    const { opened } = await openIn(dataDir);
    const before = opened.certificate();
    spoil(dataDir);
    await expect(openIn(dataDir)).rejects.toThrow(PairUnusable);
    await expect(open({ TLS: 'self-signed', DATA_DIR: dataDir })).rejects.toThrow(sentence);
    expect(readFileSync(join(dataDir, 'authority.pem'), 'utf8')).toBe(before);
  });

  test('made under a clock ahead of time is made again when the clock is right, at the start and while running', async () => {
    const dataDir = temporaryDirectory();
    const { opened, reasons } = await openIn(dataDir, now + 300 * day);
    const wrong = opened.certificate();
    const { cert } = await opened.pairFor(['localhost'], now);
    expect(opened.certificate()).not.toBe(wrong);
    expect(cert).toContain(opened.certificate());
    expect(reasons).toEqual([expect.stringContaining('the clock was wrong')]);
    expect(readFileSync(join(dataDir, 'authority.pem.old'), 'utf8')).toBe(wrong);
    const again = temporaryDirectory();
    await openIn(again, now + 300 * day);
    const later = await openIn(again, now);
    expect(later.reasons).toHaveLength(1);
    expect(existsSync(join(again, 'authority.pem.old'))).toBe(true);
  });

  test('is kept on a machine whose clock starts in 1970', async () => {
    const dataDir = temporaryDirectory();
    const { opened } = await openIn(dataDir);
    const back = await openIn(dataDir, 60_000);
    expect(back.reasons).toEqual([]);
    expect(back.opened.certificate()).toBe(opened.certificate());
  });

  test('is made again when its ten years are over', async () => {
    const dataDir = temporaryDirectory();
    const { opened } = await openIn(dataDir);
    const { reasons } = await openIn(dataDir, now + 3651 * day);
    expect(reasons).toEqual([expect.stringContaining('ended on')]);
    expect(readFileSync(join(dataDir, 'authority.pem'), 'utf8')).not.toBe(opened.certificate());
  });
});

test('a public authority that sends a byte now and then is abandoned after the timeout of one call', async () => {
  const own = makeCertificate(place, ['IP:127.0.0.1'], { authority: servers });
  const server = createServer({ cert: readFileSync(own.cert), key: readFileSync(own.key) }, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const drip = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(drip));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const settings = {
    domains: ['gate.example'],
    email: '',
    directory: `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`,
    ca: servers.cert,
    kid: '',
    hmac: '',
    callMs: 300,
  };
  const store = {
    acmeAccount: (_: string, fresh: string) => Promise.resolve(fresh),
    removeChallenges: () => Promise.resolve(),
  };
  await expect(
    orderCertificate(
      settings,
      ['http-01'],
      undefined,
      store as unknown as Parameters<typeof orderCertificate>[3],
      Date.now,
    ),
  ).rejects.toThrow(/timeout|aborted/i);
  server.closeAllConnections();
  server.close();
});
