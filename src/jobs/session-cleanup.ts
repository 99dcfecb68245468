// Removes expired sessions, second steps and one-time links.
import type { WallMs } from '../domain/time.ts';
import type { Store } from '../store/ports/store.ts';
import { every } from './every.ts';

const everyMs = 3_600_000;

/** Returns a function that stops it. */
export function cleanUpSessions(
  store: Pick<Store, 'tidyPeople'>,
  now: () => WallMs,
  onError: (error: unknown) => void,
): () => void {
  return every(everyMs, () => {
    store.tidyPeople(now()).catch(onError);
  });
}
