// What the planes may ask of the store. Two adapters answer it by contract: SQLite now, PostgreSQL next;
// test/contracts/store.ts is the suite both must pass. All times are Unix milliseconds.
// Every change of who may do what comes with its audit event and is written with it, in one transaction.
import type { Kysely } from 'kysely';
import type { Account, Role } from '../domain/account.ts';
import type { StoredKey } from '../domain/api-key.ts';
import type { Application, HeldFor, Invite, Registration } from '../domain/application.ts';
import type { AuditEvent } from '../domain/audit.ts';
import type { AccountId, ApplicationId, KeyId, PersonId, SuspensionId } from '../domain/id.ts';
import type { Language, LinkPurpose, OneTimeLink, Person } from '../domain/person.ts';
import type { Plan, Unlimited } from '../domain/plan.ts';
import type { Rule } from '../domain/rule.ts';
import type { Suspension } from '../domain/suspension.ts';
import type { Member } from '../domain/swap-set.ts';
import type { WallMs } from '../domain/time.ts';
import type { Outcome, UsageBucket, UsageRecord, UsageSum } from '../domain/usage.ts';
import type { AdmissionStore } from './ports/admission.ts';
import type { NoticeStore } from './ports/notices.ts';
import type { PasswordStore } from './ports/passwords.ts';
import type { SignInStore } from './ports/sign-in.ts';

export type { NewPerson, NotSubmitted } from './ports/admission.ts';
export type { Identity, SignInStore, StoredPasskey } from './ports/sign-in.ts';

/** A key with all that decides what its calls may do. */
export interface Caller {
  readonly key: StoredKey;
  readonly account: Account;
  readonly plan: Plan | Unlimited;
  /** Those of the account that are neither lifted nor over, whichever key they hit. */
  readonly suspensions: readonly Suspension[];
}

/** A place in a list that is ordered by time and then id. */
export interface Page {
  readonly after?: { readonly at: number; readonly id: string };
  readonly limit: number;
}

/** A creation that a client may repeat: who asked, by which name, and what came of it. */
export interface Repeatable {
  /** Of the key, or of the person. */
  readonly keyId: string;
  readonly name: string;
  /** Of the request: the same name with another request is a mistake. */
  readonly digest: string;
  readonly at: number;
  /** The id of what was made; null while it is being made. */
  readonly made: string | null;
}

export interface RepeatStore {
  /** Claims a name; gives what stands there where it is taken. */
  claimRepeatable(claim: Repeatable): Promise<Repeatable | undefined>;
  finishRepeatable(keyId: string, name: string, made: string): Promise<void>;
  /** Gives the name up: nothing was made. */
  dropRepeatable(keyId: string, name: string): Promise<void>;
}

export interface KeyStore {
  insertKey(key: StoredKey, event: AuditEvent): Promise<void>;
  findKey(id: KeyId): Promise<StoredKey | undefined>;
  /** Finds a key that is no secret by the digest of its public key. */
  findKeyByDigest(digest: string): Promise<StoredKey | undefined>;
  findCaller(id: KeyId, now: WallMs): Promise<Caller | undefined>;
  findCallerByDigest(digest: string, now: WallMs): Promise<Caller | undefined>;
  /** All keys, or those of one account, oldest first. */
  listKeys(accountId?: AccountId): Promise<StoredKey[]>;
  /** How many keys of an account work: active and not expired; those that live for an hour at most are counted by themselves. */
  countKeys(accountId: AccountId, now: WallMs, which?: 'lasting' | 'passing'): Promise<number>;
  /** A page of keys in the order in which they were made, behind a place in it. */
  pageKeys(page: Page & { readonly accountId?: AccountId; readonly search?: string }): Promise<StoredKey[]>;
  /** Writes name, scopes, models, addresses, expiry and narrowing of a key; false where it is not active any more. */
  changeKey(key: StoredKey, event: AuditEvent): Promise<boolean>;
  /** Working keys that end in that time. */
  keysExpiring(from: WallMs, before: WallMs): Promise<StoredKey[]>;
  /** Gives false where there is no such key; revoking twice keeps the first time and writes no second event. */
  revokeKey(id: KeyId, at: WallMs, event: AuditEvent): Promise<boolean>;
  /** Notes when keys were last used, where that is later than what stands there; ids that are no stored keys are passed over. */
  touchKeys(usedAt: ReadonlyMap<KeyId, WallMs>): Promise<void>;
  /** Stores the successor and lets the old key end at `oldEndsAt`, in one transaction. */
  rotateKey(oldId: KeyId, successor: StoredKey, oldEndsAt: WallMs, event: AuditEvent): Promise<void>;
}

