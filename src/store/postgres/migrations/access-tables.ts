// The tables of who may do what, as the first version for PostgreSQL has them: those of SQLite, with the same columns in the same
// order, so that rows move between the two unchanged.
export const accessTables: readonly string[] = [
  `create table accounts (
  id text primary key, name text not null unique, created_at bigint not null, plan text,
  role text default 'member' not null, closed_at bigint, unlimited bigint default 0 not null,
  skeleton text default '' not null
)`,
  `create table keys (
  id text primary key, account_id text not null references accounts (id), name text not null, kind text not null,
  digest text not null unique, status text not null, scopes text not null, models text not null,
  cidr text not null, allow_path bigint not null, created_at bigint not null, expires_at bigint,
  revoked_at bigint, last_used_at bigint, rotated_from text, lineage text default '' not null,
  narrowing text default '{}' not null, bound_certificate text, of_page bigint default 0 not null
)`,
  `create table plans (
  name text primary key, version bigint not null, terms text not null
)`,
  `create table rules (
  name text primary key, definition text not null
)`,
  `create table suspensions (
  id text primary key, account_id text not null references accounts (id), key_id text, step text not null,
  rule text, reason text not null, evidence text, shadow bigint not null, created_at bigint not null,
  ends_at bigint, lifted_at bigint, lifted_by text, appeal text, appealed_at bigint, answer text,
  answered_at bigint, answered_by text
)`,
  `create table audit_events (
  id text primary key, at bigint not null, actor text not null, action text not null, subject text not null,
  from_value text, to_value text
)`,
  `create table repeatables (
  key_id text not null, name text not null, digest text not null, at bigint not null, made text,
  constraint repeatables_key primary key (key_id, name)
)`,
  `create table registration (
  id bigint primary key, definition text not null
)`,
  `create table applications (
  id text primary key, name text not null, email text not null, purpose text not null, models text not null,
  status text not null, claim_digest text not null, created_at bigint not null, decided_at bigint,
  decided_by text, decision text, account_id text references accounts (id), claimed_at bigint,
  confirmed_at bigint, person_id text, language text, wanted_plan text, mailbox text default '' not null,
  source text default '' not null, confirm_by bigint, password text, held text
)`,
  `create table invites (
  id text primary key, digest text not null unique, email text, plan text, created_at bigint not null,
  expires_at bigint not null, used_at bigint
)`,
  `create table people (
  id text primary key, name text not null, email text not null unique, "emailVerified" bigint not null,
  image text, "createdAt" text not null, "updatedAt" text not null, "twoFactorEnabled" bigint,
  "accountId" text references accounts (id), language text
)`,
  `create table sessions (
  id text primary key, "expiresAt" text not null, token text not null unique, "createdAt" text not null,
  "updatedAt" text not null, "ipAddress" text, "userAgent" text,
  "userId" text not null references people (id) on delete cascade, "provenAt" text
)`,
  `create table credentials (
  id text primary key, "accountId" text not null, "providerId" text not null,
  "userId" text not null references people (id) on delete cascade, "accessToken" text, "refreshToken" text,
  "idToken" text, "accessTokenExpiresAt" text, "refreshTokenExpiresAt" text, scope text, password text,
  "createdAt" text not null, "updatedAt" text not null
)`,
  `create table verifications (
  id text primary key, identifier text not null, value text not null, "expiresAt" text not null,
  "createdAt" text not null, "updatedAt" text not null
)`,
  `create table two_factors (
  id text primary key, secret text not null, "backupCodes" text not null,
  "userId" text not null references people (id) on delete cascade, verified bigint,
  "failedVerificationCount" bigint, "lockedUntil" text
)`,
  `create table passkeys (
  id text primary key, name text, "publicKey" text not null,
  "userId" text not null references people (id) on delete cascade, "credentialID" text not null unique,
  counter bigint not null, "deviceType" text not null, "backedUp" bigint not null, transports text,
  "createdAt" text, aaguid text, "lastUsedAt" text
)`,
  `create table one_time_links (
  digest text primary key, purpose text not null, subject text not null, created_at bigint not null,
  expires_at bigint not null, used_at bigint
)`,
  `create table certificates (
  id text primary key, chain text not null, private_key text not null, issued_at bigint not null,
  not_after bigint not null
)`,
  `create table acme_accounts (
  directory text primary key, private_key text not null
)`,
  `create table acme_challenges (
  token text primary key, domain text not null, answer text not null, expires_at bigint not null
)`,
  `create table leases (
  name text primary key, owner text not null, until bigint not null
)`,
  `create table used_once (
  id text primary key, expires_at bigint not null
)`,
  `create table provider_identities (
  issuer text not null, subject text not null, person_id text not null references people (id) on delete cascade,
  created_at bigint not null, constraint provider_identities_key primary key (issuer, subject)
)`,
  `create table barred (
  digest text primary key, until bigint
)`,
  `create table outbox (
  id text primary key, kind text not null, payload text not null, created_at bigint not null,
  due_at bigint not null, attempts bigint not null, state text not null, owner text not null,
  until bigint not null, done_at bigint
)`,
  `create table servers (
  id text primary key, name text not null unique, address text not null unique, version bigint not null,
  created_at bigint not null, changed_at bigint not null, definition text not null
)`,
  `create table model_names (
  id text primary key, canonical text not null unique, version bigint not null, created_at bigint not null,
  changed_at bigint not null, definition text not null
)`,
  `create table routes (
  id text primary key, name text not null unique, version bigint not null, created_at bigint not null,
  changed_at bigint not null, options text not null
)`,
  `create table maintenance (
  id bigint primary key, definition text
)`,
  `create table announcements (
  id text primary key, version bigint not null, created_at bigint not null, changed_at bigint not null,
  definition text not null
)`,
  `create table dismissals (
  person_id text not null references people (id) on delete cascade,
  announcement_id text not null references announcements (id) on delete cascade,
  constraint dismissals_key primary key (person_id, announcement_id)
)`,
  `create index keys_by_account on keys (account_id)`,
  `create index suspensions_by_account on suspensions (account_id)`,
  `create index keys_by_age on keys (created_at, id)`,
  `create index applications_by_status on applications (status, id)`,
  `create index sessions_by_userid on sessions ("userId")`,
  `create index credentials_by_userid on credentials ("userId")`,
  `create index verifications_by_identifier on verifications (identifier)`,
  `create index two_factors_by_userid on two_factors ("userId")`,
  `create index passkeys_by_userid on passkeys ("userId")`,
  `create index one_time_links_by_subject on one_time_links (subject)`,
  `create index applications_by_person on applications (person_id)`,
  `create index audit_events_by_subject on audit_events (subject, id)`,
  `create index provider_identities_by_person on provider_identities (person_id)`,
  `create index applications_by_mailbox on applications (mailbox)`,
  `create index accounts_by_skeleton on accounts (skeleton)`,
  `create unique index people_by_account on people ("accountId") where "accountId" is not null`,
  `create index outbox_by_state on outbox (state, due_at)`,
];
