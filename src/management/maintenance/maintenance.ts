// The use cases of maintenance mode: start, change, end. The data plane follows within a second.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { type Maintenance, maintenanceAt, mostMaintenanceMessage } from '../../domain/maintenance.ts';
import { iso } from '../../domain/time.ts';
import type { MaintenanceStore } from '../../store/ports/maintenance.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, requireProse } from '../fault.ts';
import type { maintenanceSchema, shownMaintenanceSchema } from './schemas.ts';

/** Omitted fields stay unchanged while maintenance is on, and are null otherwise. */
export interface MaintenanceChange {
  readonly message?: string | null | undefined;
  /** Unix milliseconds. */
  readonly until?: number | null | undefined;
}

export const readMaintenance = async (store: MaintenanceStore, now: number): Promise<Maintenance | null> =>
  maintenanceAt(await store.readMaintenance(), now);

/** @throws Fault. */
export function beginMaintenance(store: Store, change: MaintenanceChange, author: Author): Promise<Maintenance> {
  return store.atomically(async (within) => {
    const before = await readMaintenance(within, author.at);
    const { message = before?.message ?? null, until = before?.until ?? null } = change;
    if (until !== null && until <= author.at) throw new Fault('maintenance_over', {});
    const after: Maintenance = {
      message: message === null ? null : onOneLine(message),
      since: before?.since ?? author.at,
      until,
    };
    const action = before ? 'maintenance.set' : 'maintenance.on';
    await within.writeMaintenance(after, auditEvent(author, action, subject, before && shown(before), shown(after)));
    return after;
  });
}

/** False if there was none. */
export function endMaintenance(store: Store, author: Author): Promise<boolean> {
  return store.atomically(async (within) => {
    const before = await readMaintenance(within, author.at);
    if (!before) return false;
    await within.writeMaintenance(null, auditEvent(author, 'maintenance.off', subject, shown(before), null));
    return true;
  });
}

export const showMaintenance = (maintenance: Maintenance | null): z.output<typeof maintenanceSchema> => ({
  on: maintenance !== null,
  message: maintenance?.message ?? null,
  since: iso(maintenance?.since ?? null),
  until: iso(maintenance?.until ?? null),
});

export const tellMaintenance = (maintenance: Maintenance | null): z.output<typeof shownMaintenanceSchema> =>
  maintenance && { message: maintenance.message, until: iso(maintenance.until) };

const subject = 'maintenance';

const shown = ({ message, since, until }: Maintenance): Readonly<Record<string, unknown>> => ({
  message,
  since: iso(since),
  until: iso(until),
});

/** @throws Fault. */
const onOneLine = (message: string): string =>
  requireProse('what_message', message, mostMaintenanceMessage).replaceAll(/\s+/g, ' ');
