// What is sent and answered about model names.
import { z } from 'zod';
import { id, text, time, word } from '../http/fields.ts';

const model = text(200);
const target = model
  .nullable()
  .describe(
    'the model that the name stands for, as its servers spell it; null: only for some plans, or only fallbacks',
  );
const fallbacks = z
  .array(model)
  .max(10)
  .describe('models to try in this order while no server can serve the model of the call');
const plans = z
  .record(word, model.nullable())
  .describe('other models for callers with these plans; null removes one, and omitted plans stay unchanged');

export const newModelNameSchema = z
  .strictObject({ name: model, target: target.optional(), plans: plans.optional(), fallbacks: fallbacks.optional() })
  .meta({ id: 'NewModelName' });

export const modelNameChangeSchema = z
  .strictObject({ name: model, target, plans, fallbacks })
  .partial()
  .meta({ id: 'ModelNameChange' });

export const modelNameSchema = z
  .strictObject({
    id: id('nam'),
    name: z.string(),
    canonical: z.string().describe('the canonical name: in lower case, with a tag'),
    target: z.string().nullable(),
    plans: z.record(z.string(), z.string()).describe('other models by the name of the plan'),
    fallbacks: z.array(z.string()),
    createdAt: time,
    changedAt: time,
    version: z.int(),
  })
  .meta({ id: 'ModelName' });
