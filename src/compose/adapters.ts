// Chooses the adapters for limits, turns at models, what is guessed, used signatures, and tickets. A single gateway keeps them all
// in memory.
import type { Calendar } from '../domain/calendar.ts';
import type { UpkeepTools } from '../jobs/upkeep.ts';
import { MemoryFailures } from '../store/memory/failure-budget.ts';
import { FairQueue } from '../store/memory/fair-queue.ts';
import { MemoryLimits } from '../store/memory/limit-store.ts';
import { MemorySignIns } from '../store/memory/sign-in-throttle.ts';
import { MemorySignatures } from '../store/memory/signatures.ts';
import { MemoryTickets } from '../store/memory/tickets.ts';
import type { FailureBudget } from '../store/ports/failure-budget.ts';
import type { LimitStore } from '../store/ports/limit-store.ts';
import type { SignInThrottle } from '../store/ports/sign-in-throttle.ts';
import type { SignatureStore } from '../store/ports/signatures.ts';
import type { TicketStore } from '../store/ports/tickets.ts';
import type { SharedQueueSettings, TurnQueue } from '../store/ports/turn-queue.ts';
import { type Beats, usualBeats } from '../store/postgres/heartbeat.ts';

export interface Adapters {
  readonly limits: (calendar: Calendar) => LimitStore;
  /** `lanes`: what calls wait for. */
  readonly queue: <Server>(settings: SharedQueueSettings<Server>, lanes: 'models' | 'services') => TurnQueue<Server>;
  /** Sends what ended calls gave back; missing if nothing is sent. */
  readonly send?: () => void;
  /** What other gates have to know of this one beside its calls; undefined if nothing. */
  readonly shown?: () => object | undefined;
  /** `now`: as for tickets. Budgets of one name count together. */
  readonly failures: (name: 'keys' | 'applications', perMinute: () => number, now: () => number) => FailureBudget;
  readonly signIns: (now: () => number) => SignInThrottle;
  /** `windowMs`: how long the time of a signature is accepted in total. */
  readonly signatures: (windowMs: number, now: () => number) => SignatureStore;
  /** `now`: milliseconds of a monotonic clock. */
  readonly tickets: (now: () => number) => TicketStore;
  /** How often this gate tells the others of its database that it is alive. */
  readonly beats: Beats;
  /** How long an answer of Redis may take; as long as usual if it is not given. */
  readonly answerMs?: number;
  /** How long one gate has the periodic work, and how often it renews that; the usual ones if they are not given. */
  readonly upkeepLives?: UpkeepTools['lives'];
  /** Limits and turns are counted together with other gates, so these may use the database, too. */
  readonly shares?: boolean;
}

export const inMemory: Adapters = {
  limits: (calendar) => new MemoryLimits(calendar),
  queue: (settings) => new FairQueue(settings),
  failures: (_name, perMinute, now) => new MemoryFailures(perMinute, now),
  signIns: (now) => new MemorySignIns(now),
  signatures: (windowMs, now) => new MemorySignatures(windowMs, now),
  tickets: (now) => new MemoryTickets(now),
  beats: usualBeats,
};
