// Who is calling. Takes a known operation; proves a principal whose credential is right, active and unexpired.
// Every place that can hold a credential is read by one function, so that the same checks follow wherever it stood
// (Open WebUI CVE-2026-45339: limits held for Bearer and not for x-api-key). Each place answers in three ways: a
// credential of ours, something that claims to be one and is not, or nothing for us. Two that disagree are refused.
// We do not read cookies here: a browser session never opens the data plane.
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { digestOf, ed25519Point, isSecretOf, readKeyId, readSshPublicKey } from '../domain/api-key.ts';
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import type { WallMs } from '../domain/time.ts';
import type { AuthThrottle } from './auth-throttle.ts';
import type { KeyRing } from './key-ring.ts';
import type { Asked, Target } from './operation.ts';
import type { Received } from './receive.ts';

type Credential =
  | { readonly kind: 'key'; readonly text: string; readonly inPath: boolean }
  | { readonly kind: 'certificate'; readonly digest: string }
  | { readonly kind: 'signature'; readonly publicKey: Buffer; readonly signature: Buffer; readonly at: number };

/** A caller we know. Only this file can make one. */
export interface Identified extends Asked {
  readonly [identified]: true;
  readonly principal: Principal;
  /** The signature a call was signed with, for the replay check once its body is known. */
  readonly signature: Buffer | undefined;
}
declare const identified: unique symbol;

/** A wrong secret for a key that is there, or a key after its end: who it was is known, whoever it was. */
export class FailedIdentification extends GatewayError {
  readonly principal: Principal;
  constructor(code: 'invalid_api_key' | 'key_expired' | 'key_revoked', principal: Principal) {
    super(code);
    this.principal = principal;
  }
}

/**
 * `waitSeconds` above 0 says that too many credentials from this address were wrong lately: then only what is known
 * without a look-up is judged.
 * @throws GatewayError `too_many_failures`, `invalid_api_key`, `key_expired`, `key_revoked`, `conflicting_credentials`,
 * `path_key_not_allowed`, or `identity_unavailable` where the store did not answer. A failed look-up is never an
 * empty principal (LiteLLM CVE-2026-59822).
 */
export async function identify(
  asked: Asked,
  received: Received,
  ring: KeyRing,
  time: IdentifyTime,
  throttle: AuthThrottle,
  address: string,
): Promise<Identified> {
  const credential = readCredential(
    received,
    asked.target,
    (text) => ring.findStatic(text) !== undefined,
    () => readCertificate(received, time.now),
  );
  if (credential === undefined) throw new GatewayError('invalid_api_key');
  const waitSeconds = throttle.waitSeconds(address);
  let principal: Principal | undefined;
  try {
    const looked = lookUp(credential, asked, received, ring, time, waitSeconds > 0);
    principal = looked instanceof Promise ? await looked : looked;
    if (principal === undefined) throw new GatewayError('invalid_api_key');
  } catch (cause) {
    if (!(cause instanceof GatewayError)) throw new GatewayError('identity_unavailable', { cause });
    throttle.note(address);
    if (waitSeconds > 0) throw new GatewayError('too_many_failures', { retryAfterSeconds: waitSeconds });
    throw cause;
  }
  checkStanding(principal, time.now);
  if (credential.kind === 'key' && credential.inPath && !principal.allowPath)
    throw new GatewayError('path_key_not_allowed');
  return {
    ...asked,
    principal,
    signature: credential.kind === 'signature' ? credential.signature : undefined,
  } as Identified;
}

export interface IdentifyTime {
  /** By it keys expire, and signatures are judged. */
  readonly now: WallMs;
  readonly skewMs: number;
}