export interface AccountStore {
  /**
   * The account of that name, made with that plan and role if it is not there; then its event is filed under the new id.
   * Safe against two makers at once. @throws Refusal as `changeAccount`, and for a name that looks like another's.
   */
  ensureAccount(name: string, plan: string | Unlimited, event: AuditEvent, role?: Role): Promise<Account>;
  /** Does an open account have a name that people would take for this one, or this one? */
  looksTaken(name: string): Promise<boolean>;
  /** By id where the text has the shape of one, else by name. */
  findAccount(idOrName: string): Promise<Account | undefined>;
  listAccounts(): Promise<Account[]>;
  pageAccounts(page: Page & { readonly search?: string; readonly role?: Role }): Promise<Account[]>;
  /** How many people have an account of that role. */
  countAccounts(role: Role): Promise<number>;
  /**
   * Gives an open account another role, another plan, or both at once. Another role takes from its keys what the role
   * does not allow, and ends the visits of its person and the links that nobody has used.
   * @throws Refusal where it is not there or closed, where anybody but an operator would be without limits, and where
   * nobody could operate the gate afterwards.
   */
  changeAccount(
    id: AccountId,
    change: { readonly role?: Role; readonly plan?: string | Unlimited },
    event: AuditEvent,
  ): Promise<Account>;
}

export interface PlanStore {
  findPlan(name: string): Promise<Plan | undefined>;
  listPlans(): Promise<Plan[]>;
  /** Stores a new plan or the next version of one; false where another has stored that version meanwhile. */
  putPlan(plan: Plan, event: AuditEvent): Promise<boolean>;
  /** False where an account still has it. */
  deletePlan(name: string, event: AuditEvent): Promise<boolean>;
}

export interface LadderStore {
  listRules(): Promise<Rule[]>;
  putRule(rule: Rule, event: AuditEvent): Promise<void>;
  deleteRule(name: string, event: AuditEvent): Promise<boolean>;
  insertSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  findSuspension(id: SuspensionId): Promise<Suspension | undefined>;
  /** The newest first. */
  listSuspensions(filter: {
    readonly accountId?: AccountId;
    readonly before?: string;
    readonly limit: number;
  }): Promise<Suspension[]>;
  /** Writes lifting, appeal and answer; everything else of a suspension never changes. */
  updateSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  /** How many steps were taken since then against an account, or one of its keys; shadow ones do not count. */
  countSuspensions(accountId: AccountId, keyId: KeyId | null, since: WallMs): Promise<number>;
  /** Appeals that nobody has answered. */
  countAppeals(): Promise<number>;
  /** The newest first. */
  listAudit(filter: {
    readonly subject?: string;
    readonly before?: string;
    readonly limit: number;
  }): Promise<AuditEvent[]>;
}

export interface ApplicationStore {
  readRegistration(): Promise<Registration>;
  writeRegistration(registration: Registration, event: AuditEvent): Promise<void>;
  findApplication(id: ApplicationId): Promise<Application | undefined>;
  /** The newest first. */
  listApplications(filter: {
    readonly status?: Application['status'];
    readonly before?: string;
    readonly limit: number;
  }): Promise<Application[]>;
  /** The newest application of a person. */
  findApplicationOf(personId: PersonId): Promise<Application | undefined>;
  /** Notes why an operator has to decide, although a rule or an invitation would have let the applicant in. */
  holdApplication(id: ApplicationId, why: HeldFor, event: AuditEvent): Promise<void>;
  /** Writes a decision on what is still pending; false where it was decided already. */
  decideApplication(application: Application, event: AuditEvent): Promise<boolean>;
  /** Hands the key over: stores it and closes the application, once; false where that was done already. */
  claimApplication(id: ApplicationId, key: StoredKey, at: WallMs, event: AuditEvent): Promise<boolean>;
  insertInvite(invite: Invite, event: AuditEvent): Promise<void>;
  /** The newest first. */
  listInvites(limit: number): Promise<Invite[]>;
  /** The invitation with that digest, if it is unused, not over, and for that address; it is used up with the application. */
  findInvite(digest: string, email: string, at: WallMs): Promise<Invite | undefined>;
}

