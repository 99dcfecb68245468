// Steps taken by rules or operators, with their appeals.
import type { AuditEvent } from '../../domain/audit.ts';
import type { AccountId, KeyId, SuspensionId } from '../../domain/id.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { WallMs } from '../../domain/time.ts';

export interface SuspensionStore {
  insertSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  findSuspension(id: SuspensionId): Promise<Suspension | undefined>;
  /** For pages, newest first. What is decided by needs all of them: `openSuspensions` or `latestSteps`. */
  listSuspensions(filter: {
    readonly accountId?: AccountId;
    /** Only those in force then. */
    readonly inForceAt?: WallMs;
    /** Without shadow steps. */
    readonly unshadowed?: true;
    readonly before?: string;
    readonly limit: number;
  }): Promise<Suspension[]>;
  /** All that may be in force against an account or its keys: neither lifted nor over by then; oldest first. */
  openSuspensions(accountId: AccountId, now: WallMs): Promise<Suspension[]>;
  /** The newest step of each rule, and the newest shadow step, against an account and each of its keys; newest first. */
  latestSteps(accountId: AccountId): Promise<Suspension[]>;
  /** Writes lifting, appeal and answer; a suspension's other fields never change. */
  updateSuspension(suspension: Suspension, event: AuditEvent): Promise<void>;
  /** How many steps were taken since then against an account or one of its keys, without shadow steps. */
  countSuspensions(accountId: AccountId, keyId: KeyId | null, since: WallMs): Promise<number>;
  /** Unanswered appeals. */
  countAppeals(): Promise<number>;
}
