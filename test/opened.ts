// When a test is over, closes what it opened, the newest first, whatever the result.
import { afterEach } from 'vitest';

/**
 * Call this at the top of a test file; it returns a function that keeps something open until the running test is over.
 */
export function closedAfterEach(): <T extends { stop(): Promise<void> | void }>(opened: T) => T {
  const open: { stop(): Promise<void> | void }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).toReversed()) await each.stop();
  });
  return (opened) => {
    open.push(opened);
    return opened;
  };
}
