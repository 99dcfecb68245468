// The endpoints for the session, setting up the first operator, confirming addresses, and new passwords.

import type { RegistrationMode } from '../../domain/application.ts';
import type { Introspection } from '../../domain/introspection.ts';
import { logoTag } from '../../domain/logo.ts';
import { type Person, placeholderDomain } from '../../domain/person.ts';
import { showAccount } from '../accounts/accounts.ts';
import { announcementsFor } from '../announcements/announcements.ts';
import { showOwnApplication } from '../applications/applications.ts';
import type { Caller } from '../http/authenticate.ts';
import { type Call, type Endpoint, endpoint } from '../http/endpoint.ts';
import { Problem } from '../http/problem.ts';
import type { Mailer } from '../mail/mailer.ts';
import { readMaintenance, tellMaintenance } from '../maintenance/maintenance.ts';
import { deadLink, opensSomething } from '../people/one-time-links.ts';
import { confirmAddress, requestReset, resetPassword, setUp, showPerson } from '../people/people.ts';
import { showView } from '../views/views.ts';
import {
  confirmationSchema,
  linkQuestionSchema,
  resetPasswordSchema,
  resetRequestSchema,
  sessionSchema,
  setUpSchema,
} from './schemas.ts';

const group = 'Sign-in';

/** Prevents guessing of links and mailboxes, and mass requests for emails. @throws Problem. */
async function spend({
  applications: budget,
  address,
}: Pick<Call<never, never, never>, 'applications' | 'address'>): Promise<void> {
  const retryAfterSeconds = await budget.note(address);
  if (retryAfterSeconds > 0) throw new Problem('too_many_attempts', { retryAfterSeconds });
}

/** Modes in which a person decides on an application, and can consider the requested plan. */
const decided: ReadonlySet<RegistrationMode> = new Set(['approval', 'domain']);

export const signInEndpoints: readonly Endpoint[] = [
  endpoint('getSession', 'get /session', {
    summary: 'The signed-in person, and what visitors can do',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: sessionSchema,
    run: async (call) => {
      const { store, caller, signIn, mailer, portal, live, encryption, timeZone, introspection, now } = call;
      const { exposed, authority } = encryption;
      const { person, account } = caller;
      const application = person ? await store.findApplicationOf(person.id) : undefined;
      const { mode, domains } = await store.readRegistration();
      return {
        person: person
          ? { ...personOf(person, caller, application?.email), addressTaken: isTaken(person, mailer) }
          : null,
        account: account ? await showAccount(store, account, now()) : null,
        view: caller.view ? await showView(store, caller.view) : null,
        application: application ? showOwnApplication(application) : null,
        announcements: person ? await announcementsFor(store, person.id, now()) : [],
        signIn: { providers: [...signIn.providers], passkeys: true, mail: mailer.delivers },
        registration: {
          mode,
          domains: mode === 'domain' ? [...domains] : [],
          plans: decided.has(mode) ? (await store.listPlans()).map((plan) => plan.name) : [],
        },
        gate: {
          name: live.now.gateName,
          accentColor: live.now.accentColor,
          logo: live.now.logo === '' ? null : `/portal/logo?${logoTag(live.now.logo)}`,
          isOperated: (await store.countAccounts('operator')) > 0,
          serves: servesNow(introspection),
          url: portal.origin,
          timeZone,
          exposed,
          authority: authority(),
          maintenance: tellMaintenance(await readMaintenance(store, now())),
          statusPage: live.now.statusPage === 'on',
        },
      };
    },
  }),
  endpoint('lookAtLink', 'post /links/look', {
    summary: 'Check whether a one-time link is valid, without using it up',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    body: linkQuestionSchema,
    run: async ({ store, body: { code, purpose }, address, applications, now }) => {
      // Only a wrong guess counts, so opening a page does not use up attempts to submit it.
      if (applications.waitSeconds(address) > 0) await spend({ applications, address });
      const isOpen = await opensSomething(store, code, purpose, now());
      if (isOpen) return undefined;
      await spend({ applications, address });
      throw deadLink();
    },
  }),
  endpoint('setUp', 'post /setup', {
    summary: 'Set up an account with a one-time link',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    atomic: false,
    body: setUpSchema,
    run: async ({ body, author, openSession, address, applications, ...context }) => {
      await spend({ applications, address });
      await openSession(await setUp(context, body, author));
      return undefined;
    },
  }),
  endpoint('confirmAddress', 'post /confirmations', {
    summary: 'Confirm an email address; the application continues',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    body: confirmationSchema,
    run: async ({ body, author, address, applications, ...context }) => {
      await spend({ applications, address });
      await confirmAddress(context, body.code, author);
      return undefined;
    },
  }),
  endpoint('requestReset', 'post /password-resets', {
    summary: 'Request an email with a link to a new password; the answer does not tell whether the address is known',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    atomic: false,
    body: resetRequestSchema,
    run: async ({ body, author, address, applications, ...context }) => {
      await spend({ applications, address });
      await requestReset(context, body.email, author);
      return undefined;
    },
  }),
  endpoint('resetPassword', 'post /password-resets/confirm', {
    summary: 'Choose a new password with a one-time link; every session ends',
    group,
    needs: 'anybody',
    fresh: 'never',
    pace: 'door',
    atomic: false,
    body: resetPasswordSchema,
    run: async ({ body, author, address, applications, ...context }) => {
      await spend({ applications, address });
      await resetPassword(context, body.code, body.password, author);
      return undefined;
    },
  }),
];

const isTaken = ({ email }: Person, mailer: Pick<Mailer, 'delivers'>): boolean =>
  // With mail, an unconfirmed address is a placeholder, too.
  !mailer.delivers && email.endsWith(placeholderDomain);

function servesNow({ live }: Introspection): boolean | null {
  const { upstreams } = live();
  if (upstreams.some(({ up }) => up === true)) return true;
  return upstreams.some(({ up }) => up === null) ? null : false;
}

/** A person who signs in without an address sees the one in their application, if any. */
const personOf = (person: Person, { fresh }: Caller, given?: string) => ({ ...showPerson(person, given), fresh });
