// Applications after submission: decisions and claims. admission.ts has the earlier steps.
import type { StoredKey } from '../../domain/api-key.ts';
import type { Application, HeldFor } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { ApplicationId, PersonId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';

export interface ApplicationStore {
  findApplication(id: ApplicationId): Promise<Application | undefined>;
  /** Newest first. */
  listApplications(filter: {
    readonly status?: Application['status'];
    readonly before?: string;
    readonly limit: number;
  }): Promise<Application[]>;
  /** The newest application of a person. */
  findApplicationOf(personId: PersonId): Promise<Application | undefined>;
  /** Notes why an operator has to decide although a rule or an invitation would have accepted the applicant. */
  holdApplication(id: ApplicationId, why: HeldFor, event: AuditEvent): Promise<void>;
  /** Records a decision on a pending application; false if it was already decided. */
  decideApplication(application: Application, event: AuditEvent): Promise<boolean>;
  /** Takes back a rejection that was made then; false if there is no such. */
  reopenApplication(id: ApplicationId, decidedAt: WallMs, event: AuditEvent): Promise<boolean>;
  /** Stores the key and closes the application, once; false if that was already done. */
  claimApplication(id: ApplicationId, key: StoredKey, at: WallMs, event: AuditEvent): Promise<boolean>;
}
