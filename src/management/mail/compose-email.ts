// Composes the email of a row of the outbox from the current content of the store. Undefined if it no longer applies: the
// application was erased, the suspension lifted, the link used or expired, or there is no mailbox.
import type { AccountId, ApplicationId, SuspensionId } from '../../domain/id.ts';
import type { EmailAbout } from '../../domain/outbox.ts';
import { type Person, placeholderDomain } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import type { LinkCodes } from '../people/link-codes.ts';
import { linkUrl, opens } from '../people/one-time-links.ts';
import type { Email, EmailContent } from './mailer.ts';

export interface ComposeTools {
  readonly store: Store;
  readonly portal: URL;
  readonly codes: LinkCodes;
  readonly now: () => WallMs;
}

export function composeEmail(about: EmailAbout, tools: ComposeTools): Promise<Email | undefined> {
  switch (about.email) {
    case 'confirm':
      return confirm(about.application, about.seed, tools);
    case 'known':
      return known(about.application, tools);
    case 'reset':
      return reset(about, tools);
    case 'decided':
      return decided(about, tools);
    case 'suspended':
      return suspended(about.suspension, tools);
    case 'answered':
      return answered(about.suspension, tools);
    case 'expiring':
      return expiring(about.key, tools);
  }
}

/** Shown in the email and on the page of its application, so that applications are not confused. */
const referenceOf = (id: ApplicationId): string => id.slice(-6);

type Composed = Promise<Email | undefined>;

const page = ({ portal }: ComposeTools, path: string): string => new URL(`/portal/${path}`, portal).href;

function to({ email, language }: Pick<Person, 'email' | 'language'>, about: EmailContent): Email | undefined {
  return email === '' || email.endsWith(placeholderDomain) ? undefined : { to: email, language, about };
}

async function toAccount(id: AccountId, about: EmailContent, { store }: ComposeTools): Composed {
  const person = await store.findPersonOf(id);
  return person && to(person, about);
}

async function confirm(id: ApplicationId, seed: string, tools: ComposeTools): Composed {
  const { store, portal, codes, now } = tools;
  const application = await store.findApplication(id);
  const code = codes.codeOf(seed);
  if (!application || !(await opens(store, code, 'confirm', id, now()))) return undefined;
  const { name, purpose, createdAt } = application;
  const url = linkUrl(portal, 'confirm', code);
  return to(application, { kind: 'confirm', url, name, purpose, at: createdAt, reference: referenceOf(id) });
}

async function known(id: ApplicationId, tools: ComposeTools): Composed {
  const application = await tools.store.findApplication(id);
  if (!application) return undefined;
  const holder = await tools.store.findHolder(application.email);
  const language = holder?.language ?? application.language;
  return to({ email: application.email, language }, { kind: 'known', url: page(tools, 'sign-in') });
}

async function reset(about: EmailAbout & { readonly email: 'reset' }, tools: ComposeTools): Composed {
  const { store, portal, codes, now } = tools;
  const code = codes.codeOf(about.seed);
  const person = await store.findPerson(about.person);
  if (!person || !(await opens(store, code, 'password', person.id, now()))) return undefined;
  return to(person, { kind: 'reset', url: linkUrl(portal, 'password', code) });
}

async function decided(about: EmailAbout & { readonly email: 'decided' }, tools: ComposeTools): Composed {
  const application = await tools.store.findApplication(about.application);
  if (!application || application.status === 'pending') return undefined;
  if (about.at !== undefined && about.at !== application.decidedAt) return undefined;
  const { status, decision } = application;
  return to(application, { kind: status, url: page(tools, 'home'), word: decision });
}

async function suspended(id: SuspensionId, tools: ComposeTools): Composed {
  const step = await tools.store.findSuspension(id);
  if (!step || step.liftedAt !== null) return undefined;
  const { accountId, reason, endsAt } = step;
  return toAccount(accountId, { kind: 'suspended', url: page(tools, 'home'), reason, endsAt }, tools);
}

async function answered(id: SuspensionId, tools: ComposeTools): Composed {
  const step = await tools.store.findSuspension(id);
  if (!step || step.answer === null) return undefined;
  const { accountId, answer, liftedAt } = step;
  const about = { kind: 'answered', url: page(tools, 'home'), word: answer, lifted: liftedAt !== null } as const;
  return toAccount(accountId, about, tools);
}

async function expiring(id: (EmailAbout & { readonly email: 'expiring' })['key'], tools: ComposeTools): Composed {
  const key = await tools.store.findKey(id);
  if (!key || key.status !== 'active' || key.expiresAt === null || key.expiresAt <= tools.now()) return undefined;
  const about = { kind: 'expiring', url: page(tools, 'keys'), key: key.name, endsAt: key.expiresAt } as const;
  return toAccount(key.accountId, about, tools);
}
