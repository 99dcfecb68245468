// A certificate that the gate obtains by itself from Debian's pebble: in the ordinary case, and when the authority is
// difficult, slow or gone.

import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp } from 'node:net';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoredCertificate } from '../../src/store/ports/certificates.ts';
import type { HeldLease } from '../../src/store/ports/leases.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { AcmeCertificates } from '../../src/tls/acme.ts';
import { Certificates } from '../../src/tls/certificates.ts';
import { certificateId, orderCertificate, renewalId } from '../../src/tls/order.ts';
import { type AcmeAuthority, startAuthority } from '../acme-authority.ts';
import { type Made, makeAuthority, makeCertificate } from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { closedAfterEach } from '../opened.ts';

let fake: FakeOllama;
const keep = closedAfterEach();
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

async function authority(habits: Parameters<typeof startAuthority>[0] = {}): Promise<AcmeAuthority> {
  return keep(await startAuthority(habits));
}

async function open(from: AcmeAuthority, extra: Record<string, string> = {}): Promise<TestGate> {
  const gate = await openGate(fake.url, {
    ACME_DOMAINS: 'gate.example,www.gate.example',
    ACME_EMAIL: 'operator@gate.example',
    ACME_DIRECTORY: from.directory,
    ACME_CA: from.ca,
    HTTP_PORT: String(from.httpPort),
    ...extra,
  });
  keep(gate);
  return gate;
}

interface Shown {
  readonly issuer: string;
  readonly names: string;
  readonly serial: string;
}

/** Without a `servername`, none is sent, because the host is an address (RFC 6066, section 3). */
function shown({ port }: TestGate, more: ConnectionOptions = { servername: 'gate.example' }): Promise<Shown> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...more }, () => {
      const { issuer, subjectaltname = '', serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      resolve({ issuer: String(issuer.CN), names: subjectaltname, serial: serialNumber });
    });
    socket.once('error', reject);
  });
}

const fromPebble = (gate: TestGate, limitMs?: number): Promise<Shown> =>
  eventually(async () => {
    const found = await shown(gate);
    expect(found.issuer).toMatch(/^Pebble/);
    return found;
  }, limitMs);

describe('obtaining a certificate', () => {
  test('takes seconds with the challenge on port 80, and after a restart the stored one is used at once', async () => {
    const ca = await authority();
    const gate = await open(ca);
    // The gate is open before the certificate arrives.
    expect((await shown(gate)).issuer).toMatch(/Sekisho/);
    const { names, serial } = await fromPebble(gate);
    expect((await shown(gate, {})).serial).toBe(serial);
    expect(names).toBe('DNS:gate.example, DNS:www.gate.example');
    expect(statSync(join(gate.dataDir, 'sekisho.db')).mode & 0o777).toBe(0o600);
    expect(gate.log()).not.toContain('PRIVATE KEY');
    const { port } = gate;
    expect(port).toBeGreaterThan(0);
    // For any other path, the plain port reveals nothing.
    for (const path of [
      '/.well-known/acme-challenge/',
      '/.well-known/acme-challenge/x',
      '/.well-known/acme-challenge/../x',
    ])
      expect((await fetch(`http://127.0.0.1:${ca.httpPort}${path}`)).status, path).not.toBe(200);
    await gate.manage(async (store) => {
      const found = await store.findCertificate(`${ca.directory} gate.example www.gate.example`);
      expect(found?.chain).toContain('BEGIN CERTIFICATE');
    });
    expect(serial).toMatch(/^[0-9A-F]+$/);
  });

  test('until the first one arrives, callers see one that they cannot trust, with and without a server name', async () => {
    const ca = await authority();
    await ca.kill();
    const gate = await open(ca);
    const early = await shown(gate);
    expect(early.issuer).toMatch(/Sekisho/);
    expect(await shown(gate, {})).toEqual(early);
    const trusting = { servername: 'gate.example', rejectUnauthorized: true, checkServerIdentity: () => undefined };
    for (const roots of [{}, { ca: readFileSync(ca.ca) }])
      await expect(shown(gate, { ...trusting, ...roots })).rejects.toThrow(/self-signed|unable to verify/);
  });

  test('works by a TLS challenge on the encrypted port when port 80 is closed', async () => {
    const ca = await authority();
    // The gate cannot bind its second port.
    const gate = await open(ca, { PORT: String(ca.tlsPort), HTTP_PORT: String(ca.tlsPort) });
    expect((await fromPebble(gate)).names).toContain('DNS:gate.example');
    expect(gate.log()).toContain('nothing listens for plain HTTP');
  });

  test('S11: succeeds at a slow authority that refuses nine of ten nonces', async () => {
    const gate = await open(await authority({ refusedNonces: 90, slowSeconds: 3 }));
    // How often it has to ask again is left to chance.
    expect((await fromPebble(gate, 180_000)).names).toContain('DNS:gate.example');
  });
});

