// Looks several times a second whether the store is still there and still ours: changes of other processes, the lock of the data
// directory, and the database file itself.
import type { Logger } from 'pino';
import type { ChangeFeed } from '../store/ports/change-feed.ts';
import type { Store } from '../store/ports/store.ts';
import { every } from './every.ts';

/** Bounds how long a revocation by another process takes to apply. */
const lookMs = 250;

export interface StoreWatchTools {
  readonly store: Pick<Store, 'loss'>;
  readonly changes: Pick<ChangeFeed, 'look'>;
  /** `look` returns a sentence when the lock was lost and made again. */
  readonly lock: { look(): string | undefined };
  readonly logger: Logger;
  /** Is called with a sentence when the database is gone and the gate cannot go on. */
  readonly lost: (sentence: string) => void;
}

/** Returns what stops it. */
export function watchStore({ store, changes, lock, logger, lost }: StoreWatchTools): () => void {
  let before: string | undefined;
  return every(lookMs, () => {
    void changes.look();
    const sentence = lock.look();
    // Logged once, and not again with every look.
    if (sentence !== undefined && sentence !== before) logger.warn(sentence);
    before = sentence;
    const loss = store.loss();
    if (loss !== undefined) lost(loss);
  });
}
