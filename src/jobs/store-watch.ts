// Checks several times a second for changes by other processes, for the lock of the data directory, and for the database file
// itself.
import type { Logger } from 'pino';
import type { ChangeFeed } from '../store/ports/change-feed.ts';
import type { Store } from '../store/ports/store.ts';
import { every } from './every.ts';

/** The longest delay until a revocation by another process applies. */
const lookMs = 250;

export interface StoreWatchTools {
  readonly store: Pick<Store, 'loss'>;
  readonly changes: Pick<ChangeFeed, 'look'>;
  /** `look` returns a sentence if the lock was lost and created again. */
  readonly lock: { look(): string | undefined };
  readonly logger: Logger;
  /** Called with a sentence if the database is gone and the gateway cannot continue. */
  readonly lost: (sentence: string) => void;
}

/** Returns a function that stops it. */
export function watchStore({ store, changes, lock, logger, lost }: StoreWatchTools): () => void {
  let before: string | undefined;
  return every(lookMs, () => {
    void changes.look();
    const sentence = lock.look();
    // Logged once, not with every check.
    if (sentence !== undefined && sentence !== before) logger.warn(sentence);
    before = sentence;
    const loss = store.loss();
    if (loss !== undefined) lost(loss);
  });
}
