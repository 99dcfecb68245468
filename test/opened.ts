// Closes what a test has opened when it is over, the newest first, whatever became of the test.
import { afterEach } from 'vitest';

/** Called at the top of a test file; what it returns keeps a thing until the running test is over. */
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
