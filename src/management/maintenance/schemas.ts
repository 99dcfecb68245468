// What is sent and answered about maintenance.
import { z } from 'zod';
import { mostMaintenanceMessage } from '../../domain/maintenance.ts';
import { text, timeOrNull } from '../http/fields.ts';

const fields = {
  message: text(mostMaintenanceMessage).nullable().describe('the message for callers; null: a standard message'),
  until: timeOrNull.describe('when it ends automatically; null: when an operator ends it'),
};
export const maintenanceSchema = z
  .strictObject({
    on: z.boolean().describe('new calls get a 503; waiting and running calls finish'),
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
  .describe('null: the gateway accepts calls');
