// Identifies the caller. Takes a known operation, at a gate that has missed nothing; proves a principal whose credential is correct, active and unexpired.
// Each place that can hold a credential gives one of three results (credential.ts): a credential, an invalid one, or
// none. Two different credentials are refused. From here on, the record has the caller.

import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf, ed25519Point, isSecretOf, readKeyId } from '../domain/api-key.ts';
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import { isLater } from '../domain/soon.ts';
import type { WallMs } from '../domain/time.ts';
import type { FailureBudget } from '../store/ports/failure-budget.ts';
import type { TicketStore } from '../store/ports/tickets.ts';
import type { Addressed } from './ask.ts';
import { Caller } from './caller.ts';
import type { Current } from './catch-up.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Exchange } from './exchange.ts';
import type { AccessTokens } from './identity/access-tokens.ts';
import { type Credential, readCredential } from './identity/credential.ts';
import type { KeyCache } from './identity/key-cache.ts';
import { noteProven, type Proving, provenBy } from './identity/proven-key.ts';
import type { Matched } from './operation.ts';
import type { Received } from './receive.ts';

declare class Mark {
  protected readonly identified: true;
}
/** An identified caller. Only this file can make one. */
export interface Identified extends Mark {
  readonly operation: Operation;
  /** The value of the path's `{…}`, decoded; empty if the path has none. */
  readonly parameter: string;
  readonly caller: Caller;
  /** The signature of the call, for the replay check once its body is known. */
  readonly signature: Buffer | undefined;
}

export interface IdentifyTools {
  readonly keyCache: KeyCache;
  readonly tickets: TicketStore;
  readonly tokens: Pick<AccessTokens, 'find' | 'holds'>;
  /** Wrong credentials. A cached key keeps working from an address over its budget, since a whole office may share the address. */
  readonly throttle: FailureBudget;
  /** The largest difference between the time of a signature and the gateway's clock. */
  readonly signatureSkewMs: number;
}

/** A wrong secret, or a key that expired or was revoked: the key is known, but the caller is not proven. */
export class FailedIdentification extends GatewayError {
  readonly principal: Principal;
  constructor(code: 'invalid_api_key' | 'key_expired' | 'key_revoked', principal: Principal) {
    super(code);
    this.principal = principal;
  }
}

/**
 * Synchronous if the key is cached. After too many wrong credentials from this address, only cached keys are checked.
 * @throws GatewayError `too_many_failures`, `invalid_api_key`, `key_expired`, `key_revoked`, `conflicting_credentials`,
 * `invalid_ticket`, `invalid_token`, `unknown_subject`, `path_key_not_allowed`, or `identity_unavailable` if the store did not answer. A failed look-up is never an empty
 * principal (LiteLLM CVE-2026-59822).
 */
export function identify(
  asked: Current,
  exchange: Pick<Exchange, 'at' | 'address' | 'notes' | 'challenge' | 'scopeChallenge'>,
  tools: IdentifyTools,
): Identified | Promise<Identified> {
  const { received, target } = asked;
  const { keyCache, throttle } = tools;
  const credential = readCredential(
    received,
    target,
    (text) => keyCache.findStatic(text) !== undefined,
    () => readCertificate(received, exchange.at),
  );
  if (credential === undefined) throw new GatewayError('invalid_api_key');
  const waitSeconds = throttle.waitSeconds(exchange.address);
  if (credential.kind === 'token') {
    exchange.challenge = credential.resource.challenges.invalid;
    exchange.scopeChallenge = credential.resource.challenges.insufficient;
  }
  const refused = (cause: GatewayError | 'invalid_api_key'): Promise<never> => {
    const noted = throttle.note(exchange.address);
    if (isLater(noted)) return noted.then((seconds) => refuse(cause, Math.max(waitSeconds, seconds)));
    return refuse(cause, Math.max(waitSeconds, noted));
  };
  const failed = (cause: unknown): Promise<never> => {
    if (!(cause instanceof GatewayError)) throw new GatewayError('identity_unavailable', { cause });
    // The credential is right, so it is no guess.
    if (cause.code === 'unknown_subject') throw cause;
    return refused(cause);
  };
  let looked: Principal | undefined | Promise<Principal | undefined>;
  try {
    looked = lookUp(credential, asked, exchange.at, tools, waitSeconds > 0);
  } catch (cause) {
    return failed(cause);
  }
  const prove = (principal: Principal | undefined): Identified | Promise<never> => {
    if (principal === undefined)
      return refused(credential.kind === 'token' ? new GatewayError('invalid_token') : 'invalid_api_key');
    checkStanding(principal, exchange.at);
    if (credential.kind === 'key' && credential.inPath && !principal.allowPath)
      throw new GatewayError('path_key_not_allowed');
    const caller = new Caller(principal);
    exchange.notes.noteCaller(caller);
    return identified(asked, caller, credential.kind === 'signature' ? credential.signature : undefined);
  };
  return looked instanceof Promise ? looked.then(prove, failed) : prove(looked);
}

/** A flood of wrong keys is as fast as its answers; beyond the budget of its address each of them waits that long. */
const lateMs = 100;

function refuse(cause: GatewayError | 'invalid_api_key', waitSeconds: number): Promise<never> {
  if (waitSeconds > 0) return refuseLater(waitSeconds);
  throw cause === 'invalid_api_key' ? new GatewayError(cause) : cause;
}

async function refuseLater(retryAfterSeconds: number): Promise<never> {
  await sleep(lateMs);
  throw new GatewayError('too_many_failures', { retryAfterSeconds });
}

