// Watches whether the event loop is free. What holds it holds every caller's stream: a fault of ours, a disk that hangs, a
// machine that is starved or was asleep. It is said once each time, with how long it was.
const lookMs = 250;
const longMs = 1_000;

/** `tell` gets milliseconds. Gives what ends the watch. */
export function watchLoop(tell: (heldMs: number) => void): () => void {
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    const heldMs = Math.round(now - last - lookMs);
    last = now;
    if (heldMs >= longMs) tell(heldMs);
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}
