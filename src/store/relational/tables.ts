// The rows of every table, as the shared queries see them: text, 64-bit integers, and lists as JSON text. The column
// definitions and their history are in each database's migrations.
import type { Role } from '../../domain/account.ts';
import type { KeyKind, KeyStatus } from '../../domain/api-key.ts';
import type { Application } from '../../domain/application.ts';
import type {
  AccountId,
  AnnouncementId,
  ApplicationId,
  AuditId,
  InviteId,
  KeyId,
  NameId,
  PersonId,
  RouteId,
  ServerId,
  SettingChangeId,
  SuspensionId,
} from '../../domain/id.ts';
import type { Language, LinkPurpose } from '../../domain/person.ts';
import type { Step } from '../../domain/rule.ts';
import type { PullState } from '../../domain/server-models.ts';
import type { PeopleTables } from './people-tables.ts';
import type { UsageTables } from './usage-tables.ts';

export interface Tables extends CertificateTables, PeopleTables, UsageTables {
  accounts: {
    id: AccountId;
    name: string;
    created_at: number;
    /** Null if and only if `unlimited` is 1. */
    plan: string | null;
    unlimited: number;
    /** The skeleton of its name; empty for a closed account. */
    skeleton: string;
    role: Role;
    closed_at: number | null;
  };
  keys: {
    id: KeyId;
    account_id: AccountId;
    name: string;
    kind: KeyKind;
    digest: string;
    status: KeyStatus;
    scopes: string;
    models: string;
    cidr: string;
    allow_path: number;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
    last_used_at: number | null;
    rotated_from: KeyId | null;
    lineage: KeyId;
    narrowing: string;
    bound_certificate: string | null;
    of_page: number;
  };
  /** `n`: when calls of an account last came from the journal of a gateway that had ended, in milliseconds; no row: never. */
  recoveries: { account_id: AccountId; n: number };
  registration: { id: number; definition: string };
  maintenance: { id: number; definition: string | null };
  applications: AdmissionColumns & {
    id: ApplicationId;
    name: string;
    email: string;
    purpose: string;
    models: string;
    status: Application['status'];
    claim_digest: string;
    created_at: number;
    decided_at: number | null;
    decided_by: string | null;
    decision: string | null;
    account_id: AccountId | null;
    claimed_at: number | null;
    confirmed_at: number | null;
    person_id: PersonId | null;
    language: Language | null;
    wanted_plan: string | null;
    held: string | null;
  };
  one_time_links: {
    digest: string;
    purpose: LinkPurpose;
    subject: string;
    created_at: number;
    expires_at: number;
    used_at: number | null;
  };
  outbox: OutboxTable;
  invites: {
    id: InviteId;
    digest: string;
    email: string | null;
    plan: string | null;
    created_at: number;
    expires_at: number;
    used_at: number | null;
  };
  barred: BarredTable;
  repeatables: { key_id: string; name: string; digest: string; at: number; made: string | null };
  plans: { name: string; version: number; terms: string };
  rules: { name: string; definition: string };
  servers: ServerTable;
  routes: RouteTable;
  announcements: AnnouncementTable;
  settings: SettingTable;
  setting_changes: SettingChangeTable;
  dismissals: { person_id: PersonId; announcement_id: AnnouncementId };
  model_names: NameTable;
  suspensions: {
    id: SuspensionId;
    account_id: AccountId;
    key_id: KeyId | null;
    step: Step;
    rule: string | null;
    reason: string;
    evidence: string | null;
    shadow: number;
    created_at: number;
    ends_at: number | null;
    lifted_at: number | null;
    lifted_by: string | null;
    appeal: string | null;
    appealed_at: number | null;
    answer: string | null;
    answered_at: number | null;
    answered_by: string | null;
  };
  pulls: {
    /** The id of the gate that runs it. */
    gate: string;
    id: string;
    server: string;
    /** Canonical. */
    model: string;
    state: PullState;
    started_by: string;
    started_at: number;
    /** Null if and only if it runs. */
    ended_at: number | null;
    error: string | null;
  };
  audit_events: {
    id: AuditId;
    at: number;
    actor: string;
    action: string;
    subject: string;
    from_value: string | null;
    to_value: string | null;
  };
}

export interface AdmissionColumns {
  /** The mailbox key of its address; empty if the address was blanked. */
  mailbox: string;
  /** The network that it came from, until the address is confirmed. */
  source: string;
  /** Unix milliseconds; null: no confirmation is required. */
  confirm_by: number | null;
  /** Hash, until the address is confirmed. */
  password: string | null;
}

/** Digests of mailboxes whose account was closed while restricted, kept as long as the restriction would last. */
export interface BarredTable {
  digest: string;
  /** Unix milliseconds; null: until an operator admits the mailbox. */
  until: number | null;
}

export interface CertificateTables {
  /** One for each set of names at each authority. */
  readonly certificates: { id: string; chain: string; private_key: string; issued_at: number; not_after: number };
  readonly acme_accounts: { directory: string; private_key: string };
  readonly acme_challenges: { token: string; domain: string; answer: string; expires_at: number };
  /** `epoch` grows each time that it is taken. */
  readonly leases: { name: string; owner: string; until: number; epoch: number };
  readonly gates: {
    id: string;
    epoch: number;
    until: number;
    started_at: number;
    version: string;
    host: string;
    secret: string;
    live: string;
    /** The name of the key that seals stored secrets; empty without one. */
    sealing: string;
    /** In which the windows of limits begin. */
    time_zone: string;
  };
}

/** Model servers that were added at run time. */
interface ServerTable {
  id: ServerId;
  name: string;
  address: string;
  version: number;
  created_at: number;
  changed_at: number;
  /** Everything else about it, as JSON; a stored secret is encrypted. */
  definition: string;
}

/** Published services that were added at run time. */
interface AnnouncementTable {
  id: AnnouncementId;
  version: number;
  created_at: number;
  changed_at: number;
  /** Everything else, as JSON. */
  definition: string;
}

/** A group of settings that were changed at run time. */
interface SettingTable {
  id: string;
  version: number;
  created_at: number;
  changed_at: number;
  /** The stored values, as JSON; a secret is encrypted. */
  definition: string;
}

interface SettingChangeTable {
  id: SettingChangeId;
  at: number;
  actor: string;
  group_name: string;
  from_values: string;
  to_values: string;
  undoes: SettingChangeId | null;
  undone_by: SettingChangeId | null;
}

interface RouteTable {
  id: RouteId;
  name: string;
  version: number;
  created_at: number;
  changed_at: number;
  /** As they were given, as JSON. */
  options: string;
}

/** Aliases and fallbacks. */
interface NameTable {
  id: NameId;
  canonical: string;
  version: number;
  created_at: number;
  changed_at: number;
  /** Everything else about it, as JSON. */
  definition: string;
}

/** One row for each consequence of a change (domain/outbox.ts). */
interface OutboxTable {
  id: string;
  kind: 'email';
  /** JSON; empty once it is finished. */
  payload: string;
  created_at: number;
  due_at: number;
  /** How often it was claimed. */
  attempts: number;
  state: 'due' | 'done' | 'dead';
  /** Identifies the process that claimed it. */
  owner: string;
  /** When that claim ends. */
  until: number;
  done_at: number | null;
}
