// What is sent and answered about the rules of the ladder.
import { z } from 'zod';
import { ruleMeasures, steps } from '../../domain/rule.ts';
import { word } from '../http/fields.ts';

export const ruleSchema = z
  .strictObject({
    name: word,
    measure: z.enum(ruleMeasures),
    per: z.enum(['key', 'account']),
    windowSeconds: z
      .int()
      .min(60)
      .max(31 * 86_400),
    threshold: z.int().min(1).max(1e15),
    step: z.enum(steps),
    durationSeconds: z
      .int()
      .min(1)
      .max(366 * 86_400)
      .nullable(),
    plans: z.array(word).min(1).nullable(),
    shadow: z.boolean(),
    enabled: z.boolean(),
  })
  .meta({ id: 'Rule' });
export const newRuleSchema = ruleSchema
  .partial({ durationSeconds: true, plans: true, shadow: true, enabled: true })
  .meta({ id: 'NewRule' });
export const ruleChangeSchema = ruleSchema.omit({ name: true }).partial().meta({ id: 'RuleChange' });
