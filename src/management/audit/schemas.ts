// What is answered about audit events.
import { z } from 'zod';
import { time } from '../http/fields.ts';

export const auditSchema = z
  .strictObject({
    id: z.string(),
    at: time,
    actor: z.string(),
    action: z.string(),
    subject: z.string(),
    from: z.record(z.string(), z.unknown()).nullable(),
    to: z.record(z.string(), z.unknown()).nullable(),
    names: z.record(z.string(), z.string()).describe('names of the objects whose ids the event contains'),
  })
  .meta({ id: 'AuditEvent' });
