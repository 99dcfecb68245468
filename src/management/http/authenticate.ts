// Identifies the caller of the management API by a key in a header or a session in a cookie, never both. A cookie has no effect
// on requests from other sites: changes require the gateway's own origin and a JSON body. The data plane looks up keys in the
// same store by itself; the two planes never call each other, and the data plane accepts no cookies.

import type { Request } from 'express';
import { type Account, mayManage } from '../../domain/account.ts';
import { AddressBlocks, clientAddress, plainAddress } from '../../domain/address.ts';
import { isSecretOf, readKeyId, type StoredKey } from '../../domain/api-key.ts';
import { shownCertificate } from '../../domain/certificate.ts';
import type { Maker } from '../../domain/key-bounds.ts';
import type { Person } from '../../domain/person.ts';
import { say } from '../../domain/sentences.ts';
import { hits, restrictionsOf } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';
import type { View } from '../../domain/view.ts';
import type { FailureBudget } from '../../store/ports/failure-budget.ts';
import type { Caller as StoredCaller } from '../../store/ports/keys.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Session } from '../sign-in/own-route.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { Origins } from './origin.ts';
import { Problem } from './problem.ts';
import { standingView, viewIn } from './view.ts';

/**
 * Who may call an endpoint. `nothing`: everyone; `anybody`: everyone, and a session is read if there is one; `self`: a valid
 * key, or a session with an account; `person`: a session; the scopes: callers who may read, or change, everything.
 */
export type Needs = 'nothing' | 'anybody' | 'self' | 'person' | 'management:read' | 'management:write';

export interface Caller {
  /** The session of a person. */
  readonly session: string | undefined;
  /** Id of the key or the person; empty for anonymous callers. */
  readonly id: string;
  readonly key: StoredKey | undefined;
  readonly person: Person | undefined;
  readonly account: Account | undefined;
  /** Whether the sign-in is recent, which some endpoints require; always true for keys. */
  readonly fresh: boolean;
  readonly reads: boolean;
  readonly writes: boolean;
  /** Set for an operator who views the pages of a member: then person and account are the member's, and nothing can be changed. */
  readonly view: View | undefined;
}

export const anybody: Caller = {
  session: undefined,
  id: '',
  key: undefined,
  person: undefined,
  account: undefined,
  fresh: false,
  reads: false,
  writes: false,
  view: undefined,
};

/** The facts about a caller that are looked up. */
type Lookups = Pick<
  Store,
  'findCaller' | 'findPerson' | 'findPersonOf' | 'findAccount' | 'findView' | 'openSuspensions' | 'sessionStands'
>;

export interface Authentication {
  readonly store: Lookups;
  readonly signIn: Pick<SignIn, 'sessionOf'>;
  /** Wrong keys, counted together with those of the data plane. */
  readonly failures: FailureBudget;
  readonly trustedProxies: AddressBlocks;
  /** Where a request claims to come from. */
  readonly origins: Pick<Origins, 'isOurs' | 'isForeign'>;
  readonly now: () => WallMs;
}

/** @throws Problem `unauthenticated`, `too_many_failures`, `cross_site`. */
export async function authenticate(request: Request, authentication: Authentication, needs: Needs): Promise<Caller> {
  if (needs === 'nothing') return anybody;
  const text = credentialOf(request);
  const session = await authentication.signIn.sessionOf(request.headers.cookie ?? '');
  if (text !== undefined && session) throw new Problem('unauthenticated', { said: say('two_credentials', {}) });
  const view = viewIn(request);
  if (text !== undefined && view !== undefined) throw new Problem('forbidden');
  if (text !== undefined) return callerOfKey(text, request, authentication);
  if (session) {
    if (!authentication.origins.isOurs(request)) throw new Problem('cross_site');
    const caller = await callerOfPerson(session, authentication);
    if (caller) return view === undefined ? caller : callerInView(view, caller, authentication);
  }
  if (needs === 'anybody' && view === undefined) {
    // Another site must not be able to sign a person in here, either (login CSRF).
    if (authentication.origins.isForeign(request)) throw new Problem('cross_site');
    return anybody;
  }
  throw new Problem('unauthenticated');
}

/**
 * Looks the same caller up again by their ids, because a body can take seconds and a stream an hour, and changes must take effect
 * immediately. `store`: that of the transaction in which the decision is made.
 * @throws Problem `unauthenticated`, `forbidden`.
 */
export async function stillStands(
  { key, session, person, fresh, view }: Caller,
  request: Request,
  authentication: Authentication,
  store: Lookups,
): Promise<Caller> {
  // Only changes and streams are checked again, and a view has neither.
  if (view) throw new Problem('read_only_view');
  if (key) {
    const found = await store.findCaller(key.id, authentication.now());
    if (!found) throw new Problem('unauthenticated');
    return callerOfFound(found, request, authentication);
  }
  if (!person || session === undefined) return anybody;
  const stands = await store.sessionStands(session, person.id, authentication.now());
  const caller = stands
    ? await callerOfPerson({ id: session, personId: person.id, fresh }, { ...authentication, store })
    : undefined;
  if (!caller) throw new Problem('unauthenticated', { said: say('signed_out_meanwhile', {}) });
  return caller;
}

