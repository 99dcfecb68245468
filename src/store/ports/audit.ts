// The audit log. Changes write their events themselves; this is for reading it, and for events without a change in this
// store.
import type { AuditEvent } from '../../domain/audit.ts';
import type { WallMs } from '../../domain/time.ts';

export interface AuditFilter {
  /** Events about any of these. */
  readonly subjects?: readonly string[];
  /** Events by any of these. */
  readonly actors?: readonly string[];
  /** One action, such as `key.revoke`, or all of a kind, such as `key`. */
  readonly action?: string;
  /** Text in the action, subject, actor or values, ignoring case. */
  readonly text?: string;
  readonly since?: WallMs;
  /** Exclusive. */
  readonly until?: WallMs;
}

export interface AuditPage {
  readonly events: readonly AuditEvent[];
  /** Where the next page begins; undefined: there is nothing behind. A page that read its share may be short, or empty. */
  readonly next: string | undefined;
}

export interface AuditStore {
  /** Newest first. */
  listAudit(filter: {
    readonly subject?: string;
    readonly before?: string;
    readonly limit: number;
  }): Promise<AuditEvent[]>;
  /** Newest first. `look`: rows to read before the page ends with what was found. */
  searchAudit(filter: AuditFilter, limit: number, before: string | undefined, look: number): Promise<AuditPage>;
  findAudit(id: string): Promise<AuditEvent | undefined>;
  /** Every action that the log contains, in alphabetical order. */
  auditActions(): Promise<string[]>;
  /** Records a change made by the sign-in library. */
  insertAudit(event: AuditEvent): Promise<void>;
}
