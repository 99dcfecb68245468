// Whether a running exchange has moved since the journal last noted it, so that one that stands still adds no lines.
import type { Progress } from '../ports/journal.ts';

export interface Noted {
  /** What was noted, as one figure. */
  noted: number;
}

/** A cost that grows by the second, without a byte, is noted once for so many units. */
const unitsOfStep = 10;

/** From now on, this is what was noted. */
export function hasMoved(entry: Noted, { bytesIn, bytesOut, cost }: Progress): boolean {
  const before = entry.noted;
  entry.noted = bytesIn + bytesOut + Math.ceil((cost?.units ?? 0) / unitsOfStep);
  return entry.noted !== before;
}
