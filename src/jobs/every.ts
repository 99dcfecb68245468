// A timer that repeats until it is stopped.

/** Returns what stops it: until then the timer keeps the process alive, so one that is forgotten shows. Work that throws ends the process, so callers handle their own errors. */
export function every(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
