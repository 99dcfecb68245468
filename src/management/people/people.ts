// People who sign in: setting up the first operator, new passwords, confirmed addresses, changes that people make to their own
// data, and closing an account. Answers never tell whether an address is known here.
import { type Account, operatorName } from '../../domain/account.ts';
import { digestOf } from '../../domain/api-key.ts';
import { type Application, normalEmail } from '../../domain/application.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { newPersonId, type PersonId } from '../../domain/id.ts';
import { type Language, type Person, placeholderDomain } from '../../domain/person.ts';
import type { NotConfirmed } from '../../store/ports/admission.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireAccount } from '../accounts/accounts.ts';
import { decideByRule, letsIn } from '../applications/applications.ts';
import { Fault, requireText } from '../fault.ts';
import { hashPassword } from '../sign-in/passwords.ts';
import { type OnboardingContext, requireEmail, requirePassword } from './onboarding.ts';
import { createLink, deadLink, emailReset, type MadeLink, readLink, useLink } from './one-time-links.ts';

export interface SetUp {
  readonly code: string;
  readonly name: string;
  readonly email: string;
  readonly password: string;
}

/**
 * Makes the holder of a setup link the person of its account. An invalid code is refused before anything else is checked, and the
 * link is used up in the same transaction. @throws Fault.
 */
export async function setUp({ store }: OnboardingContext, asked: SetUp, author: Author): Promise<PersonId> {
  await readLink(store, asked.code, 'setup', author.at);
  const email = requireEmail(asked.email);
  const name = requireText('what_name', asked.name, 200);
  requirePassword(asked.password, [name, email]);
  const passwordHash = await hashPassword(asked.password);
  const id = newPersonId();
  const against = await store.setUpPerson({
    digest: digestOf(asked.code.trim()),
    at: author.at,
    person: { id, name, email, emailVerified: false, passwordHash, language: null },
    event: (account) => auditEvent(author, 'person.create', id, null, { email, account }),
  });
  switch (against) {
    case undefined:
      return id;
    case 'link':
      throw deadLink();
    case 'closed':
      throw new Fault('link_account_gone', {}, 'not_found');
    case 'occupied':
      throw new Fault('account_occupied', {}, 'conflict');
    case 'taken':
      throw new Fault('email_taken', {}, 'conflict');
  }
}

/** Valid links in one mailbox; with these, no further one is needed. */
const mostResetLinks = 3;

/** Sends a link to choose a new password if someone has that address; the caller cannot tell. */
export async function requestReset(context: OnboardingContext, address: string, author: Author): Promise<void> {
  const { store, mailer } = context;
  const email = normalEmail(address);
  const person = email === undefined ? undefined : await store.findPersonByEmail(email);
  if (!person || !mailer.delivers) return;
  if (await emailReset(context, person.id, author, mostResetLinks)) context.wake();
}

/**
 * Sets a new password and ends every session. Passkeys are removed, because someone with an old session may have added one; if the
 * address was never confirmed, all other ways to sign in are removed, too (GHSA-qq9h). @throws Fault.
 */
export async function resetPassword(
  { store, mailer }: OnboardingContext,
  code: string,
  password: string,
  author: Author,
): Promise<void> {
  requirePassword(password, []);
  const about = await store.findPerson((await readLink(store, code, 'password', author.at)) as PersonId);
  if (!about) throw deadLink();
  requirePassword(password, [about.name, about.email]);
  // The link is used up only after hashing, which can be refused when too many passwords are being hashed.
  const hash = await hashPassword(password);
  await store.atomically(async (within) => {
    const id = (await useLink(within, code, 'password', author.at)) as PersonId;
    const person = await within.findPerson(id);
    if (!person) throw deadLink();
    await within.renewPassword({ personId: id, hash, keepPasskeys: false });
    // A person without an address cannot have taken another person's, and the provider may be their only way to sign in.
    if (!person.emailVerified && !person.email.endsWith(placeholderDomain)) {
      await within.deleteIdentities(id);
      // Without mail, no address is ever confirmed, and an operator knows whom they give a link to.
      if (mailer.delivers) await within.forgetSecondStep(id);
    }
    await within.updatePerson(id, {}, auditEvent(author, 'person.password', id, null, null));
  });
}

