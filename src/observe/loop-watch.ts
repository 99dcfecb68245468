// Watches whether the event loop is free. What holds it holds every caller's stream: a fault of ours, a disk that hangs, a
// machine that is starved or was asleep. It is said once each time, with how long it was.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const lookMs = 500;
const longMs = 1_000;

/** `tell` gets milliseconds. Gives what ends the watch. */
export function watchLoop(tell: (heldMs: number) => void): () => void {
  const delay = monitorEventLoopDelay({ resolution: 50 });
  delay.enable();
  const timer = setInterval(() => {
    const heldMs = Math.round(delay.max / 1e6);
    delay.reset();
    if (heldMs >= longMs) tell(heldMs);
  }, lookMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    delay.disable();
  };
}
