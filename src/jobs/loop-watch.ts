// Detects delays of the event loop, which delay every caller's stream. The cause is a bug in the gateway, a hanging disk, or a
// machine that is overloaded or was asleep.
import { every } from './every.ts';

const lookMs = 250;
const longMs = 1_000;

/** `tell` is called once for each delay, with its milliseconds. Returns a function that stops it. */
export function watchLoop(tell: (heldMs: number) => void): () => void {
  let last = performance.now();
  return every(lookMs, () => {
    const now = performance.now();
    const heldMs = Math.round(now - last - lookMs);
    last = now;
    if (heldMs >= longMs) tell(heldMs);
  });
}