/** Confirms an address: the application that the email names proceeds by its rule. @throws Fault. */
export function confirmAddress(
  { store }: Pick<OnboardingContext, 'store'>,
  code: string,
  author: Author,
): Promise<Application> {
  const digest = digestOf(code.trim());
  return store.atomically(async (within) => {
    const found = await within.findConfirmable(digest, author.at);
    if (!found) throw deadLink();
    const confirming = { ...found, confirmedAt: author.at };
    const { maxPending } = await within.readRegistration();
    const confirmed = await within.confirmApplication({
      digest,
      at: author.at,
      personId: newPersonId(),
      waiting: (await letsIn(within, confirming)) ? null : maxPending,
      event: (id) => auditEvent(author, 'application.confirm', id, null, null),
    });
    if (typeof confirmed === 'string') throw notConfirmed(confirmed);
    return (await decideByRule(within, confirmed, author)) ?? confirmed;
  });
}

function notConfirmed(against: NotConfirmed): Fault {
  switch (against) {
    case 'link':
      return deadLink();
    case 'taken':
      return new Fault('email_confirmed_elsewhere', {}, 'conflict');
    case 'occupied':
      return new Fault('application_occupied', {}, 'conflict');
    case 'full':
      return new Fault('applications_full_confirm', {}, 'conflict');
  }
}

/** `given`: the address in the application of a person who signs in without one. */
export function showPerson({ id, name, email, emailVerified, language, twoFactor }: Person, given = '') {
  return { id, name, email: email.endsWith(placeholderDomain) ? given : email, emailVerified, language, twoFactor };
}

/** @throws Fault. */
export async function changePerson(
  store: Store,
  person: Person,
  change: { readonly name?: string | undefined; readonly language?: Language | undefined },
  author: Author,
): Promise<void> {
  const name = change.name === undefined ? {} : { name: requireText('what_name', change.name, 200) };
  const language = change.language === undefined ? {} : { language: change.language };
  const { name: oldName, language: oldLanguage } = person;
  await store.updatePerson(
    person.id,
    { ...name, ...language },
    auditEvent(author, 'person.set', person.id, { name: oldName, language: oldLanguage }, { ...name, ...language }),
  );
}

/** A link for an operator to pass on: to a new password, or to set up an account without a person. @throws Fault. */
export async function linkFor(
  { store, portal }: Pick<OnboardingContext, 'store' | 'portal'>,
  idOrName: string,
  purpose: 'password' | 'setup',
  author: Author,
): Promise<MadeLink> {
  const account = await requireOpen(store, idOrName);
  const person = await store.findPersonOf(account.id);
  if (purpose === 'setup') {
    if (person) throw new Fault('account_has_person', { account: account.name }, 'conflict');
    return createLink(store, portal, 'setup', account.id, author);
  }
  if (!person) throw new Fault('account_has_nobody', { account: account.name }, 'conflict');
  if (person.email.endsWith(placeholderDomain))
    throw new Fault('person_unconfirmed', { account: account.name }, 'conflict');
  return createLink(store, portal, 'password', person.id, author);
}

/** A link with which an applicant confirms their address, for gateways without mail. @throws Fault. */
export async function confirmationLink(
  { store, portal }: Pick<OnboardingContext, 'store' | 'portal'>,
  application: Application,
  author: Author,
): Promise<MadeLink> {
  if (application.confirmedAt !== null) throw new Fault('email_confirmed', {}, 'conflict');
  return createLink(store, portal, 'confirm', application.id, author);
}

/**
 * Closes an account permanently, for its own person and for operators.
 * @throws Fault for the gateway's own account, and for the last operator.
 */
export function closeAccount(store: Store, idOrName: string, author: Author): Promise<void> {
  return store.atomically(async (within) => {
    const account = await requireOpen(within, idOrName);
    if (account.name === operatorName) throw new Fault('own_account', {}, 'conflict');
    await within.closeAccount(account.id, author.at, auditEvent(author, 'account.close', account.id, null, null));
  });
}

/** Deletes a person who never got an account. */
export async function leave(store: Store, { id }: Person, author: Author): Promise<void> {
  await store.deletePerson(id, auditEvent(author, 'person.delete', id, null, null));
}

async function requireOpen(store: Store, idOrName: string): Promise<Account> {
  const account = await requireAccount(store, idOrName);
  if (account.closedAt !== null) throw new Fault('account_closed', {}, 'conflict');
  return account;
}
