// What SQLite's migration 0042 adds: the gates of this database, an epoch for each lease, and which gate pulls a model.
/** Which secret each gate signs sessions with, as a fingerprint. */
export const gateSecrets = ["alter table gates add column secret text not null default ''"];

/** What each gate does now, as JSON, for the overview of the others. */
export const gateShows = ["alter table gates add column live text not null default ''"];

/** With which key each gate seals stored secrets, as a name that tells nothing of it. */
export const gateSealing = ["alter table gates add column sealing text not null default ''"];

/** In which time zone the windows of limits begin at each gate. */
export const gateTimeZone = ["alter table gates add column time_zone text not null default ''"];

export const gateTables: readonly string[] = [
  `create table gates (
  id text primary key, epoch bigint not null, until bigint not null, started_at bigint not null, version text not null,
  host text not null
)`,
  'alter table leases add column epoch bigint not null default 0',
  "alter table pulls add column gate text not null default ''",
];
