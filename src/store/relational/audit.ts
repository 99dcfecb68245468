// The audit log. Every change writes its event with writeAudit, in its own transaction.
import type { Transaction } from 'kysely';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AuditId } from '../../domain/id.ts';
import type { AuditStore } from '../ports/audit.ts';
import { type AuditRow, actionsInLog, searchAuditRows } from './audit-search.ts';
import type { Connection } from './connection.ts';
import { writeConsequences } from './outbox.ts';
import type { Tables } from './tables.ts';

export function auditQueries({ db, transact }: Connection): AuditStore {
  return {
    listAudit: async ({ subject, before, limit }) => {
      let query = db.selectFrom('audit_events').selectAll().orderBy('id', 'desc').limit(limit);
      if (subject !== undefined) query = query.where('subject', '=', subject);
      if (before !== undefined) query = query.where('id', '<', before as AuditId);
      return (await query.execute()).map(auditOf);
    },
    searchAudit: async (filter, limit, before, look) => {
      const { rows, next } = await searchAuditRows(db, filter, limit, before, look);
      return { events: rows.map(auditOf), next };
    },
    findAudit: async (id) => {
      const row = await db
        .selectFrom('audit_events')
        .selectAll()
        .where('id', '=', id as AuditId)
        .executeTakeFirst();
      return row && auditOf(row);
    },
    auditActions: () => actionsInLog(db),
    insertAudit: (event) => transact((transaction) => writeAudit(transaction, event)),
  };
}

/** Writes the event of a change, and its consequences to the outbox. */
export async function writeAudit(transaction: Transaction<Tables>, event: AuditEvent): Promise<void> {
  const { id, at, actor, action, subject, from, to } = event;
  const text = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));
  await transaction
    .insertInto('audit_events')
    .values({ id, at, actor, action, subject, from_value: text(from), to_value: text(to) })
    .execute();
  await writeConsequences(transaction, event.leadsTo ?? [], at);
}

function auditOf(row: AuditRow): AuditEvent {
  const { id, actor, action, subject, from_value, to_value } = row;
  return { id, at: Number(row.at), actor, action, subject, from: parsed(from_value), to: parsed(to_value) };
}

function parsed(text: string | null): Record<string, unknown> | null {
  return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
}