/** The tables of sign-in, which a library reads and writes by itself. */
export interface SignInTables {
  // oxlint-disable-next-line typescript/no-explicit-any -- what the library asks for; its tables are its own.
  readonly db: Kysely<any>;
  readonly type: 'sqlite' | 'postgres';
}

/** People who sign in; passwords, sessions and the rest of it are the sign-in library's affair. */
export interface PersonStore {
  findPerson(id: PersonId): Promise<Person | undefined>;
  findPersonByEmail(email: string): Promise<Person | undefined>;
  findPersonOf(accountId: AccountId): Promise<Person | undefined>;
  updatePerson(
    id: PersonId,
    change: {
      readonly name?: string;
      readonly language?: Language;
      readonly accountId?: AccountId;
      readonly emailVerified?: true;
    },
    event: AuditEvent,
  ): Promise<void>;
  /**
   * A link; earlier ones for the same purpose and subject open nothing any more. With `beside` they stay, and there are never
   * more than so many that open something: then nothing is stored, and the answer is false.
   */
  insertLink(link: OneTimeLink, event: AuditEvent, beside?: number): Promise<boolean>;
  /** What a link is about, if it is not over; leaves it as it is. */
  findLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
  /** Uses a link up, once, if it is not over, and others for the same with it; gives its subject. */
  useLink(digest: string, purpose: LinkPurpose, at: WallMs): Promise<string | undefined>;
  /**
   * Closes an account for good: keys revoked, its person gone with passwords and sessions, names, addresses and texts of
   * its applications and appeals blanked. The ledger keeps its figures under an id that is nobody's.
   * @throws Refusal where nobody could operate the gate afterwards.
   */
  closeAccount(id: AccountId, at: WallMs, event: AuditEvent): Promise<void>;
  deletePerson(id: PersonId, event: AuditEvent): Promise<void>;
  /** Writes down what the sign-in library changed. */
  insertAudit(event: AuditEvent): Promise<void>;
  /** Is that visit of that person still open? */
  visitStands(visit: string, person: PersonId, now: number): Promise<boolean>;
  /** Removes visits, challenges and links that are over; gives how many there were. */
  tidyPeople(now: WallMs): Promise<number>;
}

export type ReportBy = 'key' | 'account' | 'model' | 'quarter';

export interface ReportRow extends UsageSum {
  /** Id, model name, or the number of the quarter of an hour since 1970 as text. */
  readonly group: string;
  /** A name for people, where the group is an id. */
  readonly name: string | null;
}

export interface UsageFilter {
  readonly accountId?: AccountId;
  readonly keyId?: KeyId;
  readonly model?: string;
  readonly outcome?: Outcome;
  /** Unix milliseconds. */
  readonly since?: number;
  readonly until?: number;
}

