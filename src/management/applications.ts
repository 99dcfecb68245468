// Keys by application: somebody asks, a rule or an operator decides, and whoever asked comes for the key with a token that
// nobody else has. E-mail addresses are not verified here, so an application never reaches into an account that exists.
import type { Account } from '../domain/account.ts';
import { digestOf, sameDigest } from '../domain/api-key.ts';
import {
  type Application,
  type Invite,
  normalEmail,
  type Registration,
  type RegistrationMode,
  registrationModes,
} from '../domain/application.ts';
import { type Author, auditEvent } from '../domain/audit.ts';
import { type ApplicationId, newApplicationId, newInviteId, randomBase62 } from '../domain/id.ts';
import { Secret } from '../domain/secret.ts';
import type { Store } from '../store/ports.ts';
import { openAccount } from './accounts.ts';
import { Fault, requireText } from './fault.ts';
import { type CreatedKey, draftKey, iso, showKey } from './keys.ts';
import { requirePlan } from './plans.ts';

export interface NewApplication {
  readonly name: string;
  readonly email: string;
  readonly purpose: string;
  readonly models?: readonly string[];
  /** Code of an invitation. */
  readonly invite?: string;
}

export interface Applied {
  readonly application: Application;
  /** Shown this once: with it the applicant comes for the key. */
  readonly claim: Secret;
}

/**
 * Writes the application down and, where the mode or an invitation says so, lets the applicant in at once.
 * @throws Fault `forbidden` where registration is closed or the invitation does not open it; `conflict` where too many
 * wait already.
 */
export async function apply(store: Store, asked: NewApplication, author: Author): Promise<Applied> {
  const registration = await store.readRegistration();
  const email = normalEmail(asked.email);
  if (email === undefined) throw new Fault('That is not an e-mail address.');
  const [name, purpose] = [requireText('name', asked.name, 200), requireText('purpose', asked.purpose, 2_000)];
  const invite =
    asked.invite === undefined ? undefined : await store.useInvite(digestOf(asked.invite.trim()), email, author.at);
  // An invitation opens every mode but a closed one.
  if (registration.mode === 'closed') throw new Fault('This gate takes no applications.', 'forbidden');
  if (!invite && (registration.mode === 'invite' || asked.invite !== undefined))
    throw new Fault(
      'That takes an invitation, and this one is not there, used, over, or for somebody else.',
      'forbidden',
    );
  if ((await store.countPending()) >= registration.maxPending)
    throw new Fault('Too many applications wait for a decision. Come back later.', 'conflict');
  const claim = new Secret(`claim_${randomBase62(43)}`);
  const application: Application = {
    id: newApplicationId(author.at),
    name,
    email,
    purpose,
    models: asked.models ?? [],
    status: 'pending',
    claimDigest: digestOf(claim.reveal()),
    createdAt: author.at,
    decidedAt: null,
    decidedBy: null,
    decision: null,
    accountId: null,
    claimedAt: null,
  };
  await store.insertApplication(
    application,
    auditEvent(author, 'application.create', application.id, null, { name, email, invite: invite?.id ?? null }),
  );
  if (registration.mode !== 'open' && !invite) return { application, claim };
  const rule = { actor: invite ? `invite:${invite.id}` : 'registration:open', at: author.at };
  const plan = invite?.plan ?? registration.plan;
  return { application: await decide(store, application.id, 'approved', { plan, decision: null }, rule), claim };
}

export interface Decision {
  /** Undefined is the plan of the registration. */
  readonly plan?: string | undefined;
  /** A word to the applicant. */
  readonly decision: string | null;
}

/** @throws Fault where it was decided already, or the plan is not there. */
export async function decide(
  store: Store,
  id: string,
  status: 'approved' | 'rejected',
  { plan, decision }: Decision,
  author: Author,
): Promise<Application> {
  const before = await requireApplication(store, id);
  if (before.status !== 'pending') throw new Fault(`${id} has been decided already.`, 'conflict');
  const account = status === 'approved' ? await accountFor(store, before, plan, author) : undefined;
  const after: Application = {
    ...before,
    status,
    decision: decision === null ? null : requireText('decision', decision, 2_000),
    decidedAt: author.at,
    decidedBy: author.actor,
    accountId: account?.id ?? null,
  };
  const event = auditEvent(
    author,
    `application.${status}`,
    id,
    { status: 'pending' },
    { status, account: account?.id ?? null, plan: account?.plan ?? null },
  );
  if (!(await store.decideApplication(after, event))) throw new Fault(`${id} has been decided already.`, 'conflict');
  return after;
}

export interface Claimed {
  readonly application: Application;
  /** Once, when it is approved. */
  readonly made: CreatedKey | undefined;
}

