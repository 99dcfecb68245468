// What one server is doing for the gateway, and how it compares with others. Exact for calls through this gateway, from the
// moment at which they are assigned; what others do there shows in the queue that the server publishes, and as lateness.
import { Average, type Plausible } from './average.ts';
import { factor } from './figures.ts';
import type { Ranked } from './ranked.ts';
import { Row } from './rows.ts';

const late: Plausible = { least: 0, most: 600_000 };
/** Below this, lateness is noise. */
const leastLateMs = 250;
/** Three late answers are more than a hiccup. */
const fewest = 3;
/** Lateness that was seen this long ago counts half. */
const halfLifeMs = 60_000;
/** A probe that takes longer may show a slow way to the server, or a moment's delay: it counts as so many calls there. */
const slowLookMs = 200;
const slowCalls = 3;
const slowMs = 1_000;
/** Of an answer for another client; and the most that a server's queue counts, whatever it says. */
const usualTokens = 200;
const mostTokens = 20_000;

/** The columns of a server's row. The first are what the server says or shows, as of its last change. */
export const inServer = {
  rank: 0,
  /** Calls that its way is as long as. */
  farCalls: 1,
  slowMs: 2,
  /** All calls that the gateway has sent there, also those without an assignment. */
  sent: 3,
  lookedMs: 4,
  revision: 5,
  /** Calls in flight; of those, the ones whose answer has not begun, and the time that their prompts take. */
  inFlight: 6,
  pending: 7,
  pendingMs: 8,
  /** When all prompts sent so far will have been read. */
  busyUntilMs: 9,
  /** When the last of the models that calls have it load will be ready. */
  loadingUntilMs: 10,
  lateMs: 11,
  lateAtMs: 12,
  /** What the least load costs its other models, if the new one needs more than the free bytes; both hold until a time. */
  evictMs: 13,
  freeBytes: 14,
  evictUntilMs: 15,
  /** Calls of other clients, and how long their answers take that wait before the next call, in tokens. */
  othersRunning: 16,
  othersTokens: 17,
} as const;
export const serverWidth = 24;

export class ServerWork extends Row {
  /** Models that calls of this gateway have it load now. */
  loads = 0;
  /** The most memory that its models were seen to have at once, in bytes. */
  roomBytes = 0;
  readonly promptFactor = new Average(factor);
  readonly answerFactor = new Average(factor);
  readonly #late = new Average(late);

  get inFlight(): number {
    return this.get(inServer.inFlight);
  }
  set inFlight(count: number) {
    this.set(inServer.inFlight, count);
  }
  get pending(): number {
    return this.get(inServer.pending);
  }
  set pending(count: number) {
    this.set(inServer.pending, count);
  }
  get pendingMs(): number {
    return this.get(inServer.pendingMs);
  }
  set pendingMs(ms: number) {
    this.set(inServer.pendingMs, ms);
  }
  get busyUntilMs(): number {
    return this.get(inServer.busyUntilMs);
  }
  set busyUntilMs(ms: number) {
    this.set(inServer.busyUntilMs, ms);
  }
  get loadingUntilMs(): number {
    return this.get(inServer.loadingUntilMs);
  }
  set loadingUntilMs(ms: number) {
    this.set(inServer.loadingUntilMs, ms);
  }

  /** The least that a load costs its other models, if it needs more than these bytes. */
  noteEviction(ms: number, freeBytes: number, untilMs: number): void {
    this.set(inServer.evictMs, ms);
    this.set(inServer.freeBytes, freeBytes);
    this.set(inServer.evictUntilMs, untilMs);
  }

  /** Call when anything has changed that the server says or shows. */
  read({ health, inFlight, others, lookedMs, revision }: Ranked): void {
    this.set(inServer.rank, health.rank);
    this.set(inServer.farCalls, health.lookMs > slowLookMs ? slowCalls : 0);
    this.set(inServer.slowMs, health.slow ? slowMs : 0);
    this.set(inServer.sent, inFlight);
    this.set(inServer.othersRunning, others.running);
    // The ones that wait share the places of those that run.
    this.set(inServer.othersTokens, Math.min(mostTokens, (others.waiting * usualTokens) / Math.max(1, others.running)));
    this.set(inServer.lookedMs, lookedMs);
    this.set(inServer.revision, revision);
  }

  /** How much later than expected an answer has begun; negative: earlier. */
  noteLateness(ms: number, nowMs: number): void {
    this.#late.note(Math.min(Math.max(0, ms), late.most), nowMs);
    const { value, count, atMs } = this.#late;
    this.set(inServer.lateMs, count < fewest || value < leastLateMs ? 0 : value);
    this.set(inServer.lateAtMs, atMs);
  }

  /** Other clients, a slow network, a server that says it is faster than it is: whatever the reason, it is waited for. */
  latenessMs(nowMs: number): number {
    return lateness(this.get(inServer.lateMs), this.get(inServer.lateAtMs), nowMs);
  }
}

export const lateness = (lateMs: number, atMs: number, nowMs: number): number =>
  lateMs === 0 ? 0 : lateMs * (halfLifeMs / (halfLifeMs + nowMs - atMs));
