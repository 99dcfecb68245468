// What the store does when somebody is let in: an application, a confirmed address, an opened set-up link. Each is one transaction
// that uses up an invitation or a link together with what it was for, or changes nothing at all.
import type { Application } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, ApplicationId, PersonId } from '../../domain/id.ts';
import type { Language, OneTimeLink, Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

/** Somebody who will sign in; the password, if they have one, is hashed before anything is used up. */
export interface NewPerson {
  readonly id: PersonId;
  readonly name: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly passwordHash: string | null;
  readonly language: Language | null;
}

/** How many applications may wait. */
export interface WaitingBounds {
  /** Those that only an operator can move on. */
  readonly waiting: number;
  /** Those whose address nobody has confirmed yet: in all, from one network, and from one network for one mailbox. */
  readonly unconfirmed: number;
  readonly fromSource: number;
  readonly fromSourceForMailbox: number;
}

export interface Submission {
  readonly application: Application;
  /** Key of its mailbox. */
  readonly mailbox: string;
  /** Of the network that it came from. */
  readonly source: string;
  /** Kept until the address is confirmed; then it becomes the password of the new person. */
  readonly passwordHash: string | null;
  /** Until when the address has to be confirmed; null: nobody asks for it. */
  readonly confirmBy: WallMs | null;
  /** Who signs in with it at once, under nobody's address where their own is taken. */
  readonly person: NewPerson | undefined;
  /** Digest of the invitation that it uses up. */
  readonly invite: string | undefined;
  /** The invitation names the address: whoever merely wrote it down gives way to the person. */
  readonly isNamed: boolean;
  /** A link that confirms this application. */
  readonly link: OneTimeLink | undefined;
  readonly bounds: WaitingBounds;
  readonly events: readonly AuditEvent[];
}

/** `invite`: it was used meanwhile. `waits`: the person has an application that waits. */
export type NotSubmitted = 'invite' | 'waits' | 'full' | 'source' | 'mailbox';

export interface Confirmation {
  /** Of the link's code. */
  readonly digest: string;
  readonly at: WallMs;
  /** The id that a new person gets. */
  readonly personId: PersonId;
  /** How many may wait for an operator; null where this one will not have to. */
  readonly waiting: number | null;
  readonly event: (id: ApplicationId) => AuditEvent;
}

/**
 * `link`: it opens nothing. `taken`: somebody has shown already that the address is theirs. `occupied`: somebody signs in to the
 * account already. `full`: too many wait.
 */
export type NotConfirmed = 'link' | 'taken' | 'occupied' | 'full';

export interface SettingUp {
  readonly digest: string;
  readonly at: WallMs;
  readonly person: NewPerson;
  readonly event: (account: AccountId) => AuditEvent;
}

/** `link`: it opens nothing. `closed`: its account is not there. `occupied`: somebody signs in to it. `taken`: the address is. */
export type NotSetUp = 'link' | 'closed' | 'occupied' | 'taken';

/**
 * Each of these is one transaction. As a part of `Store.atomically`, one that gives a reason against it has the whole decision
 * undone, so the work has to end with an error then.
 */
export interface AdmissionStore {
  submitApplication(submission: Submission): Promise<NotSubmitted | undefined>;
  /** Gives the application, confirmed, with its person. */
  confirmApplication(confirmation: Confirmation): Promise<Application | NotConfirmed>;
  setUpPerson(settingUp: SettingUp): Promise<NotSetUp | undefined>;
  /** How many open accounts others' applications with that mailbox led to, and whether one was closed under a restriction. */
  findMailbox(mailbox: string, except: ApplicationId): Promise<{ readonly accounts: number; readonly barred: boolean }>;
  /** The application that a link confirms, while the link opens something. */
  findConfirmable(digest: string, at: WallMs): Promise<Application | undefined>;
  /** How many applications wait for an operator, and how many for their applicant. */
  countPending(): Promise<number>;
  /** The person who has shown that they read that address, or has an account under it. */
  findHolder(email: string): Promise<Person | undefined>;
}