/** Who the credential says it is, if that is right. @throws FailedIdentification for a wrong secret of a known key. */
function lookUp(
  credential: Credential,
  asked: Asked,
  received: Received,
  ring: KeyRing,
  time: IdentifyTime,
  withoutLookUp: boolean,
): Principal | undefined | Promise<Principal | undefined> {
  switch (credential.kind) {
    case 'key':
      return findByText(ring, credential.text, withoutLookUp);
    case 'certificate':
      return findByCertificate(ring, credential.digest, withoutLookUp);
    case 'signature':
      return findBySignature(ring, credential, asked, received, time, withoutLookUp);
  }
}

/** Is the key still good? Asked at the start of a call, and again while it runs whenever the store has changed. */
export function checkStanding(principal: Principal, now: WallMs): void {
  if (principal.revoked) throw new FailedIdentification('key_revoked', principal);
  if (principal.expiresAt !== null && now >= principal.expiresAt)
    throw new FailedIdentification('key_expired', principal);
}

function findByText(
  ring: KeyRing,
  text: string,
  withoutLookUp: boolean,
): Principal | undefined | Promise<Principal | undefined> {
  const id = readKeyId(text);
  // Not our format: it can only be one of the operator's own words. The checksum spares the store a look-up.
  if (id === undefined) return ring.findStatic(text);
  if (withoutLookUp && !ring.holds(id)) return undefined;
  const found = ring.find(id);
  return found instanceof Promise ? found.then((principal) => judge(text, principal)) : judge(text, found);
}

/** An unknown id costs the same hash and comparison as a known one with a wrong secret. */
function judge(text: string, found: Principal | undefined): Principal | undefined {
  const right = isSecretOf(text, found);
  if (found?.kind !== 'secret') return undefined;
  if (!right) throw new FailedIdentification('invalid_api_key', found);
  return found;
}

/** The Ollama CLI's own signature: ed25519 over `METHOD,/path?ts=<seconds>` (ollama auth/auth.go, api/client.go). */
async function findBySignature(
  ring: KeyRing,
  credential: Extract<Credential, { kind: 'signature' }>,
  asked: Asked,
  received: Received,
  { now, skewMs }: IdentifyTime,
  withoutLookUp: boolean,
): Promise<Principal | undefined> {
  if (Math.abs(now - credential.at * 1000) > skewMs) return undefined;
  const digest = digestOf(credential.publicKey);
  if (withoutLookUp && !ring.holds(digest)) return undefined;
  const principal = await ring.findByDigest(digest);
  if (principal?.kind !== 'signature') return undefined;
  const message = Buffer.from(`${received.method},${asked.target.path}?ts=${credential.at}`);
  return verify(null, message, verifierOf(credential.publicKey), credential.signature) ? principal : undefined;
}

/** The handshake has proved that its private key is there. */
async function findByCertificate(
  ring: KeyRing,
  digest: string,
  withoutLookUp: boolean,
): Promise<Principal | undefined> {
  if (withoutLookUp && !ring.holds(digest)) return undefined;
  const principal = await ring.findByDigest(digest);
  return principal?.kind === 'certificate' ? principal : undefined;
}

