// Whether the gate is under maintenance, in one row.
import type { Maintenance } from '../../domain/maintenance.ts';
import type { MaintenanceStore } from '../ports/maintenance.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';

export function maintenanceQueries({ db, transact }: Connection): MaintenanceStore {
  return {
    readMaintenance: async () => {
      const { definition } = await db.selectFrom('maintenance').select('definition').executeTakeFirstOrThrow();
      return definition === null ? null : (JSON.parse(definition) as Maintenance);
    },
    writeMaintenance: (maintenance, event) =>
      transact(async (transaction) => {
        const definition = maintenance === null ? null : JSON.stringify(maintenance);
        await transaction.updateTable('maintenance').set({ definition }).execute();
        await writeAudit(transaction, event);
      }),
  };
}
