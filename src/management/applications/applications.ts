// Stored applications: a rule or an operator decides, and the applicant gets the key, signed in or with a token that only they
// have. An application never gives access to an existing account.
import type { z } from 'zod';
import type { Account } from '../../domain/account.ts';
import { digestOf, sameDigest } from '../../domain/api-key.ts';
import {
  type Application,
  type HeldFor,
  type Invite,
  normalEmail,
  type Registration,
  type RegistrationMode,
  registrationModes,
} from '../../domain/application.ts';
import { type Author, auditEvent, leadingTo } from '../../domain/audit.ts';
import {
  type ApplicationId,
  newInviteId,
  newSettingChangeId,
  randomBase62,
  type SettingChangeId,
} from '../../domain/id.ts';
import { mailboxOf } from '../../domain/mailbox.ts';
import { decisionEmail, reconsiderMs } from '../../domain/outbox.ts';
import { Secret } from '../../domain/secret.ts';
import type { SettingChange } from '../../domain/setting-change.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { isAccountName, openAccount } from '../accounts/accounts.ts';
import { Fault, requireProse } from '../fault.ts';
import { type CreatedKey, draftKey, showKey } from '../keys/keys.ts';
import { actorName, namesIn } from '../names.ts';
import { requirePlan } from '../plans/plans.ts';
import type { applicationRowSchema, applicationSchema, inviteSchema, registrationSchema } from './schemas.ts';

/**
 * Approves an application automatically if the mode allows it: `open` approves every applicant, `domain` those with a confirmed
 * address at one of the domains. Undefined if an operator has to decide.
 */
export async function decideByRule(
  store: Store,
  application: Application,
  { at }: Author,
): Promise<Application | undefined> {
  if (application.status !== 'pending') return undefined;
  return store.atomically(async (within) => {
    const rule = await letsIn(within, application);
    if (!rule) return undefined;
    const author = { actor: `registration:${rule.mode}`, at };
    const held = await whyHeld(within, application, rule);
    if (held === undefined)
      return decide(within, application.id, 'approved', { plan: rule.plan, decision: null }, author);
    await hold(within, application, held, author);
    return undefined;
  });
}

const heldWords: Readonly<Record<HeldFor, string>> = {
  barred: 'an account of this mailbox was closed while a step of the ladder was in force against it',
  second: 'this mailbox has an account already',
};

/** An operator has to decide, and sees the reason. */
export function hold(store: Store, { id }: Pick<Application, 'id'>, why: HeldFor, author: Author): Promise<void> {
  return store.holdApplication(id, why, auditEvent(author, 'application.held', id, null, { why: heldWords[why] }));
}

/**
 * Why an operator has to decide although a rule would approve this application. A confirmed mailbox gets one account
 * automatically, however its address is spelled; and a restriction of a closed account cannot be evaded by applying again.
 */
export async function whyHeld(
  store: Store,
  { id, email, confirmedAt }: Pick<Application, 'id' | 'email' | 'confirmedAt'>,
  { dotless }: Registration,
): Promise<HeldFor | undefined> {
  const { accounts, barred } = await store.findMailbox(mailboxOf(email, dotless), id);
  if (barred) return 'barred';
  if (confirmedAt !== null && accounts > 0) return 'second';
  return undefined;
}

/** The registration settings that approve this application automatically. */
export async function letsIn(
  store: Store,
  { email, confirmedAt }: Pick<Application, 'email' | 'confirmedAt'>,
): Promise<Registration | undefined> {
  const registration = await store.readRegistration();
  const { mode, domains } = registration;
  const domain = email.slice(email.indexOf('@') + 1);
  const lets = mode === 'open' || (mode === 'domain' && confirmedAt !== null && domains.includes(domain));
  return lets ? registration : undefined;
}

export interface Decision {
  /** Undefined is the plan of the registration. */
  readonly plan?: string | undefined;
  /** A message to the applicant. */
  readonly decision: string | null;
}