async function callerOfPerson(
  { id: session, personId, fresh }: Session,
  { store, now }: Pick<Authentication, 'store' | 'now'>,
): Promise<Caller | undefined> {
  const person = await store.findPerson(personId);
  if (!person) return undefined;
  const account = person.accountId === null ? undefined : await store.findAccount(person.accountId);
  const suspensions = account ? await store.openSuspensions(account.id, now()) : [];
  const { refused } = restrictionsOf(
    suspensions.filter(({ keyId }) => keyId === null),
    now(),
  );
  const may = (scope: 'management:read' | 'management:write'): boolean =>
    account !== undefined && refused === undefined && mayManage(account.role, scope);
  return {
    id: person.id,
    session,
    key: undefined,
    person,
    account,
    fresh,
    reads: may('management:read'),
    writes: may('management:write'),
    view: undefined,
  };
}

/** The member whose pages an operator views, with no right to anything but looking. @throws Problem `view_over`. */
async function callerInView(
  id: string,
  operator: Caller,
  { store, now }: Pick<Authentication, 'store' | 'now'>,
): Promise<Caller> {
  const seen = await standingView(id, operator, store, now());
  if (!seen) throw new Problem('view_over');
  const { view, account, person } = seen;
  const none = { key: undefined, fresh: false, reads: false, writes: false } as const;
  return { ...none, id: operator.id, session: operator.session, person, account, view };
}

async function callerOfKey(text: string, request: Request, authentication: Authentication): Promise<Caller> {
  const address = addressOf(request, authentication);
  const waitSeconds = authentication.failures.waitSeconds(address);
  if (waitSeconds > 0) throw new Problem('too_many_failures', { retryAfterSeconds: waitSeconds });
  const now = authentication.now();
  const id = readKeyId(text);
  const found = id === undefined ? undefined : await authentication.store.findCaller(id, now);
  if (!isSecretOf(text, found?.key) || !found) {
    const retryAfterSeconds = await authentication.failures.note(address);
    if (retryAfterSeconds > 0) throw new Problem('too_many_failures', { retryAfterSeconds });
    throw new Problem('unauthenticated');
  }
  return callerOfFound(found, request, authentication);
}

/** @throws Problem if the key is no longer valid, or not from this address. */
function callerOfFound(
  { key, account, suspensions }: StoredCaller,
  request: Request,
  authentication: Authentication,
): Caller {
  const now = authentication.now();
  const address = addressOf(request, authentication);
  if (key.status !== 'active') throw new Problem('unauthenticated', { said: say('key_revoked', {}) });
  if (key.expiresAt !== null && now >= key.expiresAt)
    throw new Problem('unauthenticated', { said: say('key_expired', {}) });
  if (key.boundCertificate !== null && shownCertificate(request.socket, now) !== key.boundCertificate)
    throw new Problem('forbidden', { said: say('key_needs_certificate', {}) });
  const blocks = new AddressBlocks(key.cidr);
  if (!blocks.empty && !blocks.contains(address)) throw new Problem('forbidden', { said: say('key_address', {}) });
  const mine = suspensions.filter((suspension) => hits(suspension, key.lineage));
  // A suspended caller may still read the reason; requests that change anything are refused.
  const { refused } = restrictionsOf(mine, now);
  const may = (scope: 'management:read' | 'management:write'): boolean =>
    refused === undefined && key.scopes.includes(scope) && mayManage(account.role, scope);
  const writes = may('management:write');
  return {
    id: key.id,
    session: undefined,
    key,
    person: undefined,
    account,
    fresh: true,
    reads: writes || may('management:read'),
    writes,
    view: undefined,
  };
}

/** Address of the caller, after trusted proxies. */
export function addressOf(request: Request, { trustedProxies }: Pick<Authentication, 'trustedProxies'>): string {
  const forwarded = request.headers['x-forwarded-for'];
  const peer = plainAddress(request.socket.remoteAddress ?? '');
  return clientAddress(peer, typeof forwarded === 'string' ? forwarded : undefined, trustedProxies);
}

/** @throws Problem `forbidden`, `sign_in_again`. */
export function refuseUnentitled(caller: Caller, needs: Needs, needsFresh = false): void {
  if (!entitled(caller, needs))
    throw new Problem('forbidden', caller.key ? { said: say('key_lacks_scope', { scope: needs }) } : {});
  if (needsFresh && !caller.fresh) throw new Problem('sign_in_again');
}

function entitled({ person, account, reads, writes }: Caller, needs: Needs): boolean {
  switch (needs) {
    case 'nothing':
    case 'anybody':
      return true;
    case 'self':
      return account !== undefined;
    case 'person':
      return person !== undefined;
    case 'management:read':
      return reads;
    case 'management:write':
      return writes;
  }
}

function credentialOf({ headers }: Request): string | undefined {
  const bearer = /^bearer ([^\s,]+)$/i.exec(headers.authorization ?? '')?.[1];
  const apiKey = headers['x-api-key'];
  if (bearer !== undefined && typeof apiKey === 'string' && apiKey !== bearer)
    throw new Problem('unauthenticated', { said: say('two_keys', {}) });
  return bearer ?? (typeof apiKey === 'string' ? apiKey : undefined);
}

/** The key that creates or changes another one; undefined for a person, who is only restricted by their role. */
export const makerOf = ({ key, account }: Caller): Maker | undefined => (key && account ? { key, account } : undefined);

/** The account of the caller, which `self` ensures. @throws Problem `forbidden`. */
export function ownAccount({ account }: Caller): Account {
  if (!account) throw new Problem('forbidden');
  return account;
}

/** The person of the caller, which `person` ensures. @throws Problem `forbidden`. */
export function ownPerson({ person }: Caller): Person {
  if (!person) throw new Problem('forbidden');
  return person;
}
