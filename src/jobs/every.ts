// A timer that repeats until it is stopped.

/**
 * Returns a function that stops it. Until then the timer keeps the process alive, so that a forgotten timer is noticed. Work that
 * throws ends the process, so callers handle their own errors.
 */
export function every(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
