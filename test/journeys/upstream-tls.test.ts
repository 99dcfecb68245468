// Model servers behind TLS: which ones the gate trusts, which credentials it presents to them, and that callers see none of
// them.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CredentialsUnusable } from '../../src/upstream/credentials.ts';
import { type Made, makeAuthority, makeCertificate } from '../certificates.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';

let place: string;
let authority: Made;
let good: Made;
const toStop: (() => Promise<void> | void)[] = [];

beforeAll(() => {
  place = temporaryDirectory();
  authority = makeAuthority(place);
  good = makeCertificate(place, ['IP:127.0.0.1'], { authority });
});
afterEach(async () => {
  for (const stop of toStop.splice(0).toReversed()) await stop();
});

interface Server {
  readonly url: string;
  readonly seen: { readonly headers: IncomingHttpHeaders; readonly subject: string | undefined }[];
  /** What the server answers to the next chat instead of a normal answer. */
  error: string | undefined;
}

/** A model server behind TLS that knows one model. */
async function server({ cert, key }: Made, options: ServerOptions = {}): Promise<Server> {
  const made: Server = { url: '', seen: [], error: undefined };
  const listener = createServer(
    { cert: readFileSync(cert), key: readFileSync(key), ...options },
    (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate();
      made.seen.push({ headers: request.headers, subject: peer.subject?.CN as string | undefined });
      request.resume().on('end', () => {
        response.statusCode = request.url === '/api/chat' && made.error !== undefined ? 500 : 200;
        response.setHeader('content-type', 'application/json');
        response.end(
          request.url === '/api/tags'
            ? '{"models":[{"name":"gemma3:4b","size":1}]}'
            : (made.error ??
                '{"model":"gemma3:4b","message":{"role":"assistant","content":"hi"},"done":true,"prompt_eval_count":1,"eval_count":1}'),
        );
      });
    },
  );
  listener.on('tlsClientError', () => undefined);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  toStop.push(() => {
    listener.closeAllConnections();
    listener.close();
  });
  return Object.assign(made, { url: `https://127.0.0.1:${(listener.address() as AddressInfo).port}` });
}

async function open(upstream: string, environment: Record<string, string>): Promise<TestGate> {
  const gate = await openGate(upstream, environment);
  toStop.push(() => gate.stop());
  return gate;
}

async function chat(
  gate: TestGate,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string; code: string | null }> {
  const { secret } = await gate.key();
  const answer = await fetch(`${gate.url}/api/chat`, {
    method: 'POST',
    headers: { 'x-api-key': secret, ...headers },
    body: '{"model":"gemma3:4b","stream":false,"messages":[{"role":"user","content":"hi"}]}',
  });
  return { status: answer.status, text: await answer.text(), code: answer.headers.get('x-sekisho-error-code') };
}

const expired = (): Made => {
  const made = makeCertificate(place, ['IP:127.0.0.1'], { authority });
  const csr = made.cert.replace('.pem', '.csr');
  const words = ['x509', '-req', '-in', csr, '-out', made.cert, '-extfile', made.cert.replace('.pem', '.ext')];
  // Valid for one day that ended before the check began.
  execFileSync(
    'openssl',
    [...words, '-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial', '-days', '-1'],
    {
      stdio: 'ignore',
    },
  );
  return made;
};

