// What follows from a change besides the change itself, such as an email. It is stored with the change, in one transaction, and
// done afterwards, so that no kill between the two loses it. It names what it is about and copies nothing of it: an address
// that is erased meanwhile is erased here too.
import type { Application } from './application.ts';
import type { ApplicationId, KeyId, PersonId, SuspensionId } from './id.ts';
import type { Suspension } from './suspension.ts';

/** `seed`: what the code of a link is computed from, together with a secret that is not in the store. */
export type EmailAbout =
  | { readonly email: 'confirm'; readonly application: ApplicationId; readonly seed: string }
  | { readonly email: 'known'; readonly application: ApplicationId }
  | { readonly email: 'reset'; readonly person: PersonId; readonly seed: string }
  | { readonly email: 'decided'; readonly application: ApplicationId }
  | { readonly email: 'suspended' | 'answered'; readonly suspension: SuspensionId }
  | { readonly email: 'expiring'; readonly key: KeyId };

export interface Consequence {
  /** Of what it is about: one thing leads to it once, however often it is written. */
  readonly id: string;
  readonly kind: 'email';
  readonly about: EmailAbout;
}

const email = (id: string, about: EmailAbout): Consequence => ({ id, kind: 'email', about });

/** The mailbox is asked to confirm an application, or told that it has an account already. */
export const confirmation = (application: ApplicationId, seed: string, isKnown: boolean): Consequence =>
  email(`${application} confirm`, isKnown ? { email: 'known', application } : { email: 'confirm', application, seed });

export const passwordReset = (person: PersonId, seed: string): Consequence =>
  email(`${person} reset ${seed}`, { email: 'reset', person, seed });

/** Somebody whom a rule let in at once saw it happen, unless they had to confirm their address first. */
export const decisionTold = ({ id, decidedBy, confirmedAt }: Application): readonly Consequence[] =>
  decidedBy?.startsWith('registration:') && confirmedAt === null
    ? []
    : [email(`${id} decided`, { email: 'decided', application: id })];

/** A warning is seen where it warns, and a shadow step does nothing. */
export const stepTold = ({ id, step, shadow }: Pick<Suspension, 'id' | 'step' | 'shadow'>): readonly Consequence[] =>
  shadow || step === 'warn' ? [] : [email(`${id} taken`, { email: 'suspended', suspension: id })];

export const answerTold = (id: SuspensionId): Consequence =>
  email(`${id} answered`, { email: 'answered', suspension: id });

export const expiryTold = (id: KeyId): Consequence => email(`${id} expiring`, { email: 'expiring', key: id });
