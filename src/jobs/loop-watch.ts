// Watches whether the event loop is free. A loop that is held up delays every caller's stream; the cause is a fault of the gate, a
// disk that hangs, or a machine that is starved or was asleep.
import { every } from './every.ts';

const lookMs = 250;
const longMs = 1_000;

/** `tell` is called once for each delay, with its milliseconds. Returns what stops it. */
export function watchLoop(tell: (heldMs: number) => void): () => void {
  let last = performance.now();
  return every(lookMs, () => {
    const now = performance.now();
    const heldMs = Math.round(now - last - lookMs);
    last = now;
    if (heldMs >= longMs) tell(heldMs);
  });
}
