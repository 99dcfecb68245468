// Takes the ledger's records into the store, apart from all other questions, so that an adapter can do it where it holds up
// nothing else: on another thread, or on a connection of its own.
import type { KeyStore } from './keys.ts';
import type { UsageStore } from './usage.ts';

export interface LedgerWriter extends Pick<KeyStore, 'touchKeys'>, Pick<UsageStore, 'noteRecovered'> {
  /**
   * Adds the records that are missing, and only those to the sums, all or none. `lines`: ends of exchanges as the journal holds
   * them. Resolves when they are committed, so that later reads see them.
   */
  appendLines(lines: readonly string[]): Promise<void>;
  /** Resolves when what was added survives a power cut, so that the journal need not keep it. */
  flushLines(): Promise<void>;
}
