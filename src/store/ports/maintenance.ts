// Whether the gate is under maintenance.
import type { AuditEvent } from '../../domain/audit.ts';
import type { Maintenance } from '../../domain/maintenance.ts';

export interface MaintenanceStore {
  /** Also if it has ended by itself. */
  readMaintenance(): Promise<Maintenance | null>;
  writeMaintenance(maintenance: Maintenance | null, event: AuditEvent): Promise<void>;
}