describe('the certificate manager', () => {
  const day = 86_400_000;
  /**
   * The certificate manager of one gate over a store, with a clock that the test sets, listening only on the ports that
   * the authority asks.
   */
  async function managerOver(
    store: Store,
    ca: AcmeAuthority,
    clock: { at: number },
    more: Partial<ConstructorParameters<typeof AcmeCertificates>[1]> = {},
  ) {
    const certificates = new Certificates();
    const events: string[] = [];
    const manager: AcmeCertificates = new AcmeCertificates(
      { domains: ['gate.example'], email: '', directory: ca.directory, ca: ca.ca, kid: '', hmac: '' },
      {
        store,
        certificates,
        now: () => clock.at,
        nowMs: () => clock.at,
        onRenew: () => events.push('renewed'),
        onFail: (error, waitMs) => events.push(`failed ${Math.floor(waitMs / 60_000)} ${(error as Error).message}`),
        trust: () => ({}),
        order: orderCertificate,
        ...more,
      },
    );
    manager.kinds = ['http-01'];
    keep(manager);
    const server = createServer((request, response) => {
      const token = request.url?.split('/').at(-1) ?? '';
      void manager.answerTo(token).then((text) => response.writeHead(text === undefined ? 404 : 200).end(text));
    });
    return { manager, certificates, events, server };
  }

  async function storeOf(): Promise<Store> {
    const store = await openSqlite(temporaryDirectory());
    keep({ stop: () => store.close() });
    return store;
  }

  const listening = async (server: Server, port: number): Promise<void> => {
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    keep({ stop: () => new Promise((resolve) => server.close(() => resolve())) });
  };

  test('renews at two thirds of the lifetime and not before, however often it checks', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const { manager, certificates, events, server } = await managerOver(store, ca, clock);
    await listening(server, ca.httpPort);
    await manager.look();
    expect(events).toEqual(['renewed']);
    const first = certificates.first;
    clock.at += 59 * day;
    await manager.look();
    await manager.look();
    expect(certificates.first).toBe(first);
    clock.at += 2 * day;
    await Promise.all([manager.look(), manager.look()]);
    expect(events).toEqual(['renewed', 'renewed']);
    expect(certificates.first).not.toBe(first);
  });

  test('orders a new certificate when the stored one cannot be used', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const { manager, certificates, events, server } = await managerOver(store, ca, clock);
    await listening(server, ca.httpPort);
    const place = temporaryDirectory();
    const [one, other] = [makeCertificate(place, ['DNS:gate.example']), makeCertificate(place, ['DNS:gate.example'])];
    await store.saveCertificate({
      id: certificateId({ directory: ca.directory, domains: ['gate.example'] }),
      chain: readFileSync(one.cert, 'utf8'),
      key: readFileSync(other.key, 'utf8'),
      issuedAt: clock.at,
      notAfter: clock.at + 90 * day,
    });
    expect(await manager.load()).toBe(false);
    await manager.look();
    expect(events).toEqual(['renewed']);
    expect(certificates.first?.names).toEqual(['gate.example']);
  });

  describe('never replaces a good certificate', () => {
    const place = temporaryDirectory();
    const ca = { directory: 'https://127.0.0.1:1/dir', ca: '' } as AcmeAuthority;
    const id = certificateId({ directory: ca.directory, domains: ['gate.example'] });
    const stored = (made: Made, issuedAt: number): StoredCertificate => ({
      id,
      chain: readFileSync(made.cert, 'utf8'),
      key: readFileSync(made.key, 'utf8'),
      issuedAt,
      notAfter: Date.parse(new X509Certificate(readFileSync(made.cert)).validTo),
    });
    const good = makeCertificate(place, ['DNS:gate.example'], { days: 3 });
    const foreign = makeCertificate(place, ['DNS:other.example'], { days: 90 });
    const ahead = makeCertificate(place, ['DNS:gate.example'], { days: 90 });

    // For a clock three hours behind, a certificate made now begins in the future, and nothing else here does.
    test.each([
      ['is for other names', foreign, 0, /not for gate\.example/],
      ['begins in the future', ahead, -3 * 3_600_000, /does not begin before/],
    ])('with one that %s, whichever gate stored it', async (_, bad, clockOffset, sentence) => {
      const [store, clock] = [await storeOf(), { at: Date.now() }];
      await store.saveCertificate(stored(good, clock.at - 30 * day));
      const { manager, certificates, events } = await managerOver(store, ca, clock, {
        order: () => Promise.resolve(stored(bad, clock.at)),
      });
      expect(await manager.load()).toBe(true);
      const before = certificates.first;
      clock.at += clockOffset;
      await manager.look();
      expect(events).toEqual([expect.stringMatching(sentence)]);
      expect(certificates.first).toBe(before);
      expect(manager.problem).toMatch(sentence);
      // Another gate on the same store stored it without this check.
      await store.saveCertificate(stored(bad, clock.at));
      await manager.look();
      expect(certificates.first).toBe(before);
    });

    test('with one that was ordered before the gateway was frozen, when another gateway has ordered meanwhile', async () => {
      const [store, clock] = [await storeOf(), { at: Date.now() }];
      const { manager, certificates, events } = await managerOver(store, ca, clock, {
        order: async () => {
          const { db } = store.signIn;
          // The lease ends, another gateway takes it and stores its own, and this one goes on.
          await db.updateTable('leases').set({ until: 0 }).where('name', '=', id).execute();
          const taken = await store.takeLease(id, 'another', 60_000);
          await store.whileHeld(taken!, (within) => within.saveCertificate(stored(good, clock.at + 1)));
          return stored(good, clock.at);
        },
      });
      await manager.look();
      expect(events).toEqual(['renewed', expect.stringContaining('is no longer held')]);
      await manager.look();
      expect(await store.findCertificate(id)).toMatchObject({ issuedAt: clock.at + 1 });
      await store.takeLease(id, 'another', 0);
      await eventually(async () => {
        await manager.look();
        expect(manager.problem).toBeUndefined();
      });
      expect(await store.findCertificate(id)).toMatchObject({ issuedAt: clock.at + 1 });
      expect(certificates.first?.names).toEqual(['gate.example']);
    });

    test('with nothing, when the store was busy as the certificate arrived', async () => {
      const [inner, clock] = [await storeOf(), { at: Date.now() }];
      let locked = 7;
      let orders = 0;
      const store = {
        ...inner,
        whileHeld: <T>(lease: HeldLease, work: (within: Store) => Promise<T>) =>
          locked-- > 0 ? Promise.reject(new Error('database is locked')) : inner.whileHeld(lease, work),
      };
      const { manager, certificates, events } = await managerOver(store, ca, clock, {
        order: () => {
          orders++;
          return Promise.resolve(stored(good, clock.at));
        },
        saveAgainMs: 1,
      });
      await manager.look();
      // It is used although the store has not saved it.
      expect(certificates.first?.names).toEqual(['gate.example']);
      expect(events).toEqual(['renewed', expect.stringContaining('database is locked')]);
      await manager.look();
      expect(await inner.findCertificate(id)).toMatchObject({ issuedAt: clock.at });
      expect(manager.problem).toBeUndefined();
      expect(orders).toBe(1);
    });
  });

  test('aborts an order that does not end, reports it, and tries again later', async () => {
    const [store, clock] = [await storeOf(), { at: Date.now() }];
    const ca = { directory: 'https://127.0.0.1:1/dir', ca: '' } as AcmeAuthority;
    const { manager, events } = await managerOver(store, ca, clock, {
      order: () => new Promise(() => undefined),
      orderMs: 20,
    });
    await manager.look();
    expect(events).toEqual([expect.stringMatching(/^failed 1 the authority has not finished/)]);
    expect(manager.triesAt).toBeGreaterThan(clock.at);
  });

  test('answers no challenge handshake for another name', async () => {
    const [store, clock] = [await storeOf(), { at: Date.now() }];
    const ca = { directory: 'https://127.0.0.1:1/dir', ca: '' } as AcmeAuthority;
    const { manager } = await managerOver(store, ca, clock);
    for (const domain of ['gate.example', 'other.example'])
      await store.saveChallenge({ token: `token-of-${domain}`, domain, answer: 'x.y', expiresAt: clock.at + day });
    const server = createTcp((socket) => {
      socket.once('data', (hello: Buffer) => {
        socket.pause();
        socket.unshift(hello);
        manager.challenged(hello)?.emit('connection', socket);
      });
    });
    await listening(server as unknown as Server, 0);
    const { port } = server.address() as AddressInfo;
    const answerFor = (servername: string | undefined): Promise<string | undefined> =>
      new Promise((resolve) => {
        const socket = connect({
          host: '127.0.0.1',
          port,
          ALPNProtocols: ['acme-tls/1'],
          rejectUnauthorized: false,
          ...(servername === undefined ? {} : { servername }),
        });
        socket.once('secureConnect', () => {
          resolve(socket.getPeerCertificate().subjectaltname);
          socket.destroy();
        });
        socket.once('error', () => resolve(undefined));
      });
    expect(await answerFor('gate.example')).toBe('DNS:gate.example');
    expect(await answerFor('GATE.example')).toBe('DNS:gate.example');
    expect(await answerFor('other.example')).toBeUndefined();
    expect(await answerFor('unknown.example')).toBeUndefined();
    expect(await answerFor(undefined)).toBeUndefined();
  });

  test('several on one store share the certificate: one orders, each answers challenges, all present it', async () => {
    const [ca, store, clock] = [await authority({ slowSeconds: 1 }), await storeOf(), { at: Date.now() }];
    const gates = await Promise.all(Array.from({ length: 4 }, () => managerOver(store, ca, clock)));
    // The authority's challenge reaches a gate that has not ordered anything.
    await listening((gates[3] as (typeof gates)[number]).server, ca.httpPort);
    await Promise.all(gates.map(({ manager }) => manager.look()));
    await Promise.all(gates.map(({ manager }) => manager.look()));
    expect(gates.flatMap(({ events }) => events)).toEqual(['renewed']);
    const ends = new Set(gates.map(({ certificates }) => certificates.first?.notAfter));
    expect(ends.size).toBe(1);
    expect([...ends][0]).toBeGreaterThan(Date.now());
  });

  test('S11: keeps the certificate while its authority is gone, waits longer each time, and continues when it is back', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const { manager, certificates, events, server } = await managerOver(store, ca, clock);
    await listening(server, ca.httpPort);
    await manager.look();
    const first = certificates.first;
    await ca.kill();
    clock.at += 61 * day;
    for (let i = 0; i < 5; i++) {
      await manager.look();
      // Too early: it asks nothing.
      await manager.look();
      clock.at += 8 * 3_600_000;
    }
    expect(certificates.first).toBe(first);
    const waits = events.slice(1).map((event) => Number(event.split(' ')[1]));
    expect(waits).toHaveLength(5);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits[0]).toBeLessThan(2);
    expect(waits[4]).toBeGreaterThanOrEqual(360);
    expect(manager.problem).toMatch(/ECONNREFUSED/);
    // The authority has lost our account, so it is created again.
    await ca.restart();
    await manager.look();
    expect(events.at(-1)).toBe('renewed');
    expect(manager.problem).toBeUndefined();
    expect(certificates.first).not.toBe(first);
  });

  test('clears its failure once another gate has obtained the certificate', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const [unlucky, other] = [await managerOver(store, ca, clock), await managerOver(store, ca, clock)];
    // Nothing listens on the challenge port yet.
    await unlucky.manager.look();
    expect(unlucky.manager.problem).toBeTypeOf('string');
    expect(unlucky.manager.triesAt).toBeGreaterThan(clock.at);
    await listening(other.server, ca.httpPort);
    await other.manager.look();
    await unlucky.manager.look();
    expect(unlucky.certificates.first?.fingerprint).toBe(other.certificates.first?.fingerprint);
    expect(unlucky.manager.problem).toBeUndefined();
    expect(unlucky.manager.triesAt).toBeUndefined();
    expect(unlucky.manager.renewsAt).toBeGreaterThan(clock.at);
  });

  test('reports why the authority found no challenge answer, and asks again later', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const { manager, certificates, events } = await managerOver(store, ca, clock);
    await manager.look();
    expect(events[0]).toMatch(/^failed 1 /);
    expect(certificates.first).toBeUndefined();
    expect(await store.findChallenge({ domain: 'gate.example' }, clock.at)).toBeUndefined();
  });

  test('takes over after a while when a gate died during its order', async () => {
    const [ca, store, clock] = [await authority(), await storeOf(), { at: Date.now() }];
    const { manager, events, server } = await managerOver(store, ca, clock);
    await listening(server, ca.httpPort);
    const id = certificateId({ domains: ['gate.example'], directory: ca.directory });
    expect(await store.takeLease(id, 'the one that died', 15 * 60_000)).toBeDefined();
    await manager.look();
    expect(events).toEqual([]);
    // As if that time was over.
    await store.takeLease(id, 'the one that died', 0);
    await manager.look();
    expect(events).toEqual(['renewed']);
  });

  test.each([
    ['in fifty days', 50 * day],
    // A certificate like this would otherwise be ordered again every minute.
    ['yesterday, as it claims for every new one', -day],
  ])(
    'renews when the authority says so (RFC 9773): at first %s; and asks with the right certificate id',
    async (_, fromNow) => {
      const place = temporaryDirectory();
      const root = makeAuthority(place);
      const leaf = makeCertificate(place, ['DNS:gate.example'], { authority: root, days: 90 });
      const own = makeCertificate(place, ['DNS:localhost', 'IP:127.0.0.1'], { authority: root });
      const chain = readFileSync(leaf.cert, 'utf8');
      const clock = { at: Date.now() };
      let window = { start: clock.at + fromNow, end: clock.at + fromNow + 1_000 };
      const asked: string[] = [];
      const server = createHttps({ cert: readFileSync(own.cert), key: readFileSync(own.key) }, (request, response) => {
        asked.push(`${request.method} ${request.url}`);
        const { host } = request.headers;
        if (request.url === '/dir') response.end(JSON.stringify({ renewalInfo: `https://${host}/ari` }));
        else if (request.url?.startsWith('/ari/'))
          response.end(
            JSON.stringify({ suggestedWindow: { start: new Date(window.start), end: new Date(window.end) } }),
          );
        else response.writeHead(503).end();
      });
      await listening(server, 0);
      const directory = `https://127.0.0.1:${(server.address() as AddressInfo).port}/dir`;
      const ca = { directory, ca: root.cert } as AcmeAuthority;
      const store = await storeOf();
      const notAfter = Date.parse(new X509Certificate(chain).validTo);
      const id = certificateId({ domains: ['gate.example'], directory });
      await store.saveCertificate({ id, chain, key: readFileSync(leaf.key, 'utf8'), issuedAt: clock.at, notAfter });
      const { manager, events } = await managerOver(store, ca, clock);
      await manager.look();
      const name = renewalId(chain) as string;
      expect(asked).toContain(`GET /ari/${name}`);
      const text = execFileSync('openssl', [
        'x509',
        '-in',
        leaf.cert,
        '-noout',
        '-serial',
        '-ext',
        'authorityKeyIdentifier',
      ]);
      const [keyId, serial] = name
        .split('.')
        .map((part) => Buffer.from(part, 'base64url').toString('hex').toUpperCase());
      expect(text.toString().replaceAll(':', '')).toContain(keyId);
      expect(text.toString()).toContain(`serial=${serial?.replace(/^00/, '')}`);
      expect(events).toEqual([]);
      // The authority has revoked a million certificates and wants them replaced now.
      window = { start: clock.at - 2 * day, end: clock.at - day };
      clock.at += 5 * 3_600_000;
      await manager.look();
      expect(events).toEqual([]);
      clock.at += 2 * 3_600_000;
      await manager.look();
      expect(events[0]).toMatch(/^failed 1 /);
    },
  );
});
