// Consequences of a change, such as an email. A consequence is stored in the change's transaction and carried out
// later, so that it is not lost if the process is killed in between. It refers to its subject and copies no data: an
// address that is erased meanwhile is erased here too.
import type { Application } from './application.ts';
import type { ApplicationId, KeyId, PersonId, SuspensionId } from './id.ts';
import type { Suspension } from './suspension.ts';

/** `seed`: the code of a link is computed from it and a secret outside the store. */
export type EmailAbout =
  | { readonly email: 'confirm'; readonly application: ApplicationId; readonly seed: string }
  | { readonly email: 'known'; readonly application: ApplicationId }
  | { readonly email: 'reset'; readonly person: PersonId; readonly seed: string }
  /** `at`: the decision that is meant; another may have taken its place. Older rows do not say. */
  | { readonly email: 'decided'; readonly application: ApplicationId; readonly at?: number }
  | { readonly email: 'suspended' | 'answered'; readonly suspension: SuspensionId }
  | { readonly email: 'expiring'; readonly key: KeyId };

export interface Consequence {
  /** Derived from the subject and the cause, so that one cause has one consequence, however often it is written. */
  readonly id: string;
  readonly kind: 'email';
  readonly about: EmailAbout;
  /** Due so long after its cause, which can be taken back meanwhile. */
  readonly waitsMs?: number;
}

const email = (id: string, about: EmailAbout): Consequence => ({ id, kind: 'email', about });

/** Asks the mailbox to confirm an application, or says that it has an account already. */
export const confirmation = (application: ApplicationId, seed: string, isKnown: boolean): Consequence =>
  email(`${application} confirm`, isKnown ? { email: 'known', application } : { email: 'confirm', application, seed });

export const passwordReset = (person: PersonId, seed: string): Consequence =>
  email(`${person} reset ${seed}`, { email: 'reset', person, seed });

/** For so long a rejection can be taken back; its email waits for it. */
export const reconsiderMs = 10 * 60_000;

/** Applicants who were admitted at once by a rule know it, unless they had to confirm their address first. */
export function decisionEmail({ id, status, decidedAt, decidedBy, confirmedAt }: Application): readonly Consequence[] {
  if (decidedBy?.startsWith('registration:') && confirmedAt === null) return [];
  const at = decidedAt ?? 0;
  const decided = email(`${id} decided ${at}`, { email: 'decided', application: id, at });
  return [status === 'rejected' ? { ...decided, waitsMs: reconsiderMs } : decided];
}

/** A warning is shown where it applies, and a shadow step has no effect. */
export const stepEmail = ({ id, step, shadow }: Pick<Suspension, 'id' | 'step' | 'shadow'>): readonly Consequence[] =>
  shadow || step === 'warn' ? [] : [email(`${id} taken`, { email: 'suspended', suspension: id })];

export const answerEmail = (id: SuspensionId): Consequence =>
  email(`${id} answered`, { email: 'answered', suspension: id });

export const expiryEmail = (id: KeyId): Consequence => email(`${id} expiring`, { email: 'expiring', key: id });
