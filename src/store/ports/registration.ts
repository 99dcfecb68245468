// The registration settings.
import type { Registration } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { SettingChange } from '../../domain/setting-change.ts';

export interface RegistrationStore {
  readRegistration(): Promise<Registration>;
  /** `change`: so that it can be taken back. */
  writeRegistration(registration: Registration, event: AuditEvent, change?: SettingChange): Promise<void>;
}
