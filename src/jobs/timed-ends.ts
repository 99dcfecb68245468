// Ends what ends by itself, and writes that down: maintenance whose time is over, and views of members' pages whose time or session
// is. What depends on them looks at the clock itself, so nothing lasts longer for it.
import { auditEvent } from '../domain/audit.ts';
import { maintenanceAt } from '../domain/maintenance.ts';
import { iso, type WallMs } from '../domain/time.ts';
import { isOver } from '../domain/view.ts';
import type { Store } from '../store/ports/store.ts';
import { every } from './every.ts';

const everyMs = 5_000;

type Ending = Pick<Store, 'readMaintenance' | 'atomically' | 'listViews' | 'endView'>;

/** Returns what stops it. */
export function endByItself(store: Ending, now: () => WallMs, onError: (error: unknown) => void): () => void {
  return every(everyMs, () => {
    lookForEnds(store, now()).catch(onError);
  });
}

/** However many gates look at once, one of them writes the event. */
export async function lookForEnds(store: Ending, now: WallMs): Promise<void> {
  await endMaintenance(store, now);
  for (const { hasSession, ...view } of await store.listViews()) {
    if (hasSession && !isOver(view, now)) continue;
    const because = hasSession ? 'time' : 'session';
    const { id, accountId, operatorId } = view;
    const by = { actor: 'gate', at: now };
    await store.endView(id, auditEvent(by, 'account.view-ended', accountId, null, { by: operatorId, because }));
  }
}

async function endMaintenance(store: Ending, now: WallMs): Promise<void> {
  const isDue = async (from: Pick<Store, 'readMaintenance'>) => {
    const maintenance = await from.readMaintenance();
    return maintenance !== null && maintenanceAt(maintenance, now) === null ? maintenance : undefined;
  };
  // Nothing is written, and no transaction begun, while there is nothing to end.
  if (!(await isDue(store))) return;
  await store.atomically(async (within) => {
    const due = await isDue(within);
    if (!due) return;
    const { message, since, until } = due;
    const shown = { message, since: iso(since), until: iso(until) };
    await within.writeMaintenance(
      null,
      auditEvent({ actor: 'gate', at: now }, 'maintenance.off', 'maintenance', shown, null),
    );
  });
}
