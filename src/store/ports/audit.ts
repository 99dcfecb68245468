// The audit log. Changes write their events themselves; this is for reading it, and for events without a change in this
// store.
import type { AuditEvent } from '../../domain/audit.ts';

export interface AuditStore {
  /** Newest first. */
  listAudit(filter: {
    readonly subject?: string;
    /** Of any of these. */
    readonly subjects?: readonly string[];
    readonly before?: string;
    readonly limit: number;
  }): Promise<AuditEvent[]>;
  /** Records a change made by the sign-in library. */
  insertAudit(event: AuditEvent): Promise<void>;
}
