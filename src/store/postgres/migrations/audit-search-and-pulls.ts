// What SQLite's migrations 0039 and 0040 add: indexes for searching the audit log and for counting appeals, and pulls of models.
export const auditSearchAndPulls: readonly string[] = [
  'create index audit_events_by_actor on audit_events (actor, id)',
  'create index audit_events_by_action on audit_events (action, id)',
  `create index suspensions_waiting on suspensions (appealed_at, answered_at)
   where appealed_at is not null and answered_at is null`,
  `create table pulls (
  id text primary key, server text not null, model text not null,
  state text not null, started_by text not null, started_at bigint not null,
  ended_at bigint, error text
)`,
  'create unique index pulls_running on pulls (server, model) where ended_at is null',
];
