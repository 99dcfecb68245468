// The audit log. Changes write their own events with them; this is for reading it, and for events without a change here.
import type { AuditEvent } from '../../domain/audit.ts';

export interface AuditStore {
  /** The newest first. */
  listAudit(filter: {
    readonly subject?: string;
    readonly before?: string;
    readonly limit: number;
  }): Promise<AuditEvent[]>;
  /** Writes down what the sign-in library changed. */
  insertAudit(event: AuditEvent): Promise<void>;
}
