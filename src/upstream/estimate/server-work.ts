// What one server is doing for the gateway, and how it compares with others. Exact for calls through this gateway, from the
// moment at which they are assigned; what others do there shows only as lateness.
import { Average, type Plausible } from './average.ts';
import { factor } from './figures.ts';

const late: Plausible = { least: 0, most: 600_000 };
/** Below this, lateness is noise. */
const leastLateMs = 250;
/** Three late answers are more than a hiccup. */
const fewest = 3;
/** Lateness that was seen this long ago counts half. */
const halfLifeMs = 60_000;

export class ServerWork {
  inFlight = 0;
  /** Of those, the ones whose answer has not begun, and the time that their prompts take. */
  pending = 0;
  pendingMs = 0;
  /** When all prompts sent so far will have been read. */
  busyUntilMs = 0;
  /** Models that calls of this gateway have it load now, and when the last of them will be ready. */
  loads = 0;
  loadingUntilMs = 0;
  /** The most memory that its models were seen to have at once, in bytes. */
  roomBytes = 0;
  readonly promptFactor = new Average(factor);
  readonly answerFactor = new Average(factor);
  readonly loadFactor = new Average(factor);
  readonly #late = new Average(late);

  /** How much later than expected an answer has begun; negative: earlier. */
  noteLateness(ms: number, nowMs: number): void {
    this.#late.note(Math.min(Math.max(0, ms), late.most), nowMs);
  }

  /** Other clients, a slow network, a server that says it is faster than it is: whatever the reason, it is waited for. */
  latenessMs(nowMs: number): number {
    const { value, count, atMs } = this.#late;
    if (count < fewest || value < leastLateMs) return 0;
    return value * (halfLifeMs / (halfLifeMs + nowMs - atMs));
  }
}
