// One order at an ACME authority (RFC 8555): proves control of the names, submits a request, and downloads the certificate.
// Every gateway of the store answers the challenges. The ACME library is loaded on demand and never sees a caller's request.
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAuthorities } from '../domain/authority-certificates.ts';
import type { WallMs } from '../domain/time.ts';
import type { CertificateStore, StoredCertificate } from '../store/ports/certificates.ts';

export interface AcmeSettings {
  readonly domains: readonly string[];
  readonly email: string;
  readonly directory: string;
  /** Root certificate of the authority's own server; empty: the public ones. */
  readonly ca: string;
  readonly kid: string;
  readonly hmac: string;
  /** How long one call to the authority may take; 30 seconds by default. */
  readonly callMs?: number;
}

export type ChallengeKind = 'http-01' | 'tls-alpn-01';

/** How long a challenge is answered. */
const challengeMs = 60 * 60_000;
/** For a whole call, from the connection to the last byte, so that a slow answer is abandoned like a silent one. */
const defaultCallMs = 30_000;
const mostBytes = 1024 * 1024;
/** In its strict mode, Pebble rejects nine of ten nonces: sixty in a row for every fiftieth certificate. */
const nonceTries = 200;

/** About five minutes, including the waits. */
const orderLooks = 35;

/** The key of a set of names at an authority in the store. */
export const certificateId = ({ directory, domains }: Pick<AcmeSettings, 'directory' | 'domains'>): string =>
  `${directory} ${domains
    .map((domain) => domain.toLowerCase())
    .toSorted()
    .join(' ')}`;

/**
 * Orders a certificate. `last`: the one that it replaces. The steps of RFC 8555, section 7.4, are one function, because each
 * needs the results of all before it.
 * @throws with the authority's message; then nothing was changed.
 */
// oxlint-disable-next-line eslint/max-lines-per-function -- the steps of RFC 8555 in their order, each of which needs what the ones before it made
export async function orderCertificate(
  settings: AcmeSettings,
  kinds: readonly ChallengeKind[],
  last: StoredCertificate | undefined,
  store: CertificateStore,
  now: () => WallMs,
): Promise<StoredCertificate> {
  const acme = await loadClient(settings);
  const { domains, directory, email, kid, hmac } = settings;
  const fresh = await acme.crypto.createPrivateEcdsaKey('P-256');
  const accountKey = await store.acmeAccount(directory, fresh.toString());
  const client = new acme.Client({
    directoryUrl: directory,
    accountKey,
    backoffAttempts: 30,
    backoffMin: 500,
    backoffMax: 10_000,
    ...(kid === '' ? {} : { externalAccountBinding: { kid, hmacKey: hmac } }),
  });
  (client as unknown as { http: { maxBadNonceRetries: number } }).http.maxBadNonceRetries = nonceTries;
  const contact = email === '' ? {} : { contact: [`mailto:${email}`] };
  // An existing account is only looked up, because some authorities refuse the update that the library would send.
  await client
    .createAccount({ onlyReturnExisting: true })
    .catch(() => client.createAccount({ termsOfServiceAgreed: true, ...contact }));
  const identifiers = domains.map((value) => ({ type: 'dns', value: value.toLowerCase() }));
  const replaces = last && (await hasRenewalInfo(client)) ? renewalId(last.chain) : undefined;
  const order = await client
    .createOrder({ identifiers, ...(replaces === undefined ? {} : { replaces }) })
    // Some authorities refuse a second replacement of a certificate; then it is ordered without `replaces`.
    .catch((error: unknown) => {
      if (replaces === undefined) throw error;
      return client.createOrder({ identifiers });
    });
  const tokens: string[] = [];
  try {
    for (const authorization of await client.getAuthorizations(order)) {
      if (authorization.status === 'valid') continue;
      const kind = kinds.find((wanted) => authorization.challenges.some(({ type }) => type === wanted));
      const challenge = authorization.challenges.find(({ type }) => type === kind);
      if (!challenge) throw new Error(`the authority asks for none of ${kinds.join(', ')}`);
      const domain = authorization.identifier.value.toLowerCase();
      const answer = await client.getChallengeKeyAuthorization(challenge);
      const expiresAt = now() + challengeMs;
      tokens.push(challenge.token);
      await store.saveChallenge({ token: challenge.token, domain, answer, expiresAt });
      await client.completeChallenge(challenge);
      await client.waitForValidStatus(challenge);
    }
    const [key, csr] = await acme.crypto.createCsr(
      { commonName: '', altNames: identifiers.map(({ value }) => value) },
      await acme.crypto.createPrivateEcdsaKey('P-256'),
    );
    let finished = await client.finalizeOrder(order, csr);
    // An order that still reports `ready` was submitted nevertheless; the library would treat it as failed.
    for (let look = 0; !finished.certificate && finished.status !== 'invalid' && look < orderLooks; look += 1) {
      await sleep(Math.min(250 * 2 ** look, 10_000));
      finished = await client.getOrder(order);
    }
    const chain = await client.getCertificate(finished);
    const notAfter = Date.parse(new X509Certificate(chain).validTo);
    return { id: certificateId(settings), chain, key: key.toString(), issuedAt: now(), notAfter };
  } finally {
    await store.removeChallenges(tokens, now());
  }
}

