// Tells the other gates of the database once a second what this one does, for their overviews; nothing while it is alone. What a gate
// has shown is gone with its registration.
import type { Gates } from '../store/ports/gates.ts';
import { every } from './every.ts';

const everyMs = 1_000;

export function showGates(gates: Gates, now: () => string): () => void {
  let last = '';
  let isShowing = false;
  return every(everyMs, () => {
    if (gates.alive.length === 1 || isShowing) return;
    const text = now();
    const shown = `${gates.epoch} ${text}`;
    if (shown === last) return;
    isShowing = true;
    gates
      .show(text)
      .then(
        () => (last = shown),
        // The next second tries again; that the database is away is told elsewhere.
        () => undefined,
      )
      .finally(() => (isShowing = false));
  });
}