function verifierOf(wire: Buffer): KeyObject {
  const x = ed25519Point(wire).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/**
 * The one extractor. `undefined` means that nothing here was meant for us. An empty place holds no credential. Clients
 * that must send some key put a word in its place (`ollama`, `EMPTY`, `sk-no-key`) and the real one elsewhere: a word
 * that is not shaped like a key says nothing beside one that is, or beside another proof. Two keys are refused.
 */
function readCredential(
  received: Received,
  target: Target,
  isOperators: (text: string) => boolean,
  certificate: () => Credential | undefined,
): Credential | undefined {
  const { repeated, request } = received;
  for (const name of credentialHeaders) if (repeated.has(name)) throw new GatewayError('conflicting_credentials');
  const { headers } = request;
  const { authorization } = headers;
  const signed = authorization === undefined ? undefined : readSignature(authorization, target);
  const texts = new Set<string>();
  for (const text of [
    target.pathKey,
    headers['x-api-key'],
    headers['api-key'],
    signed ? undefined : readAuthorization(authorization),
  ])
    if (typeof text === 'string' && text.trim() !== '') texts.add(text.trim());
  let key: string | undefined;
  for (const text of texts) {
    if (!text.startsWith('sekisho_') && !isOperators(text)) continue;
    if (key !== undefined || signed) throw new GatewayError('conflicting_credentials');
    key = text;
  }
  if (signed) return signed;
  if (key === undefined) {
    const proof = certificate();
    if (proof) return proof;
  }
  const text = key ?? texts.values().next().value;
  return text === undefined ? undefined : { kind: 'key', text, inPath: text === target.pathKey };
}

/**
 * Who sends nothing else is who his certificate says. A browser shows it whatever page asks, so a page needs a key all
 * the same: what a browser sends has one of these lines (Fetch standard, and every browser since 2023).
 */
function readCertificate({ request }: Received, now: WallMs): Credential | undefined {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (origin !== undefined || site !== undefined) return undefined;
  const digest = shownCertificate(request.socket, now);
  return digest === undefined ? undefined : { kind: 'certificate', digest };
}

/**
 * What stands behind `Bearer` or `Token`, the password of Basic (RFC 7617), or a key without a scheme. Neither the
 * scheme's case nor the number of spaces matters (RFC 9110 §11.1, §11.4).
 */
function readAuthorization(value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  const [, scheme = '', rest = ''] = /^(\S*)[ \t]*(.*)$/s.exec(value) as RegExpExecArray;
  if (/^(?:bearer|token)$/i.test(scheme)) return rest;
  if (!/^basic$/i.test(scheme)) return value;
  const pair = Buffer.from(rest, 'base64').toString('utf8');
  return pair.slice(pair.indexOf(':') + 1);
}

function readSignature(value: string, target: Target): Credential | undefined {
  const match = /^(AAAAC3NzaC1lZDI1NTE5[A-Za-z0-9+/]+={0,2}):([A-Za-z0-9+/]{86}==)$/.exec(value);
  if (!match) return undefined;
  const publicKey = readSshPublicKey(match[1] as string);
  const at = /^ts=(\d{1,12})$/.exec(target.query)?.[1];
  const signature = Buffer.from(match[2] as string, 'base64');
  // Its last digit has four bits that say nothing; set, they would be fifteen more spellings of it.
  if (!publicKey || at === undefined || signature.toString('base64') !== match[2])
    throw new GatewayError('invalid_api_key');
  return { kind: 'signature', publicKey, signature, at: Number(at) };
}

const keyNames = new Set([
  'key',
  'api_key',
  'apikey',
  'api-key',
  'x-api-key',
  'token',
  'access_token',
  'authorization',
]);

/** A key in a query string ends up in histories, logs and Referer headers; it is refused before it is looked at. */
export function refuseKeyInQuery(query: string): void {
  if (query === '') return;
  for (const pair of query.split('&')) {
    const name = (pair.split('=', 1)[0] as string).toLowerCase();
    if (keyNames.has(name)) throw new GatewayError('key_in_query');
  }
  if (query.includes('sekisho_')) throw new GatewayError('key_in_query');
}

/**
 * Answers nothing over plain HTTP, and leads nobody away from it either: he would have shown his key by then. Whose key
 * it was goes into the log, so that somebody can replace it.
 */
export function refuseUnencrypted(received: Received): void {
  if ((received.request.socket as Partial<TLSSocket>).encrypted === true) return;
  let id: string | undefined;
  try {
    const credential = readCredential(
      received,
      received.target,
      () => false,
      () => undefined,
    );
    id = credential?.kind === 'key' ? readKeyId(credential.text) : undefined;
  } catch {
    // Whatever it was, it was no key of ours.
  }
  throw new GatewayError(
    'tls_required',
    id === undefined ? {} : { cause: `the key ${id} was sent without encryption` },
  );
}

/** The headers that can hold a credential; `api-key` is Azure's. */
export const credentialHeaders: readonly string[] = ['authorization', 'x-api-key', 'api-key'];
