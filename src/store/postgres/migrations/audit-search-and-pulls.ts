// What SQLite's migrations 0037 and 0038 add: indexes for searching the audit log and for counting appeals, and pulls of models.
import type { Taken } from '../pool.ts';
import { noticing } from './version.ts';

const statements: readonly string[] = [
  'create index audit_events_by_actor on audit_events (actor, id)',
  'create index audit_events_by_action on audit_events (action, id)',
  `create index suspensions_waiting on suspensions (appealed_at, answered_at)
   where appealed_at is not null and answered_at is null`,
  `create table pulls (
  id text collate "C" primary key, server text collate "C" not null, model text collate "C" not null,
  state text collate "C" not null, started_by text collate "C" not null, started_at bigint not null,
  ended_at bigint, error text collate "C"
)`,
  'create unique index pulls_running on pulls (server, model) where ended_at is null',
];

export async function openAuditSearchAndPulls(connection: Taken): Promise<void> {
  for (const statement of [...statements, ...noticing('pulls')]) await connection.query(statement, []);
}
