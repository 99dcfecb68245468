// What is sent and answered about maintenance.
import { z } from 'zod';
import { mostMaintenanceMessage } from '../../domain/maintenance.ts';
import { text, timeOrNull } from '../http/fields.ts';

const fields = {
  message: text(mostMaintenanceMessage).nullable().describe('what callers are told; null: that there is maintenance'),
  until: timeOrNull.describe('when it ends by itself; null: when somebody ends it'),
};
export const maintenanceSchema = z
  .strictObject({
    on: z.boolean().describe('new calls get a 503; those that wait or run finish'),
    ...fields,
    since: timeOrNull,
  })
  .meta({ id: 'Maintenance' });
export const maintenanceChangeSchema = z
  .strictObject({ on: z.boolean(), message: fields.message.optional(), until: fields.until.optional() })
  .meta({ id: 'MaintenanceChange' });
/** What people on the pages are told. */
export const shownMaintenanceSchema = z
  .strictObject({ message: z.string().nullable(), until: timeOrNull })
  .nullable()
  .describe('null: the gate takes calls');