/** What became of it, and the key if it is there to be had. @throws Fault `not_found` for a wrong token, as for none. */
export async function claimKey(store: Store, id: string, claim: string, author: Author): Promise<Claimed> {
  const application = await store.findApplication(id as ApplicationId);
  if (!application || !sameDigest(digestOf(claim), application.claimDigest))
    throw new Fault('There is no such application.', 'not_found');
  const { status, accountId, claimedAt } = application;
  if (status !== 'approved' || accountId === null || claimedAt !== null) return { application, made: undefined };
  const account = await store.findAccount(accountId);
  if (!account) throw new Fault('There is no such application.', 'not_found');
  const made = await draftKey(store, { name: 'first key', account: account.name }, account, author);
  const event = auditEvent(author, 'key.create', made.key.id, null, { ...showKey(made.key), application: id });
  // Whoever came at the same moment got the other one.
  const mine = await store.claimApplication(application.id, made.key, author.at, event);
  return { application: { ...application, claimedAt: author.at }, made: mine ? made : undefined };
}

export async function requireApplication(store: Store, id: string): Promise<Application> {
  const found = await store.findApplication(id as ApplicationId);
  if (!found) throw new Fault(`There is no application ${id}.`, 'not_found');
  return found;
}

/** @throws Fault for a mode or plan that is not there. */
export async function setRegistration(
  store: Store,
  pairs: Readonly<Record<string, unknown>>,
  author: Author,
): Promise<Registration> {
  const before = await store.readRegistration();
  const after = { ...before };
  for (const [name, value] of Object.entries(pairs)) Object.assign(after, readRegistrationField(name, value));
  await requirePlan(store, after.plan);
  await store.writeRegistration(
    after,
    auditEvent(author, 'registration.set', 'registration', { ...before }, { ...after }),
  );
  return after;
}

export interface NewInvite {
  readonly email: string | null;
  readonly plan: string | null;
  readonly expiresAt: number;
}

const longestInviteMs = 30 * 86_400_000;

/** An invitation; its code is shown this once. @throws Fault. */
export async function createInvite(
  store: Store,
  asked: NewInvite,
  author: Author,
): Promise<{ invite: Invite; code: Secret }> {
  const email = asked.email === null ? null : normalEmail(asked.email);
  if (email === undefined) throw new Fault('That is not an e-mail address.');
  if (asked.plan !== null) await requirePlan(store, asked.plan);
  if (asked.expiresAt <= author.at || asked.expiresAt > author.at + longestInviteMs)
    throw new Fault('An invitation lives at most 30 days.');
  const code = new Secret(`invite_${randomBase62(43)}`);
  const invite: Invite = {
    id: newInviteId(author.at),
    digest: digestOf(code.reveal()),
    email,
    plan: asked.plan,
    createdAt: author.at,
    expiresAt: asked.expiresAt,
    usedAt: null,
  };
  await store.insertInvite(invite, auditEvent(author, 'invite.create', invite.id, null, showInvite(invite)));
  return { invite, code };
}

/** Never the digest of the token. */
export function showApplication(application: Application): Record<string, unknown> {
  const { claimDigest: _claim, accountId, createdAt, decidedAt, claimedAt, ...rest } = application;
  return {
    ...rest,
    account: accountId,
    createdAt: iso(createdAt),
    decidedAt: iso(decidedAt),
    claimedAt: iso(claimedAt),
  };
}

export function showInvite({ id, email, plan, createdAt, expiresAt, usedAt }: Invite): Record<string, unknown> {
  return { id, email, plan, createdAt: iso(createdAt), expiresAt: iso(expiresAt), usedAt: iso(usedAt) };
}

/** An account of its own: nobody has shown that the address is his, so one that is taken is not joined. */
async function accountFor(
  store: Store,
  { id, email }: Application,
  asked: string | undefined,
  author: Author,
): Promise<Account> {
  const plan = asked ?? (await store.readRegistration()).plan;
  await requirePlan(store, plan);
  const name = (await store.findAccount(email)) ? `${email} (${id})` : email;
  return openAccount(store, name, plan, author, { application: id });
}

function readRegistrationField(name: string, value: unknown): Partial<Registration> {
  switch (name) {
    case 'mode':
      if (!registrationModes.includes(value as RegistrationMode))
        throw new Fault(`mode is one of ${registrationModes.join(', ')}.`);
      return { mode: value as RegistrationMode };
    case 'plan':
      if (typeof value !== 'string') throw new Fault('plan is the name of a plan.');
      return { plan: value };
    case 'maxPending': {
      const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
      if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > 1_000_000)
        throw new Fault('maxPending is a whole number from 0 to 1,000,000.');
      return { maxPending: count };
    }
    default:
      throw new Fault(`Registration has no "${name}"; it has mode, plan and maxPending.`);
  }
}
