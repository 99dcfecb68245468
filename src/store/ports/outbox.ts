// The outbox: consequences of changes that are still to be carried out. A row is due until it is done or given up, so
// work that a killed process had started is done by another. Rows are written with the audit event that causes them.
import type { Consequence } from '../../domain/outbox.ts';
import type { WallMs } from '../../domain/time.ts';

export interface StoredConsequence extends Consequence {
  readonly createdAt: WallMs;
  /** How often it was claimed before. */
  readonly attempts: number;
}

export interface OutboxClaim {
  /** Identifies a running process. */
  readonly owner: string;
  readonly at: WallMs;
  /** Until then no other process does it, unless it is postponed. */
  readonly until: WallMs;
}

export interface OutboxStore {
  /** Adds consequences of time alone. Existing rows, done or not, stay unchanged. */
  insertConsequences(consequences: readonly Consequence[], at: WallMs): Promise<void>;
  /** Consequences of a kind that are due and unclaimed, longest due first. */
  dueConsequences(kind: Consequence['kind'], at: WallMs, limit: number): Promise<StoredConsequence[]>;
  /** Claims a due consequence; false if it is done or claimed. Only one of several concurrent callers gets it. */
  claimConsequence(id: string, claim: OutboxClaim): Promise<boolean>;
  /** The owner extends its claim. */
  holdConsequence(id: string, claim: OutboxClaim): Promise<void>;
  /** It is done, or can never be done: the owner ends it. It is not claimed again, and its payload is erased. */
  finishConsequence(id: string, owner: string, how: 'done' | 'dead', at: WallMs): Promise<void>;
  /** The owner releases it until it is due again. */
  postponeConsequence(id: string, owner: string, dueAt: WallMs): Promise<void>;
}
