// Applying for access: reads and bounds the application, and stores it before anyone decides.
import { digestOf } from '../../domain/api-key.ts';
import type { Application, Invite, Registration } from '../../domain/application.ts';
import { type Author, auditEvent, leadingTo } from '../../domain/audit.ts';
import { newApplicationId, newPersonId, type PersonId, randomBase62 } from '../../domain/id.ts';
import { mailboxOf } from '../../domain/mailbox.ts';
import { confirmation } from '../../domain/outbox.ts';
import { type Language, type Person, placeholderDomain, placeholderEmail } from '../../domain/person.ts';
import { Secret } from '../../domain/secret.ts';
import type { WallMs } from '../../domain/time.ts';
import type { NewPerson, NotSubmitted } from '../../store/ports/admission.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, requireProse, requireText } from '../fault.ts';
import { hasRoom } from '../mail/mail-budget.ts';
import { newSeed } from '../people/link-codes.ts';
import { type OnboardingContext, requireEmail, requirePassword } from '../people/onboarding.ts';
import { draftLink } from '../people/one-time-links.ts';
import { requirePlan } from '../plans/plans.ts';
import { hashPassword } from '../sign-in/passwords.ts';
import { decide, decideByRule, hold, whyHeld } from './applications.ts';

export interface NewApplication {
  readonly name: string;
  readonly email: string;
  readonly purpose: string;
  readonly models?: readonly string[];
  readonly plan?: string;
  /** Code of an invitation. */
  readonly invite?: string;
  /** For people who want to sign in and manage their keys themselves. */
  readonly password?: string;
  readonly language?: Language;
}

export interface Applied {
  readonly application: Pick<Application, 'id' | 'status'>;
  /** Shown only once; with it the applicant gets the key. */
  readonly claim: Secret;
  /** An email with a link to confirm the address is on its way; the applicant may already have access. */
  readonly confirm: boolean;
  /** The person to sign in immediately, who waits for the decision while signed in. */
  readonly person: PersonId | undefined;
}

/** Bounds of unconfirmed applications. Their emails have been sent, and they are removed when the link expires. */
const unconfirmedBounds = { unconfirmed: 5_000, fromSource: 20, fromSourceForMailbox: 3 } as const;

/**
 * Stores the application and, if the mode or an invitation allows it, approves it immediately. The applicant cannot see whether
 * the address is known here. An address that has to be confirmed cannot be used to sign in before; until then the application
 * keeps the password, and other applications with the same address are possible.
 * @throws Fault `forbidden` if registration is closed or the invitation is not valid; `conflict` if too many are waiting.
 */
// oxlint-disable-next-line eslint/max-lines-per-function -- the order is the guarantee: bounds, the costly hash, one transaction
export async function apply(
  context: OnboardingContext,
  asked: NewApplication,
  visitor: Person | undefined,
  source: string,
  author: Author,
): Promise<Applied> {
  const { store, mailer, portal, codes } = context;
  const registration = await store.readRegistration();
  // A person whose address was taken signs in without one; they state the address that they apply with.
  const named = visitor !== undefined && !visitor.email.endsWith(placeholderDomain);
  const email = named ? visitor.email : requireEmail(asked.email);
  const [name, purpose] = [
    requireText('what_name', asked.name, 200),
    requireProse('what_purpose', asked.purpose, 2_000),
  ];
  if (visitor) await refuseSecond(store, visitor);
  else if (asked.password !== undefined) requirePassword(asked.password, [name, email]);
  const invite = await inviteFor(context, registration, asked.invite, email, author);
  // An address that an invitation names, or that a provider has confirmed, needs no confirmation. An invitation without an
  // address admits every holder of its code and proves nothing about their address.
  const isNamed = invite !== undefined && invite.email !== null;
  const confirm = mailer.delivers && !isNamed && !(visitor?.emailVerified ?? false);
  const waitsForEmail = confirm && !invite;
  if (!waitsForEmail && (await store.countPending()) >= registration.maxPending) throw tooMany();
  if (waitsForEmail && !(await hasRoom(store, 'confirm', email, author.at)))
    throw new Fault('email_too_often', {}, 'conflict');
  const passwordHash = asked.password === undefined || visitor ? null : await hashPassword(asked.password);
  const id = newApplicationId(author.at);
  const claim = new Secret(`claim_${randomBase62(43)}`);
  const language = asked.language ?? visitor?.language ?? null;
  const person =
    passwordHash === null || waitsForEmail
      ? undefined
      : newPerson(name, confirm ? placeholderEmail(id) : email, passwordHash, language);
  const application = draftApplication(asked, author.at, claim, {
    id,
    name,
    email,
    purpose,
    language,
    personId: visitor?.id ?? person?.id ?? null,
    confirmedAt: visitor?.emailVerified ? author.at : null,
  });
  const seed = newSeed();
  const link = confirm ? draftLink(portal, 'confirm', id, author, codes.codeOf(seed)) : undefined;
  // Only the email tells that the address already has an account; the page shows the same to everyone.
  const isKnown = confirm && passwordHash !== null && (await store.findHolder(email)) !== undefined;
  const created = auditEvent(author, 'application.create', id, null, { name, email, invite: invite?.id ?? null });
  const personCreated = person
    ? [auditEvent(author, 'person.create', person.id, null, { email, application: id })]
    : [];
  // In one transaction with the decision by the mode or invitation, so that a kill cannot separate the two.
  const stored = await store.atomically(async (within) => {
    const against = await within.submitApplication({
      application,
      mailbox: mailboxOf(email, registration.dotless),
      source,
      passwordHash: waitsForEmail ? passwordHash : null,
      confirmBy: waitsForEmail ? (link?.expiresAt ?? null) : null,
      person,
      invite: invite?.digest,
      isNamed,
      link: link?.stored,
      bounds: { waiting: registration.maxPending, ...unconfirmedBounds },
      events: [leadingTo(created, confirm ? [confirmation(id, seed, isKnown)] : []), ...personCreated],
    });
    if (against !== undefined) throw notSubmitted(against);
    if (waitsForEmail) return application;
    if (!invite) return (await decideByRule(within, application, author)) ?? application;
    return decideByInvite(within, application, invite, author);
  });
  if (link) context.wake();
  const entering = waitsForEmail ? undefined : (application.personId ?? undefined);
  return { application: stored, claim, confirm, person: entering };
}

