// What is asked and answered about audit events.
import { z } from 'zod';
import { time } from '../http/fields.ts';

export const auditFields = {
  id: z.string(),
  at: time,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  from: z.record(z.string(), z.unknown()).nullable(),
  to: z.record(z.string(), z.unknown()).nullable(),
};

export const auditSchema = z
  .strictObject({
    ...auditFields,
    names: z.record(z.string(), z.string()).describe('names of the objects whose ids the event contains'),
  })
  .meta({ id: 'AuditEvent' });

/** A row of an export. */
export const auditRowSchema = z
  .strictObject({
    id: z.string(),
    at: time,
    actor: z.string(),
    actorName: z.string(),
    action: z.string(),
    subject: z.string(),
    subjectName: z.string(),
    from: auditFields.from,
    to: auditFields.to,
  })
  .meta({ id: 'AuditRow' });

export const auditActionsSchema = z.strictObject({ items: z.array(z.string()) }).meta({ id: 'AuditActions' });

export const auditFilters = {
  subject: z.string().max(200).optional().describe('what was changed: an id, or the name of a plan or rule'),
  search: z
    .string()
    .max(200)
    .optional()
    .describe('the same, or part of a name or email address; an account brings its keys'),
  actor: z
    .string()
    .max(200)
    .optional()
    .describe('who: part of a name or email address, an id, or a whole name such as cli:root or rule:night'),
  action: z.string().max(60).optional().describe('such as key.revoke, or key for every change of keys'),
  text: z.string().max(200).optional().describe('part of the action, or of the old or new values'),
  since: z.iso.datetime().optional(),
  until: z.iso.datetime().optional().describe('exclusive'),
};

const asked = z.strictObject(auditFilters);
export type AskedAudit = z.output<typeof asked>;
