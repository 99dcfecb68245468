// The whole store: one port per noun, and what all of them share. SQLite implements it; another database is a folder
// beside it. test/contracts has the suites that every adapter passes. All times are Unix milliseconds. A change of
// access takes its audit event and is written with it in one transaction.
import type { Kysely } from 'kysely';
import type { WallMs } from '../../domain/time.ts';
import type { AccountStore } from './accounts.ts';
import type { AdmissionStore } from './admission.ts';
import type { AnnouncementStore } from './announcements.ts';
import type { ApplicationStore } from './applications.ts';
import type { AuditStore } from './audit.ts';
import type { CertificateStore } from './certificates.ts';
import type { ChangeFeed, FeedReport } from './change-feed.ts';
import type { RepeatStore } from './creations.ts';
import type { DisplayNameStore } from './display-names.ts';
import type { Gates } from './gates.ts';
import type { HealthStore } from './health.ts';
import type { InvitationStore } from './invitations.ts';
import type { KeyStore } from './keys.ts';
import type { HeldLease, LeaseStore } from './leases.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import type { MaintenanceStore } from './maintenance.ts';
import type { NameStore } from './names.ts';
import type { LinkStore } from './one-time-links.ts';
import type { OutboxStore } from './outbox.ts';
import type { PasswordStore } from './passwords.ts';
import type { PersonStore } from './people.ts';
import type { PlaceStore } from './places.ts';
import type { PlanStore } from './plans.ts';
import type { PullStore } from './pulls.ts';
import type { RegistrationStore } from './registration.ts';
import type { RouteStore } from './routes.ts';
import type { RuleStore } from './rules.ts';
import type { ServerStore } from './servers.ts';
import type { SettingStore } from './settings.ts';
import type { SignInStore } from './sign-in.ts';
import type { SuspensionStore } from './suspensions.ts';
import type { UsageStore } from './usage.ts';
import type { ViewStore } from './views.ts';

/** The tables of sign-in, which a library reads and writes itself. */
export interface SignInTables {
  // oxlint-disable-next-line typescript/no-explicit-any -- what the library asks for; its tables are its own.
  readonly db: Kysely<any>;
  readonly type: 'sqlite' | 'postgres';
}

export interface Store
  extends LedgerWriter,
    KeyStore,
    AccountStore,
    PlanStore,
    RuleStore,
    SuspensionStore,
    AuditStore,
    UsageStore,
    HealthStore,
    RepeatStore,
    RegistrationStore,
    MaintenanceStore,
    AnnouncementStore,
    ApplicationStore,
    InvitationStore,
    AdmissionStore,
    OutboxStore,
    PlaceStore,
    PersonStore,
    LinkStore,
    SignInStore,
    PasswordStore,
    CertificateStore,
    LeaseStore,
    PullStore,
    ServerStore,
    RouteStore,
    SettingStore,
    NameStore,
    DisplayNameStore,
    ViewStore {
  readonly signIn: SignInTables;
  /** The gates of this database; undefined for a command, and where there can be only one. */
  readonly gates?: Gates;
  /**
   * Runs a whole decision, with its reads and writes, in one serializable transaction; if `work` throws, nothing is
   * changed. `work` must use only the store that it is given, and nothing that waits for another use of this one (the
   * sign-in library does). It may run again from the start if the database requires that. Nested calls join the outer
   * transaction.
   */
  atomically<T>(work: (store: Store) => Promise<T>): Promise<T>;
  /**
   * Runs such a decision only while the lease is held, until it is committed.
   * @throws LeaseLost
   */
  whileHeld<T>(lease: HeldLease, work: (store: Store) => Promise<T>): Promise<T>;
  /** A feed of this store's changes, for this process. It looks only when told to. */
  changeFeed(report: FeedReport): ChangeFeed;
  /** A sentence if the open database is no longer the store of this gateway, and refuses writes. */
  loss(): string | undefined;
  /** The time that dates are by: of the database's machine. */
  now(): Promise<WallMs>;
  /** @throws if the store cannot answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
