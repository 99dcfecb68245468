// Letting people in: an application, a confirmed address, a used set-up link. Each is one transaction that uses up an
// invitation or link together with its purpose, or changes nothing.
import type { Application } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, ApplicationId, PersonId } from '../../domain/id.ts';
import type { Language, OneTimeLink, Person } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';

/** A person who will sign in; their password, if any, is hashed before anything is used up. */
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
  /** Applications that wait for an operator. */
  readonly waiting: number;
  /** Applications with an unconfirmed address: in total, per network, and per network and mailbox. */
  readonly unconfirmed: number;
  readonly fromSource: number;
  readonly fromSourceForMailbox: number;
}

export interface Submission {
  readonly application: Application;
  /** The key of its mailbox (domain/mailbox.ts). */
  readonly mailbox: string;
  /** The network that it came from. */
  readonly source: string;
  /** Kept until the address is confirmed; then it becomes the new person's password. */
  readonly passwordHash: string | null;
  /** When the address must be confirmed; null if it need not be. */
  readonly confirmBy: WallMs | null;
  /** The person who signs in at once, with a placeholder address if theirs is taken. */
  readonly person: NewPerson | undefined;
  /** Digest of the invitation to use up. */
  readonly invite: string | undefined;
  /** The invitation names the address, so an unconfirmed claim to it is dropped. */
  readonly isNamed: boolean;
  /** A link that confirms this application. */
  readonly link: OneTimeLink | undefined;
  readonly bounds: WaitingBounds;
  readonly events: readonly AuditEvent[];
}

/** `invite`: it has been used meanwhile. `waits`: the person already has a pending application. */
export type NotSubmitted = 'invite' | 'waits' | 'full' | 'source' | 'mailbox';

export interface Confirmation {
  /** Digest of the link's code. */
  readonly digest: string;
  readonly at: WallMs;
  /** The id for a new person. */
  readonly personId: PersonId;
  /** How many may wait for an operator; null if this one will not have to. */
  readonly waiting: number | null;
  readonly event: (id: ApplicationId) => AuditEvent;
}

/**
 * `link`: it is not valid. `taken`: another person has confirmed the address. `occupied`: the account already has a
 * person. `full`: too many applications wait.
 */
export type NotConfirmed = 'link' | 'taken' | 'occupied' | 'full';

export interface SettingUp {
  readonly digest: string;
  readonly at: WallMs;
  readonly person: NewPerson;
  readonly event: (account: AccountId) => AuditEvent;
}

/** `link`: invalid. `closed`: no such account. `occupied`: the account has a person. `taken`: the address is in use. */
export type NotSetUp = 'link' | 'closed' | 'occupied' | 'taken';

/**
 * Each of these is one transaction. Within `Store.atomically`, a failed one invalidates the whole decision, so the work
 * must then end with an error.
 */
export interface AdmissionStore {
  submitApplication(submission: Submission): Promise<NotSubmitted | undefined>;
  /** Returns the confirmed application, with its person. */
  confirmApplication(confirmation: Confirmation): Promise<Application | NotConfirmed>;
  setUpPerson(settingUp: SettingUp): Promise<NotSetUp | undefined>;
  /** Counts open accounts from other applications with that mailbox; `barred`: one was closed while restricted. */
  findMailbox(mailbox: string, except: ApplicationId): Promise<{ readonly accounts: number; readonly barred: boolean }>;
  /** The application that a valid link confirms. */
  findConfirmable(digest: string, at: WallMs): Promise<Application | undefined>;
  /** How many applications wait for an operator. */
  countPending(): Promise<number>;
  /** The person who has confirmed that address, or has an account with it. */
  findHolder(email: string): Promise<Person | undefined>;
}