export interface UsageStore {
  /** Adds the rows that are not there yet, and them alone to the roll-ups, in one transaction. */
  appendUsage(records: readonly UsageRecord[]): Promise<void>;
  /** The ids among these that the ledger already holds. */
  knownUsage(ids: readonly string[]): Promise<Set<string>>;
  /** The newest rows first; those before an id, where one is given. */
  listUsage(limit: number, before?: string): Promise<UsageRecord[]>;
  /**
   * The newest rows first that a filter lets through, behind an id where one is given. Looks at a bounded number of rows
   * (the ledger has no index but time), `look` where it is given: a page may be short, even empty, and still have a next.
   */
  searchUsage(
    filter: UsageFilter,
    limit: number,
    before?: string,
    look?: number,
  ): Promise<{ readonly rows: UsageRecord[]; readonly next: string | undefined }>;
  /** What every key, or every key of an account, did in [since, before), by the minute, from the raw rows. */
  usageByMinute(since: WallMs, before?: WallMs, accountId?: AccountId): Promise<UsageBucket[]>;
  /** What an account's keys did in the quarters of an hour that [from, before) touches, from the roll-ups. */
  usageByQuarter(accountId: AccountId, from: WallMs, before: WallMs): Promise<UsageBucket[]>;
  /** Sums of the quarters that [from, before) touches, from the roll-ups; ordered by group where it is the quarter, else by tokens. */
  reportUsage(by: ReportBy, from: WallMs, before: WallMs, accountId?: AccountId): Promise<ReportRow[]>;
  /** Removes at most so many raw rows that began before; gives how many there were. Roll-ups stay. */
  pruneUsage(before: WallMs, limit: number): Promise<number>;
}

export interface StoredCertificate {
  /** The authority and the names. */
  readonly id: string;
  /** PEM, the leaf first. */
  readonly chain: string;
  /** PEM. */
  readonly key: string;
  /** Unix milliseconds. */
  readonly issuedAt: number;
  readonly notAfter: number;
}

/** What an authority will ask for to see that a name is ours (RFC 8555, section 8). */
export interface Challenge {
  readonly token: string;
  readonly domain: string;
  /** The key authorization. */
  readonly answer: string;
  readonly expiresAt: number;
}

export interface CertificateStore {
  findCertificate(id: string): Promise<StoredCertificate | undefined>;
  saveCertificate(certificate: StoredCertificate): Promise<void>;
  /** Private key (PEM) of the account there; `fresh` becomes it where there is none. */
  acmeAccount(directory: string, fresh: string): Promise<string>;
  saveChallenge(challenge: Challenge): Promise<void>;
  findChallenge(
    by: { readonly token: string } | { readonly domain: string },
    now: WallMs,
  ): Promise<Challenge | undefined>;
  /** Those, and all that are over. */
  removeChallenges(tokens: readonly string[], now: WallMs): Promise<void>;
  /** One owner at a time, who may take it again; over by itself. False: it is somebody else's. */
  takeLease(name: string, owner: string, now: WallMs, until: WallMs): Promise<boolean>;
  giveLease(name: string, owner: string): Promise<void>;
}

export interface Store
  extends KeyStore,
    AccountStore,
    PlanStore,
    LadderStore,
    UsageStore,
    RepeatStore,
    ApplicationStore,
    AdmissionStore,
    NoticeStore,
    PersonStore,
    SignInStore,
    PasswordStore,
    CertificateStore {
  readonly signIn: SignInTables;
  /**
   * Runs a whole decision, what it reads and what it writes, in one serializable transaction; if the work throws, nothing
   * of it was done. The work uses the store that it is given, and nothing that waits for another use of this one (the
   * sign-in library does). It may be run again from its beginning where the database asks for that. Inside of another it
   * is a part of that one.
   */
  atomically<T>(work: (store: Store) => Promise<T>): Promise<T>;
  /** A figure that changes when another process has written, and only then. */
  version(): Promise<number>;
  /** A sentence where what is open is no longer the store of this gate, and takes nothing any more. */
  loss(): string | undefined;
  /** Throws if the store cannot answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What an exchange has cost so far; asked about once a second while it runs. */
export interface Progress {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly bytesOut: number;
}

/** An exchange that has begun, as the journal knows it. */
export interface OpenUsage extends Member {
  /** The row as it would be if the process died now. */
  readonly draft: UsageRecord;
  readonly progress: () => Progress;
}

/** Where exchanges are written down so that no kill can lose them. */
export interface UsageJournal {
  /** Throws if it cannot be written: then the exchange must not start. */
  begin(draft: UsageRecord, progress: () => Progress): OpenUsage;
  /** Has written when it returns; to be called before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void;
  /** It cannot be written now: each row that comes meanwhile stands in memory. */
  readonly isStuck: boolean;
}
