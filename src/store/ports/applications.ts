// Applications after they were submitted: decisions and claims. admission.ts has the steps before.
import type { StoredKey } from '../../domain/api-key.ts';
import type { Application, HeldFor } from '../../domain/application.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { ApplicationId, PersonId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';

export interface ApplicationStore {
  findApplication(id: ApplicationId): Promise<Application | undefined>;
  /** The newest first. */
  listApplications(filter: {
    readonly status?: Application['status'];
    readonly before?: string;
    readonly limit: number;
  }): Promise<Application[]>;
  /** The newest application of a person. */
  findApplicationOf(personId: PersonId): Promise<Application | undefined>;
  /** Notes why an operator has to decide, although a rule or an invitation would have let the applicant in. */
  holdApplication(id: ApplicationId, why: HeldFor, event: AuditEvent): Promise<void>;
  /** Writes a decision on what is still pending; false where it was decided already. */
  decideApplication(application: Application, event: AuditEvent): Promise<boolean>;
  /** Hands the key over: stores it and closes the application, once; false where that was done already. */
  claimApplication(id: ApplicationId, key: StoredKey, at: WallMs, event: AuditEvent): Promise<boolean>;
}
