// Health over time: how calls ended, and histograms of their times and speeds, from sums in steps of several lengths that are
// written with the ledger's rows.
import type { ErrorCode } from '../../domain/error.ts';
import type { Counts, Step } from '../../domain/latency.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Outcome } from '../../domain/usage.ts';

/** What the sums are grouped by; `at` is the start of a step. */
export type HealthBy = 'at' | 'model' | 'server';

/** The steps of [from, before), of one model or server. */
export interface HealthQuery {
  readonly step: Step;
  readonly from: WallMs;
  readonly before: WallMs;
  /** `route:<name>` for a service. */
  readonly model?: string;
  readonly server?: string;
}

export interface LatencySum {
  /** Unix milliseconds as text, or a name; empty for none. */
  readonly group: string;
  promptTokens: number;
  completionTokens: number;
  runningMs: number;
  waitingMs: number;
  readonly counts: Counts;
}

export interface OutcomeSum {
  readonly group: string;
  readonly outcome: Outcome;
  readonly code: ErrorCode | null;
  readonly requests: number;
}

export interface HealthStore {
  latency(query: HealthQuery): Promise<Readonly<Record<HealthBy, readonly LatencySum[]>>>;
  outcomesBy(by: HealthBy, query: HealthQuery): Promise<OutcomeSum[]>;
  /** Removes about `limit` of the oldest sums of a step that are over before that time; returns their number. */
  pruneSteps(step: Step, before: WallMs, limit: number): Promise<number>;
}
