// Pulls of models that the gateway itself has started, so that people who come back see what became of them.
import type { AuditEvent } from '../../domain/audit.ts';
import type { PullState, StoredPull } from '../../domain/server-models.ts';
import type { WallMs } from '../../domain/time.ts';

export interface PullStore {
  /** @throws Refusal if the model is already being pulled to the server. */
  insertPull(pull: StoredPull, event: AuditEvent): Promise<void>;
  /** False if it has ended already; then nothing changes, and no event is written. */
  endPull(
    id: string,
    end: { readonly state: PullState; readonly at: WallMs; readonly error: string | null },
    event: AuditEvent,
  ): Promise<boolean>;
  findPull(id: string): Promise<StoredPull | undefined>;
  /** Those that run first, then the newest. */
  listPulls(limit: number): Promise<StoredPull[]>;
  /** Removes pulls that ended before that time. */
  forgetPulls(before: WallMs): Promise<void>;
}
