// Keys by application: somebody asks, a rule or an operator decides, and whoever asked comes for the key, signed in or with a
// token that nobody else has. An application never reaches into an account that exists.
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
import { type ApplicationId, newApplicationId, newInviteId, type PersonId, randomBase62 } from '../domain/id.ts';
import { type Language, nobodysMailbox, type Person } from '../domain/person.ts';
import { Secret } from '../domain/secret.ts';
import type { Store } from '../store/ports.ts';
import { openAccount } from './accounts.ts';
import { type Door, requireEmail, requirePassword } from './door.ts';
import { Fault, requireText } from './fault.ts';
import { type CreatedKey, draftKey, iso, showKey } from './keys.ts';
import { createLink } from './links.ts';
import { requirePlan } from './plans.ts';
import { hashPassword } from './sign-in/passwords.ts';

export interface NewApplication {
  readonly name: string;
  readonly email: string;
  readonly purpose: string;
  readonly models?: readonly string[];
  readonly plan?: string;
  /** Code of an invitation. */
  readonly invite?: string;
  /** Of somebody who wants to sign in and look after his keys himself. */
  readonly password?: string;
  readonly language?: Language;
}

export interface Applied {
  readonly application: Pick<Application, 'id' | 'status'>;
  /** Shown this once: with it the applicant comes for the key. */
  readonly claim: Secret;
  /** A letter is on its way whose link shows that the address is the applicant's. */
  readonly confirm: boolean;
  /** Who may be let in at once, to wait inside. */
  readonly person: PersonId | undefined;
}

/**
 * Writes the application down and, where the mode or an invitation says so, lets the applicant in at once. Whether the
 * address is known here changes nothing that the applicant can see.
 * @throws Fault `forbidden` where registration is closed or the invitation does not open it; `conflict` where too many
 * wait already.
 */
export async function apply(
  door: Door,
  asked: NewApplication,
  visitor: Person | undefined,
  author: Author,
): Promise<Applied> {
  const { store, post, portal } = door;
  const registration = await store.readRegistration();
  const email = visitor ? visitor.email : requireEmail(asked.email);
  const [name, purpose] = [requireText('name', asked.name, 200), requireText('purpose', asked.purpose, 2_000)];
  if (visitor) await refuseSecond(store, visitor);
  else if (asked.password !== undefined) requirePassword(asked.password, [name, email]);
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
  const id = newApplicationId(author.at);
  // Whoever was invited, or comes from a provider that vouches for the address, need not show it again.
  const confirm = post.delivers && !invite && !(visitor?.emailVerified ?? false);
  const known = asked.password === undefined || visitor ? undefined : await stillKnown(door, email, author);
  if (known && confirm) {
    // The same work and the same answer as for an address that is not known; the mailbox learns the truth.
    await hashPassword(asked.password as string);
    post.send({
      to: email,
      language: known.language,
      about: { kind: 'known', url: new URL('/portal/sign-in', portal).href },
    });
    return { application: { id, status: 'pending' }, claim, confirm, person: undefined };
  }
  const personId =
    visitor?.id ?? (await personFor(door, asked, { id, name, email, taken: known !== undefined }, author));
  const application: Application = {
    id,
    name,
    email,
    purpose,
    models: asked.models ?? [],
    wantedPlan: asked.plan ?? null,
    language: asked.language ?? visitor?.language ?? null,
    personId: personId ?? null,
    status: 'pending',
    claimDigest: digestOf(claim.reveal()),
    createdAt: author.at,
    confirmedAt: visitor?.emailVerified ? author.at : null,
    decidedAt: null,
    decidedBy: null,
    decision: null,
    accountId: null,
    claimedAt: null,
  };
  await store.insertApplication(
    application,
    auditEvent(author, 'application.create', id, null, { name, email, invite: invite?.id ?? null }),
  );
  if (confirm) {
    const { url } = await createLink(store, portal, 'confirm', id, author);
    post.send({ to: email, language: application.language, about: { kind: 'confirm', url } });
    return { application, claim, confirm, person: undefined };
  }
  if (!invite)
    return {
      application: (await decideByRule(store, application, author)) ?? application,
      claim,
      confirm,
      person: personId,
    };
  const rule = { actor: `invite:${invite.id}`, at: author.at };
  const plan = invite.plan ?? registration.plan;
  const decided = await decide(store, id, 'approved', { plan, decision: null }, rule);
  return { application: decided, claim, confirm, person: personId };
}

/**
 * Lets an applicant in where the mode does so by itself: `open` everybody, `domain` whoever has shown that he has an address
 * there. Undefined where an operator has to decide.
 */
export async function decideByRule(
  store: Store,
  application: Application,
  { at }: Author,
): Promise<Application | undefined> {
  const { mode, plan, domains } = await store.readRegistration();
  const domain = application.email.slice(application.email.indexOf('@') + 1);
  const lets = mode === 'open' || (mode === 'domain' && application.confirmedAt !== null && domains.includes(domain));
  if (!lets || application.status !== 'pending') return undefined;
  return decide(store, application.id, 'approved', { plan, decision: null }, { actor: `registration:${mode}`, at });
}

/** Who has that address; somebody who never showed that it is his, and waits for nothing, makes way. */
async function stillKnown({ store, post }: Door, email: string, author: Author): Promise<Person | undefined> {
  const known = await store.findPersonByEmail(email);
  if (!known || !post.delivers || known.emailVerified || known.accountId !== null) return known;
  await store.deletePerson(known.id, auditEvent(author, 'person.delete', known.id, null, null));
  return undefined;
}

