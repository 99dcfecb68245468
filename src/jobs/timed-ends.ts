// Ends what ends by itself, and writes that down: maintenance whose time is over, and views of members' pages whose time or session
// is. What depends on them looks at the clock itself, so nothing lasts longer for it.
import { auditEvent } from '../domain/audit.ts';
import { maintenanceAt } from '../domain/maintenance.ts';
import { iso, type WallMs } from '../domain/time.ts';
import { isOver } from '../domain/view.ts';
import type { Store } from '../store/ports/store.ts';
import type { Change, UpkeepJob } from './upkeep.ts';

const everyMs = 5_000;

type Reads = Pick<Store, 'readMaintenance' | 'listViews'>;

export const timedEnds = (reads: Reads, now: () => WallMs): UpkeepJob => ({
  failure: 'what ends by itself could not be ended',
  restMs: everyMs,
  run: async (change) => {
    await lookForEnds(reads, change, now());
    return everyMs;
  },
});

/** Nothing is written, and no transaction begun, while there is nothing to end. */
export async function lookForEnds(reads: Reads, change: Change, now: WallMs): Promise<void> {
  if (await dueMaintenance(reads, now)) await change((store) => endMaintenance(store, now));
  for (const { hasSession, ...view } of await reads.listViews()) {
    if (hasSession && !isOver(view, now)) continue;
    const because = hasSession ? 'time' : 'session';
    const { id, accountId, operatorId } = view;
    const by = { actor: 'gate', at: now };
    await change((store) =>
      store.endView(id, auditEvent(by, 'account.view-ended', accountId, null, { by: operatorId, because })),
    );
  }
}

async function dueMaintenance(reads: Pick<Store, 'readMaintenance'>, now: WallMs) {
  const maintenance = await reads.readMaintenance();
  return maintenance !== null && maintenanceAt(maintenance, now) === null ? maintenance : undefined;
}

async function endMaintenance(store: Store, now: WallMs): Promise<void> {
  const due = await dueMaintenance(store, now);
  if (!due) return;
  const { message, since, until } = due;
  const shown = { message, since: iso(since), until: iso(until) };
  await store.writeMaintenance(
    null,
    auditEvent({ actor: 'gate', at: now }, 'maintenance.off', 'maintenance', shown, null),
  );
}