/** The certificate that answers TLS-ALPN-01 for a domain (RFC 8737). */
export async function challengeCertificate(
  domain: string,
  keyAuthorization: string,
): Promise<{ key: string; cert: string }> {
  const acme = await import('acme-client');
  const authorization = { identifier: { type: 'dns', value: domain } } as Parameters<
    typeof acme.crypto.createAlpnCertificate
  >[0];
  const [key, cert] = await acme.crypto.createAlpnCertificate(
    authorization,
    keyAuthorization,
    await acme.crypto.createPrivateEcdsaKey('P-256'),
  );
  return { key: key.toString(), cert: cert.toString() };
}

/** When the authority suggests renewal (RFC 9773); undefined if it does not. Unix milliseconds. */
export async function suggestedWindow(
  settings: AcmeSettings,
  chain: string,
): Promise<{ readonly start: number; readonly end: number } | undefined> {
  const acme = await loadClient(settings);
  const { data } = await acme.axios.get<{ renewalInfo?: string }>(settings.directory);
  const id = renewalId(chain);
  if (data.renewalInfo === undefined || id === undefined) return undefined;
  const answer = await acme.axios.get<{ suggestedWindow?: { start?: string; end?: string } }>(
    `${data.renewalInfo}/${id}`,
  );
  const [start, end] = [answer.data.suggestedWindow?.start, answer.data.suggestedWindow?.end].map((at) =>
    Date.parse(at ?? ''),
  );
  return Number.isFinite(start) && Number.isFinite(end) ? { start: start as number, end: end as number } : undefined;
}

async function hasRenewalInfo(client: object): Promise<boolean> {
  const { http } = client as { http: { getDirectory(): Promise<{ renewalInfo?: string }> } };
  return (await http.getDirectory()).renewalInfo !== undefined;
}

/** Key identifier of the issuer and serial number, each in base64url (RFC 9773, section 4.1). */
export function renewalId(chain: string): string | undefined {
  const { raw, serialNumber } = new X509Certificate(chain);
  const issuer = authorityKeyId(raw);
  if (!issuer) return undefined;
  const even = serialNumber.length % 2 === 0 ? serialNumber : `0${serialNumber}`;
  // As a positive DER integer: with a leading zero if the first bit is set.
  const serial = Buffer.from(/^[89a-f]/i.test(even) ? `00${even}` : even, 'hex');
  return `${issuer.toString('base64url')}.${serial.toString('base64url')}`;
}

/** Out of the extension 2.5.29.35: SEQUENCE { [0] key identifier }. */
function authorityKeyId(der: Buffer): Buffer | undefined {
  const at = der.indexOf(Buffer.from('0603551d23', 'hex'));
  if (at < 0) return undefined;
  // OID, OCTET STRING header, SEQUENCE header, then the tag [0]; all shorter than 128 bytes.
  const tag = at + 5 + 2 + 2;
  if (der[tag] !== 0x80) return undefined;
  const length = der[tag + 1] as number;
  return der.subarray(tag + 2, tag + 2 + length);
}

/**
 * The library, with an own HTTP client: the library's client reads proxies from the environment, follows redirects, sleeps for
 * as long as the server asks, and loses the cause of connection errors.
 */
async function loadClient({ ca, callMs = defaultCallMs }: AcmeSettings) {
  const [acme, { Agent, request }] = await Promise.all([import('acme-client'), import('undici')]);
  const authorities = ca === '' ? undefined : readAuthorityFile(ca);
  acme.axios.defaults.adapter = async (config) => {
    const agent = new Agent({ connect: { timeout: callMs, ...(authorities ? { ca: authorities } : {}) } });
    try {
      const answer = await request(config.url ?? '', {
        method: (config.method ?? 'get').toUpperCase() as 'GET',
        headers: { ...(config.headers as Record<string, string>), 'accept-encoding': 'identity' },
        body: (config.data as string | undefined) ?? null,
        dispatcher: agent,
        headersTimeout: callMs,
        bodyTimeout: callMs,
        signal: AbortSignal.timeout(callMs),
      });
      const data = await readBounded(answer.body);
      return {
        data,
        status: answer.statusCode,
        statusText: '',
        headers: answer.headers as Record<string, string>,
        config,
      };
    } finally {
      await agent.destroy();
    }
  };
  return acme;
}

/** @throws AuthoritiesUnusable. Read for every order, so that a fixed file needs no restart. */
function readAuthorityFile(path: string): Buffer {
  const content = readFileSync(path);
  readAuthorities(path, content, Date.now());
  return content;
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > mostBytes) throw new Error('the authority sends more than it has to say');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
