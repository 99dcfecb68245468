// Tells of pulls whose gate is gone. A gate that starts again tells of its own (model-pulls.ts); one that never returns cannot.
import type { WallMs } from '../domain/time.ts';
import type { Gates } from '../store/ports/gates.ts';
import type { Store } from '../store/ports/store.ts';
import { endLostPull } from './model-pulls.ts';
import type { UpkeepJob } from './upkeep.ts';

const everyMs = 15_000;

export const lostPulls = (
  reads: Pick<Store, 'listPulls'>,
  gates: Pick<Gates, 'alive'>,
  now: () => WallMs,
): UpkeepJob => ({
  failure: 'pulls of gateways that are gone could not be ended',
  restMs: everyMs,
  run: async (change) => {
    for (const pull of await reads.listPulls(1_000))
      if (pull.state === 'running' && !gates.alive.includes(pull.gate))
        await change((store) => endLostPull(store, pull, now()));
    return everyMs;
  },
});
