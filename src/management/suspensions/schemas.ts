// What is sent and answered about suspensions, appeals and their answers.
import { z } from 'zod';
import { steps } from '../../domain/rule.ts';
import { id, text, time, timeOrNull } from '../http/fields.ts';

export const suspensionSchema = z
  .strictObject({
    id: id('sus'),
    account: id('acc'),
    key: id('key').nullable(),
    step: z.enum(steps),
    rule: z.string().nullable(),
    reason: z.string(),
    evidence: z.record(z.string(), z.unknown()).nullable(),
    shadow: z.boolean(),
    createdAt: time,
    endsAt: timeOrNull,
    liftedAt: timeOrNull,
    liftedBy: z.string().nullable(),
    appeal: z.string().nullable(),
    appealedAt: timeOrNull,
    answer: z.string().nullable(),
    answeredAt: timeOrNull,
    answeredBy: z.string().nullable(),
  })
  .meta({ id: 'Suspension' });
export const suspensionRowSchema = suspensionSchema
  .extend({
    accountName: z.string(),
    keyName: z.string().nullable(),
    liftedByName: z.string().nullable(),
    answeredByName: z.string().nullable(),
  })
  .meta({ id: 'SuspensionRow' });

export const newSuspensionSchema = z
  .strictObject({
    whom: text(200).describe('id or name of an account, or id of a key'),
    step: z.enum(['warn', 'slow', 'back', 'suspend', 'review']),
    reason: text(2000),
    endsAt: time.nullable().default(null),
  })
  .meta({ id: 'NewSuspension' });
export const appealSchema = z.strictObject({ text: text(2000) }).meta({ id: 'Appeal' });
export const answerSchema = z
  .strictObject({ text: text(2000), lift: z.boolean().default(false) })
  .meta({ id: 'Answer' });