/** `email`: a placeholder while the address is not confirmed; it becomes theirs when they open the email. */
const newPerson = (name: string, email: string, passwordHash: string, language: Language | null): NewPerson => ({
  id: newPersonId(),
  name,
  email,
  emailVerified: false,
  passwordHash,
  language,
});

function draftApplication(
  { models = [], plan }: NewApplication,
  createdAt: WallMs,
  claim: Secret,
  known: Pick<Application, 'id' | 'name' | 'email' | 'purpose' | 'language' | 'personId' | 'confirmedAt'>,
): Application {
  return {
    ...known,
    models: models.map((model) => requireText('what_model', model, 200)),
    wantedPlan: plan ?? null,
    status: 'pending',
    claimDigest: digestOf(claim.reveal()),
    createdAt,
    decidedAt: null,
    decidedBy: null,
    decision: null,
    accountId: null,
    claimedAt: null,
    held: null,
  };
}

async function decideByInvite(
  store: Store,
  application: Application,
  invite: Invite,
  { at }: Author,
): Promise<Application> {
  const rule = { actor: `invite:${invite.id}`, at };
  const registration = await store.readRegistration();
  // An invitation that names the address was meant for this person.
  const held = invite.email !== null ? undefined : await whyHeld(store, application, registration);
  if (held !== undefined) {
    await hold(store, application, held, rule);
    return application;
  }
  const plan = invite.plan ?? registration.plan;
  return decide(store, application.id, 'approved', { plan, decision: null }, rule);
}

const tooMany = (): Fault => new Fault('applications_full', {}, 'conflict');

const noInvite = (): Fault => new Fault('invite_refused', {}, 'forbidden');

function notSubmitted(against: NotSubmitted): Fault {
  switch (against) {
    case 'invite':
      return noInvite();
    case 'waits':
      return new Fault('application_waits', {}, 'conflict');
    case 'full':
      return tooMany();
    case 'source':
      return new Fault('applications_from_network', {}, 'conflict');
    case 'mailbox':
      return new Fault('email_sent_already', {}, 'conflict');
  }
}

/**
 * The invitation of an application; the store marks it as used together with the application. It works in every mode except
 * `closed`. @throws Fault.
 */
async function inviteFor(
  { store }: OnboardingContext,
  { mode }: Registration,
  code: string | undefined,
  email: string,
  { at }: Author,
): Promise<Invite | undefined> {
  if (mode === 'closed') throw new Fault('applications_closed', {}, 'forbidden');
  const invite = code === undefined ? undefined : await store.findInvite(digestOf(code.trim()), email, at);
  if (!invite && (mode === 'invite' || code !== undefined)) throw noInvite();
  if (invite && invite.plan !== null) await requirePlan(store, invite.plan);
  return invite;
}

async function refuseSecond(store: Store, { id, accountId }: Person): Promise<void> {
  if (accountId !== null) throw new Fault('have_account', {}, 'conflict');
  if ((await store.findApplicationOf(id))?.status === 'pending') throw new Fault('application_waits', {}, 'conflict');
}
