// The outbox: what changes led to and is still to be done. A row is due until it is done or given up, so that what a killed
// process had begun is done by another. Rows are written with the audit event that leads to them.
import type { Consequence } from '../../domain/outbox.ts';
import type { WallMs } from '../../domain/time.ts';

export interface StoredConsequence extends Consequence {
  readonly createdAt: WallMs;
  /** How often it was claimed before. */
  readonly attempts: number;
}

export interface OutboxClaim {
  /** Of a running process. */
  readonly owner: string;
  readonly at: WallMs;
  /** Until then nobody else does it, unless it is postponed before. */
  readonly until: WallMs;
}

export interface OutboxStore {
  /** Adds what follows from the time alone. What is there already, done or not, stays as it is. */
  insertConsequences(consequences: readonly Consequence[], at: WallMs): Promise<void>;
  /** Those of a kind that are due and that nobody has claimed, what is due longest first. */
  dueConsequences(kind: Consequence['kind'], at: WallMs, limit: number): Promise<StoredConsequence[]>;
  /** Takes one that is due; false where another process has it, or it is done. Of many at once one gets it. */
  claimConsequence(id: string, claim: OutboxClaim): Promise<boolean>;
  /** The owner keeps it for longer. */
  holdConsequence(id: string, claim: OutboxClaim): Promise<void>;
  /** It is done, or never can be: nobody takes it again, and it keeps nothing of what it was about. */
  finishConsequence(id: string, how: 'done' | 'dead', at: WallMs): Promise<void>;
  /** The owner gives it back; it is due then. */
  postponeConsequence(id: string, owner: string, dueAt: WallMs): Promise<void>;
}