/** @throws Fault if it was already decided, or the plan does not exist. */
export function decide(
  store: Store,
  id: string,
  status: 'approved' | 'rejected',
  { plan, decision }: Decision,
  author: Author,
): Promise<Application> {
  return store.atomically(async (within) => {
    const before = await requireApplication(within, id);
    if (before.status !== 'pending') throw new Fault('application_decided', { id }, 'conflict');
    const person = before.personId === null ? undefined : await within.findPerson(before.personId);
    if (status === 'approved' && person && person.accountId !== null)
      throw new Fault('applicant_has_account', {}, 'conflict');
    const account = status === 'approved' ? await accountFor(within, before, plan, author) : undefined;
    const after: Application = {
      ...before,
      status,
      decision: decision === null ? null : requireProse('what_decision', decision, 2_000),
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
    if (!(await within.decideApplication(after, leadingTo(event, decisionEmail(after)))))
      throw new Fault('application_decided', { id }, 'conflict');
    if (account && person)
      await within.updatePerson(
        person.id,
        { accountId: account.id },
        auditEvent(author, 'person.account', person.id, null, { account: account.id }),
      );
    return after;
  });
}

/** Undoes a rejection of the last minutes: the application waits again, and its email is not sent. @throws Fault. */
export function reconsider(store: Store, id: string, author: Author): Promise<Application> {
  return store.atomically(async (within) => {
    const { status, decidedAt, personId, ...before } = await requireApplication(within, id);
    if (status !== 'rejected' || decidedAt === null || decidedAt < author.at - reconsiderMs)
      throw new Fault('application_not_reopened', {}, 'conflict');
    // If they have applied again, that application waits.
    if (personId !== null && (await within.findApplicationOf(personId))?.id !== id)
      throw new Fault('application_not_reopened', {}, 'conflict');
    const event = auditEvent(author, 'application.reconsidered', id, { status }, { status: 'pending' });
    if (!(await within.reopenApplication(before.id, decidedAt, event)))
      throw new Fault('application_not_reopened', {}, 'conflict');
    return requireApplication(within, id);
  });
}

export interface Claimed {
  readonly application: Application;
  /** Returned once, after approval. */
  readonly made: CreatedKey | undefined;
}

/** The status of the application, and the key if it is approved. @throws Fault `not_found` for a wrong or missing token. */
export function claimKey(store: Store, id: string, claim: string, author: Author): Promise<Claimed> {
  return store.atomically(async (within) => {
    const application = await within.findApplication(id as ApplicationId);
    if (!application || !sameDigest(digestOf(claim), application.claimDigest))
      throw new Fault('application_missing', {}, 'not_found');
    const { status, accountId, claimedAt } = application;
    if (status !== 'approved' || accountId === null || claimedAt !== null) return { application, made: undefined };
    const account = await within.findAccount(accountId);
    if (!account) throw new Fault('application_missing', {}, 'not_found');
    const made = await draftKey(within, { name: 'first key' }, account, author);
    const event = auditEvent(author, 'key.create', made.key.id, null, { ...showKey(made.key), application: id });
    // A concurrent request got the key.
    const mine = await within.claimApplication(application.id, made.key, author.at, event);
    return { application: { ...application, claimedAt: author.at }, made: mine ? made : undefined };
  });
}

export async function requireApplication(store: Store, id: string): Promise<Application> {
  const found = await store.findApplication(id as ApplicationId);
  if (!found) throw new Fault('application_missing_id', { id }, 'not_found');
  return found;
}

/** @throws Fault for an unknown mode or plan. */
export function setRegistration(
  store: Store,
  pairs: Readonly<Record<string, unknown>>,
  author: Author,
  undoes: SettingChangeId | null = null,
): Promise<Registration> {
  return store.atomically(async (within) => {
    const before = await within.readRegistration();
    const after = { ...before };
    for (const [name, value] of Object.entries(pairs)) Object.assign(after, readRegistrationField(name, value));
    await requirePlan(within, after.plan);
    const event = auditEvent(
      author,
      undoes === null ? 'registration.set' : 'registration.undo',
      'registration',
      { ...before },
      { ...after },
    );
    await within.writeRegistration(after, event, changeOf(before, after, undoes, author));
    return after;
  });
}

/** What can be taken back; undefined where nothing differs. */
function changeOf(
  before: Registration,
  after: Registration,
  undoes: SettingChangeId | null,
  { actor, at }: Author,
): SettingChange | undefined {
  const names = (Object.keys(after) as (keyof Registration)[]).filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  if (names.length === 0 && undoes === null) return undefined;
  const side = (registration: Registration) => Object.fromEntries(names.map((name) => [name, registration[name]]));
  const id = newSettingChangeId(at);
  return { id, at, actor, group: 'registration', from: side(before), to: side(after), undoes, undoneBy: null };
}

export interface NewInvite {
  readonly email: string | null;
  readonly plan: string | null;
  readonly expiresAt: number;
}

const longestInviteMs = 30 * 86_400_000;

/** Creates an invitation; its code is shown only once. @throws Fault. */
export function createInvite(
  store: Store,
  asked: NewInvite,
  author: Author,
): Promise<{ invite: Invite; code: Secret }> {
  return store.atomically((within) => draftInvite(within, asked, author));
}

async function draftInvite(store: Store, asked: NewInvite, author: Author): Promise<{ invite: Invite; code: Secret }> {
  const email = asked.email === null ? null : normalEmail(asked.email);
  if (email === undefined) throw new Fault('email_shape', {});
  if (asked.plan !== null) await requirePlan(store, asked.plan);
  if (asked.expiresAt <= author.at || asked.expiresAt > author.at + longestInviteMs) throw new Fault('invite_life', {});
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

export const showRegistration = (registration: Registration): z.output<typeof registrationSchema> => ({
  ...registration,
  domains: [...registration.domains],
  dotless: [...registration.dotless],
});

/** Never the digest of the token. */
export function showApplication(application: Application): z.output<typeof applicationSchema> {
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
    models: [...rest.models],
    account: accountId,
    person: personId,
    confirmedAt: iso(confirmedAt),
    createdAt: iso(createdAt),
    decidedAt: iso(decidedAt),
    claimedAt: iso(claimedAt),
  };
}

/** With the names of the operators who decided. */
export async function nameDeciders(
  store: Store,
  applications: readonly z.output<typeof applicationSchema>[],
): Promise<z.output<typeof applicationRowSchema>[]> {
  const names = await namesIn(
    store,
    applications.map(({ decidedBy }) => decidedBy),
  );
  return applications.map((each) => ({
    ...each,
    decidedByName: each.decidedBy === null ? null : actorName(names, each.decidedBy),
  }));
}

/** As its applicant sees it, without the reason for holding it, which tells about others who have or had the mailbox. */
export const showOwnApplication = (application: Application): z.output<typeof applicationSchema> =>
  showApplication({ ...application, held: null });

export function showInvite({ id, email, plan, createdAt, expiresAt, usedAt }: Invite): z.output<typeof inviteSchema> {
  return { id, email, plan, createdAt: iso(createdAt), expiresAt: iso(expiresAt), usedAt: iso(usedAt) };
}

/** Always a new account: neither name nor address is proven, so an existing account of that name is never used. */
async function accountFor(
  store: Store,
  application: Application,
  asked: string | undefined,
  author: Author,
): Promise<Account> {
  const { id } = application;
  const plan = asked ?? (await store.readRegistration()).plan;
  await requirePlan(store, plan);
  return openAccount(store, await accountNameFor(store, application), plan, author, { application: id });
}

/**
 * The name that the applicant gave; with the address if others have that name, or with the id of the application if others have
 * both. A name with an @ could be mistaken for the address of someone else.
 */
async function accountNameFor(store: Store, { id, name, email }: Application): Promise<string> {
  const wanted = name.includes('@') ? [email] : [name, `${name} (${email})`, email];
  for (const each of wanted) if (isAccountName(each) && !(await store.looksTaken(each))) return each;
  return `${email} (${id})`;
}

function readRegistrationField(name: string, value: unknown): Partial<Registration> {
  switch (name) {
    case 'mode':
      if (!registrationModes.includes(value as RegistrationMode))
        throw new Fault('registration_mode', { modes: registrationModes.join(', ') });
      return { mode: value as RegistrationMode };
    case 'plan':
      if (typeof value !== 'string') throw new Fault('registration_plan', {});
      return { plan: value };
    case 'domains':
    case 'dotless': {
      const words = typeof value === 'string' ? value.split(',').filter((word) => word.trim() !== '') : value;
      if (!Array.isArray(words) || words.length > 100) throw new Fault('registration_domains', { name });
      return { [name]: words.map((word) => requireDomain(word)) };
    }
    case 'maxPending': {
      const count = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
      if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > 1_000_000)
        throw new Fault('registration_pending', {});
      return { maxPending: count };
    }
    default:
      throw new Fault('registration_field', { name });
  }
}

function requireDomain(word: unknown): string {
  const email = typeof word === 'string' ? normalEmail(`x@${word.trim().replace(/^@/, '')}`) : undefined;
  if (email === undefined) throw new Fault('domain_shape', { word: String(word) });
  return email.slice(2);
}