describe('a model server behind TLS', () => {
  test('is trusted when its authority is configured', async () => {
    const { url } = await server(good);
    const gate = await open(url, { UPSTREAM_CA: authority.cert });
    expect(await chat(gate)).toMatchObject({ status: 200 });
  });

  test.each([
    ['an unknown authority', () => good, {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['itself', () => makeCertificate(place, ['IP:127.0.0.1']), {}, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    [
      'the right authority for another host',
      () => makeCertificate(place, ['DNS:other.example'], { authority }),
      { ca: true },
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    ['the right authority, expired yesterday', expired, { ca: true }, 'CERT_HAS_EXPIRED'],
  ])(
    'P24: whose certificate is signed by %s is refused with that reason',
    async (_what, made, { ca }: { ca?: boolean }, code) => {
      const { url, seen } = await server(made());
      const gate = await open(url, ca ? { UPSTREAM_CA: authority.cert } : {});
      const answer = await chat(gate);
      expect(answer).toMatchObject({ status: 502, code: 'upstream_untrusted' });
      expect(answer.text).toContain('certificate');
      expect(gate.log()).toContain(code);
      expect(seen).toEqual([]);
    },
  );

  test('H12: stays untrusted even when the environment turns off certificate checks', async () => {
    const { url, seen } = await server(makeCertificate(place, ['IP:127.0.0.1']));
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    toStop.push(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    expect(await chat(await open(url, {}))).toMatchObject({ status: 502, code: 'upstream_untrusted' });
    expect(seen).toEqual([]);
  });

  test('receives the certificate and header lines from the configured files, and the caller sees neither', async () => {
    const client = makeCertificate(place, ['DNS:gate.example'], { authority, use: 'clientAuth' });
    const one = await server(good, { requestCert: true, rejectUnauthorized: true, ca: readFileSync(authority.cert) });
    const file = join(place, 'headers');
    writeFileSync(
      file,
      '# for the first server\nAuthorization: Bearer hush-hush-hush\nX-Team: blue\nUser-Agent: ours\n',
    );
    const gate = await open(one.url, {
      UPSTREAM_CA: authority.cert,
      UPSTREAM_CERT: `${one.url}=${client.cert}`,
      UPSTREAM_KEY: `${one.url}=${client.key}`,
      UPSTREAM_HEADER_FILE: `${one.url}=${file}`,
    });
    const answer = await chat(gate, { 'user-agent': 'theirs', 'x-team': 'red' });
    expect(answer.status).toBe(200);
    const { headers, subject } = one.seen.at(-1) ?? {};
    expect(headers).toMatchObject({ authorization: 'Bearer hush-hush-hush', 'x-team': 'blue', 'user-agent': 'ours' });
    expect(subject).toMatch(/^leaf-/);
    // The probe for its models sends them, too.
    expect(one.seen[0]?.headers.authorization).toBe('Bearer hush-hush-hush');
  });

  test('P27: that puts its secret and its address into an error does not reveal them to the caller', async () => {
    const one = await server(good);
    const file = join(place, 'secret');
    writeFileSync(file, 'Authorization: Bearer hush-hush-hush\n');
    const gate = await open(one.url, { UPSTREAM_CA: authority.cert, UPSTREAM_HEADER_FILE: file });
    one.error = `{"error":"the key hush-hush-hush is out of money at ${one.url}/api; sent was Bearer hush-hush-hush"}`;
    const answer = await chat(gate);
    expect(answer).toMatchObject({
      status: 500,
      text: '{"error":"The model server answered with status 500."}',
    });
    one.error = '{"error":"日本語 stays as it is"}';
    expect((await chat(gate)).text).toBe(one.error);
    expect(gate.log()).not.toContain('hush-hush');
  });

  test('receives a new secret and a new authority on SIGHUP, and the old ones stay when the new ones are unusable', async () => {
    const one = await server(good);
    const [headers, ca] = [join(place, 'turning'), join(place, 'turning.pem')];
    writeFileSync(headers, 'Authorization: Bearer the-first-one\n');
    copyFileSync(makeAuthority(place, 'Nobody').cert, ca);
    const gate = await open(one.url, { UPSTREAM_CA: ca, UPSTREAM_HEADER_FILE: headers });
    expect((await chat(gate)).code).toBe('upstream_untrusted');
    copyFileSync(authority.cert, ca);
    gate.reload();
    expect(await chat(gate)).toMatchObject({ status: 200 });
    writeFileSync(headers, 'Authorization: Bearer the-second-one\n');
    gate.reload();
    await chat(gate);
    expect(one.seen.at(-1)?.headers.authorization).toBe('Bearer the-second-one');
    writeFileSync(headers, 'not a header\n');
    gate.reload();
    await chat(gate);
    expect(one.seen.at(-1)?.headers.authorization).toBe('Bearer the-second-one');
    await eventually(() => expect(gate.log()).toContain(`${headers}: line 1 does not have the form`));
    expect(gate.log()).not.toContain('not a header');
  });

  test('an authority file that is empty, cut off or expired fails the start, and while running the last good one stays', async () => {
    const ca = join(place, 'upstream-ca.pem');
    const whole = readFileSync(authority.cert, 'utf8');
    const past = makeCertificate(place, ['DNS:past.example'], { days: -1, isAuthority: true });
    const bad = [
      ['', 'there is no certificate in it'],
      [whole.slice(0, -60), 'it is cut off'],
      [whole + whole.slice(0, -60), 'it is cut off'],
      [readFileSync(past.cert, 'utf8'), 'it ended on'],
    ] as const;
    for (const [content, sentence] of bad) {
      writeFileSync(ca, content);
      await expect(openGate('https://127.0.0.1:9', { UPSTREAM_CA: ca })).rejects.toThrow(`${ca}: ${sentence}`);
    }
    const one = await server(good);
    writeFileSync(ca, whole);
    const gate = await open(one.url, { UPSTREAM_CA: ca });
    for (const [content, sentence] of bad) {
      writeFileSync(ca, content);
      gate.reload();
      await eventually(() => expect(gate.log()).toContain(`${ca}: ${sentence}`));
      expect(await chat(gate)).toMatchObject({ status: 200 });
    }
  });

  test.each([
    ['a missing file', { UPSTREAM_CA: '/nowhere/ca.pem' }, '/nowhere/ca.pem: it cannot be read (ENOENT)'],
    ['a certificate without its key', { UPSTREAM_CERT: '/dev/null' }, 'upstream_cert and upstream_key belong together'],
    [
      'an entry for an unknown server',
      { UPSTREAM_HEADER_FILE: 'https://elsewhere.example=/dev/null' },
      'https://elsewhere.example is none of the servers in upstream',
    ],
  ])('the start fails with %s', async (_what, environment, sentence) => {
    const failed: unknown = await openGate('https://127.0.0.1:9', environment).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(CredentialsUnusable);
    expect((failed as Error).message).toContain(sentence);
  });

  test.each([['Host: elsewhere'], ['Content-Length: 5'], ['Transfer-Encoding: chunked'], ['X-A: b\u0007'], ['X A: b']])(
    'the start fails with the header line %j',
    async (line) => {
      const file = join(place, 'wrong');
      writeFileSync(file, `${line}\n`);
      const failed = await openGate('https://127.0.0.1:9', { UPSTREAM_HEADER_FILE: file }).catch(
        (error: unknown) => error,
      );
      expect(failed).toBeInstanceOf(CredentialsUnusable);
    },
  );
});
