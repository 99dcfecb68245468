// The audit log. writeAudit is how every change writes its event, in its own transaction.
import type { Kysely, Selectable } from 'kysely';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AuditId } from '../../domain/id.ts';
import type { AuditStore } from '../ports/audit.ts';
import type { Tables } from '../sqlite/migrations/list.ts';
import { inTransaction, writeAudit } from './engine.ts';

export function auditQueries(db: Kysely<Tables>): AuditStore {
  return {
    listAudit: async ({ subject, before, limit }) => {
      let query = db.selectFrom('audit_events').selectAll().orderBy('id', 'desc').limit(limit);
      if (subject !== undefined) query = query.where('subject', '=', subject);
      if (before !== undefined) query = query.where('id', '<', before as AuditId);
      return (await query.execute()).map(auditOf);
    },
    insertAudit: (event) => inTransaction(db, (transaction) => writeAudit(transaction, event)),
  };
}

function auditOf(row: Selectable<Tables['audit_events']>): AuditEvent {
  const { id, actor, action, subject, from_value, to_value } = row;
  return { id, at: Number(row.at), actor, action, subject, from: parsed(from_value), to: parsed(to_value) };
}

function parsed(text: string | null): Record<string, unknown> | null {
  return text === null ? null : (JSON.parse(text) as Record<string, unknown>);
}
