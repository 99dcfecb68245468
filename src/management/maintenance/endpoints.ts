// The endpoints for maintenance.
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { beginMaintenance, endMaintenance, readMaintenance, showMaintenance } from './maintenance.ts';
import { maintenanceChangeSchema, maintenanceSchema } from './schemas.ts';

const group = 'Maintenance';

const now = async ({ store, now: at }: Pick<AnyCall, 'store' | 'now'>) =>
  showMaintenance(await readMaintenance(store, at()));

export const maintenanceEndpoints: readonly Endpoint[] = [
  endpoint('getMaintenance', 'get /maintenance', {
    summary: 'Whether new calls are refused for maintenance, and until when',
    group,
    needs: 'management:read',
    fresh: 'never',
    pace: 'look',
    answer: maintenanceSchema,
    run: now,
  }),
  endpoint('changeMaintenance', 'patch /maintenance', {
    summary: 'Start, change or end maintenance; takes effect within a second, and waiting and running calls finish',
    group,
    needs: 'management:write',
    fresh: 'always',
    pace: 'change',
    body: maintenanceChangeSchema,
    answer: maintenanceSchema,
    before: now,
    run: async ({ store, body: { on, message, until }, author }) => {
      if (!on) {
        await endMaintenance(store, author);
        return showMaintenance(null);
      }
      const ends = typeof until === 'string' ? Date.parse(until) : until;
      return showMaintenance(await beginMaintenance(store, { message, until: ends }, author));
    },
  }),
];