/**
 * Who signs in with the application. Where the address is taken and there is no mail to say so, he gets a visit and an account
 * like anybody, under a name that no mailbox has.
 */
async function personFor(
  { store, signIn }: Door,
  { password, language }: NewApplication,
  { id, name, email, taken }: { id: string; name: string; email: string; taken: boolean },
  author: Author,
): Promise<PersonId | undefined> {
  if (password === undefined) return undefined;
  const address = taken ? `${id.toLowerCase()}${nobodysMailbox}` : email;
  const person = { name, email: address, emailVerified: false, password, language: language ?? null };
  const personId = await signIn.createPerson(person);
  await store.updatePerson(
    personId,
    {},
    auditEvent(author, 'person.create', personId, null, { email: address, application: id }),
  );
  return personId;
}

async function refuseSecond(store: Store, { id, accountId }: Person): Promise<void> {
  if (accountId !== null) throw new Fault('You have an account already.', 'conflict');
  if ((await store.findApplicationOf(id))?.status === 'pending')
    throw new Fault('Your application waits for a decision already.', 'conflict');
}

export interface Decision {
  /** Undefined is the plan of the registration. */
  readonly plan?: string | undefined;
  /** A word to the applicant. */
  readonly decision: string | null;
}

/** @throws Fault where it was decided already, or the plan is not there. */
export function decide(
  store: Store,
  id: string,
  status: 'approved' | 'rejected',
  { plan, decision }: Decision,
  author: Author,
): Promise<Application> {
  return store.atomically(async (within) => {
    const before = await requireApplication(within, id);
    if (before.status !== 'pending') throw new Fault(`${id} has been decided already.`, 'conflict');
    const person = before.personId === null ? undefined : await within.findPerson(before.personId);
    if (status === 'approved' && person && person.accountId !== null)
      throw new Fault('The applicant has an account already.', 'conflict');
    const account = status === 'approved' ? await accountFor(within, before, plan, author) : undefined;
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
    if (!(await within.decideApplication(after, event))) throw new Fault(`${id} has been decided already.`, 'conflict');
    if (account && person)
      await within.updatePerson(
        person.id,
        { accountId: account.id },
        auditEvent(author, 'person.account', person.id, null, { account: account.id }),
      );
    return after;
  });
}

export interface Claimed {
  readonly application: Application;
  /** Once, when it is approved. */
  readonly made: CreatedKey | undefined;
}

/** What became of it, and the key if it is there to be had. @throws Fault `not_found` for a wrong token, as for none. */
export function claimKey(store: Store, id: string, claim: string, author: Author): Promise<Claimed> {
  return store.atomically(async (within) => {
    const application = await within.findApplication(id as ApplicationId);
    if (!application || !sameDigest(digestOf(claim), application.claimDigest))
      throw new Fault('There is no such application.', 'not_found');
    const { status, accountId, claimedAt } = application;
    if (status !== 'approved' || accountId === null || claimedAt !== null) return { application, made: undefined };
    const account = await within.findAccount(accountId);
    if (!account) throw new Fault('There is no such application.', 'not_found');
    const made = await draftKey(within, { name: 'first key' }, account, author);
    const event = auditEvent(author, 'key.create', made.key.id, null, { ...showKey(made.key), application: id });
    // Whoever came at the same moment got the other one.
    const mine = await within.claimApplication(application.id, made.key, author.at, event);
    return { application: { ...application, claimedAt: author.at }, made: mine ? made : undefined };
  });
}

export async function requireApplication(store: Store, id: string): Promise<Application> {
  const found = await store.findApplication(id as ApplicationId);
  if (!found) throw new Fault(`There is no application ${id}.`, 'not_found');
  return found;
}

/** @throws Fault for a mode or plan that is not there. */
export function setRegistration(
  store: Store,
  pairs: Readonly<Record<string, unknown>>,
  author: Author,
): Promise<Registration> {
  return store.atomically(async (within) => {
    const before = await within.readRegistration();
    const after = { ...before };
    for (const [name, value] of Object.entries(pairs)) Object.assign(after, readRegistrationField(name, value));
    await requirePlan(within, after.plan);
    await within.writeRegistration(
      after,
      auditEvent(author, 'registration.set', 'registration', { ...before }, { ...after }),
    );
    return after;
  });
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
  const {
    claimDigest: _claim,
    accountId,
    personId,
    createdAt,
    decidedAt,
    claimedAt,
    confirmedAt,
    ...rest
  } = application;
  return {
    ...rest,
    account: accountId,
    person: personId,
    confirmedAt: iso(confirmedAt),
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
    case 'domains': {
      const words = typeof value === 'string' ? value.split(',').filter((word) => word.trim() !== '') : value;
      if (!Array.isArray(words) || words.length > 100) throw new Fault('domains is a list of at most 100 domains.');
      return { domains: words.map((word) => requireDomain(word)) };
    }
    case 'maxPending': {
      const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
      if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > 1_000_000)
        throw new Fault('maxPending is a whole number from 0 to 1,000,000.');
      return { maxPending: count };
    }
    default:
      throw new Fault(`Registration has no "${name}"; it has mode, plan, domains and maxPending.`);
  }
}

function requireDomain(word: unknown): string {
  const email = typeof word === 'string' ? normalEmail(`x@${word.trim().replace(/^@/, '')}`) : undefined;
  if (email === undefined) throw new Fault(`"${String(word)}" is not a domain such as example.org.`);
  return email.slice(2);
}
