// The registration settings.
import type { Registration } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';

export interface RegistrationStore {
  readRegistration(): Promise<Registration>;
  writeRegistration(registration: Registration, event: AuditEvent): Promise<void>;
}
