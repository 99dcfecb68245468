// Keeps what was refused in the last hour over a restart. Refusals of accounts are in the ledger; those of strangers, who have no
// row there, are added to figures by minute every few seconds and at the end. A kill loses the last seconds of them.
import type { SteadyClock } from '../domain/steady-clock.ts';
import type { Store } from '../store/ports/store.ts';

export interface RefusalTools {
  readonly store: Pick<Store, 'refusalsByMinute' | 'addStrangers'>;
  readonly clock: Pick<SteadyClock, 'wall'>;
  readonly stats: {
    remember(refusals: Iterable<{ readonly agoMs: number; readonly code: string; readonly count: number }>): void;
    takeStrangers(): ReadonlyMap<string, number>;
  };
  readonly onError: (error: unknown) => void;
}

const hourMs = 3_600_000;
const everyMs = 10_000;

/** Resolves, once the last hour is remembered, to what stops it. */
export async function keepRefusals({ store, clock, stats, onError }: RefusalTools): Promise<() => Promise<void>> {
  const now = clock.wall();
  const found = await store.refusalsByMinute(now - hourMs);
  stats.remember(found.map(({ at, code, count }) => ({ agoMs: Math.max(0, now - at), code, count })));
  let saving = Promise.resolve();
  const save = (): Promise<void> => {
    const counts = stats.takeStrangers();
    if (counts.size > 0) saving = saving.then(() => store.addStrangers(clock.wall(), counts)).catch(onError);
    return saving;
  };
  const timer = setInterval(() => void save(), everyMs).unref();
  return () => {
    clearInterval(timer);
    return save();
  };
}
