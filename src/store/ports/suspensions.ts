// Steps taken by rules or operators, with their appeals.
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId, SuspensionId } from '../../domain/id.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';

export interface SuspensionStore {
  insertSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  findSuspension(id: SuspensionId): Promise<Suspension | undefined>;
  /** Newest first. */
  listSuspensions(filter: {
    readonly accountId?: AccountId;
    readonly before?: string;
    readonly limit: number;
  }): Promise<Suspension[]>;
  /** Writes lifting, appeal and answer; a suspension's other fields never change. */
  updateSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  /** How many steps were taken since then against an account or one of its keys, without shadow steps. */
  countSuspensions(accountId: AccountId, keyId: KeyId | null, since: WallMs): Promise<number>;
  /** Unanswered appeals. */
  countAppeals(): Promise<number>;
}