/**
 * The caller of a preview, which has no credential. A preview has no exchange, so the result cannot be used to admit a
 * call.
 */
export const suppose = (matched: Matched, principal: Principal): Identified =>
  identified(matched, new Caller(principal), undefined);

const identified = ({ operation, parameter }: Matched, caller: Caller, signature: Buffer | undefined): Identified =>
  ({ operation, parameter, caller, signature }) as Identified;

/** Finds and verifies the principal. @throws FailedIdentification for a wrong secret of a known key. */
function lookUp(
  credential: Credential,
  asked: Addressed,
  now: WallMs,
  { keyCache, signatureSkewMs, tickets, tokens }: IdentifyTools,
  withoutLookUp: boolean,
): Principal | undefined | Promise<Principal | undefined> {
  switch (credential.kind) {
    case 'key':
      return findByText(keyCache, credential.text, asked.received.request.socket, withoutLookUp);
    case 'certificate':
      return findByCertificate(keyCache, credential.digest, withoutLookUp);
    case 'signature':
      return findBySignature(keyCache, credential, asked, now, signatureSkewMs, withoutLookUp);
    case 'token':
      if (withoutLookUp && !tokens.holds(credential.text, credential.resource)) return undefined;
      return tokens.find(credential.text, credential.resource);
    case 'ticket':
      return findByTicket(keyCache, tickets, credential.text, asked);
  }
}

/** Checks that the key is valid: at the start of a call, and while it runs whenever the store has changed. */
export function checkStanding(principal: Principal, now: WallMs): void {
  if (principal.revoked) throw new FailedIdentification('key_revoked', principal);
  if (principal.expiresAt !== null && now >= principal.expiresAt)
    throw new FailedIdentification('key_expired', principal);
}

function findByText(
  keyCache: KeyCache,
  text: string,
  connection: Proving,
  withoutLookUp: boolean,
): Principal | undefined | Promise<Principal | undefined> {
  const before = provenBy(text, connection);
  if (before && keyCache.isCurrent(before)) return before;
  const id = readKeyId(text);
  // Not in the format of a key: only a key of the settings is possible. The checksum saves a look-up.
  if (id === undefined) return keyCache.findStatic(text);
  if (withoutLookUp && !keyCache.holds(id)) return undefined;
  const found = keyCache.find(id);
  return found instanceof Promise
    ? found.then((principal) => judge(text, principal, connection))
    : judge(text, found, connection);
}

/** An unknown id costs the same hash and comparison as a known one with a wrong secret. */
function judge(text: string, found: Principal | undefined, connection: Proving): Principal | undefined {
  const right = isSecretOf(text, found);
  if (found?.kind !== 'secret') return undefined;
  if (!right) throw new FailedIdentification('invalid_api_key', found);
  noteProven(text, found, connection);
  return found;
}

/** The Ollama CLI's signature: ed25519 over `METHOD,/path?ts=<seconds>` (ollama auth/auth.go, api/client.go). */
async function findBySignature(
  keyCache: KeyCache,
  credential: Extract<Credential, { kind: 'signature' }>,
  { received, target }: Addressed,
  now: WallMs,
  skewMs: number,
  withoutLookUp: boolean,
): Promise<Principal | undefined> {
  if (Math.abs(now - credential.at * 1000) > skewMs) return undefined;
  const digest = digestOf(credential.publicKey);
  if (withoutLookUp && !keyCache.holds(digest)) return undefined;
  const principal = await keyCache.findByDigest(digest);
  if (principal?.kind !== 'signature') return undefined;
  const message = Buffer.from(`${received.method},${target.path}?ts=${credential.at}`);
  return verify(null, message, verifierOf(credential.publicKey), credential.signature) ? principal : undefined;
}

/** The TLS handshake has proved possession of the private key. */
async function findByCertificate(
  keyCache: KeyCache,
  digest: string,
  withoutLookUp: boolean,
): Promise<Principal | undefined> {
  if (withoutLookUp && !keyCache.holds(digest)) return undefined;
  const principal = await keyCache.findByDigest(digest);
  return principal?.kind === 'certificate' ? principal : undefined;
}

/**
 * A ticket is used up by showing it, also where it does not fit: it is for one service, and for the page that asked for it. It
 * stands for its key as the key is now.
 */
async function findByTicket(
  keyCache: KeyCache,
  tickets: TicketStore,
  text: string,
  { operation, received }: Addressed,
): Promise<Principal | undefined> {
  const ticket = await tickets.take(digestOf(text));
  const { headers } = received.request;
  if (
    ticket === undefined ||
    operation.service === undefined ||
    ticket.route !== received.published?.name ||
    ticket.origin !== headers.origin
  )
    throw new GatewayError('invalid_ticket');
  return keyCache.findAgain(ticket.key);
}

function verifierOf(wire: Buffer): KeyObject {
  const x = ed25519Point(wire).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/**
 * Without another credential, the client certificate identifies the caller. A browser presents it for any page, so
 * pages need a key as well: every request of a page has one of these headers (Fetch standard, and every browser since
 * 2023).
 */
function readCertificate({ request }: Received, now: WallMs): Credential | undefined {
  const { origin, 'sec-fetch-site': site } = request.headers;
  if (origin !== undefined || site !== undefined) return undefined;
  const digest = shownCertificate(request.socket, now);
  return digest === undefined ? undefined : { kind: 'certificate', digest };
}
