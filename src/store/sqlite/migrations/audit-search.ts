// Indexes for searching the audit log by who acted and by what was done, each with the ids in order of time, and for counting
// the appeals that wait for an answer, which every page shows.
import type { Kysely } from 'kysely';

export async function openAuditSearch({ schema }: Kysely<unknown>): Promise<void> {
  await schema.createIndex('audit_events_by_actor').on('audit_events').columns(['actor', 'id']).execute();
  await schema.createIndex('audit_events_by_action').on('audit_events').columns(['action', 'id']).execute();
  await schema
    .createIndex('suspensions_waiting')
    .on('suspensions')
    .columns(['appealed_at', 'answered_at'])
    .where('appealed_at', 'is not', null)
    .where('answered_at', 'is', null)
    .execute();
}
