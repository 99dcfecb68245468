// What is sent and answered about plans, the limits they set, and the preview of a call.
import { z } from 'zod';
import { windowNames } from '../../domain/calendar.ts';
import { measures, subjectNames } from '../../domain/limit.ts';
import { termNames, terms } from '../../domain/plan.ts';
import { count, id, name, scope, text, time, word } from '../http/fields.ts';

const termSchemas = Object.fromEntries(
  termNames.map((term) => {
    const { kind, meaning, unit } = terms[term];
    const described = `${meaning}${unit ? ` (${unit})` : ''}`;
    switch (kind) {
      case 'count':
        return [term, count.nullable().describe(`${described} null: no limit.`)];
      case 'weight':
        return [term, z.number().min(0.01).max(1000).describe(described)];
      case 'choice':
        return [term, z.enum(['allow', 'strip']).describe(described)];
      case 'models':
        return [term, z.array(text(200)).min(1).max(200).describe(described)];
      case 'scopes':
        return [term, z.array(scope).min(1).describe(described)];
    }
  }),
) as Record<string, z.ZodType>;

export const narrowingSchema = z
  .strictObject(
    Object.fromEntries(
      termNames
        .filter((term) => terms[term].narrows)
        .map((term) => [term, (terms[term].kind === 'weight' ? z.number().min(0.01).max(1000) : count).optional()]),
    ),
  )
  .describe('terms that restrict the plan of the account for this key');
export const planSchema = z.strictObject({ name: word, version: z.int().min(1), ...termSchemas }).meta({ id: 'Plan' });
export const planTermsSchema = z.strictObject(termSchemas).partial();
export const newPlanSchema = z
  .strictObject({ name: word, like: word.optional().describe('copy the terms of this plan') })
  .extend(planTermsSchema.shape)
  .meta({ id: 'NewPlan' });
export const planChangeSchema = planTermsSchema.meta({ id: 'PlanChange' });

export const limitSchema = z
  .strictObject({
    name: z.string(),
    per: z.enum(subjectNames),
    key: id('key').nullable(),
    measure: z.string().describe(`one of ${Object.keys(measures).join(', ')}`),
    window: z.string().describe(`one of ${windowNames.join(', ')}, in the gateway’s time zone`),
    limit: z.number(),
    used: z.number().describe('including reservations of running calls'),
    remaining: z.number(),
    needed: z.number().describe('by the previewed call; otherwise 0'),
    resetsAt: time,
  })
  .meta({ id: 'Limit' });

export const previewQuestionSchema = z
  .strictObject({
    account: name.optional().describe('id or name'),
    plan: word.optional().describe('instead of an account: an account with that plan and no usage'),
    key: id('key').optional(),
    path: z.string().regex(/^\/[\w/.-]{1,100}$/),
    model: text(200).optional().describe('not for services, which the path identifies'),
    promptTokens: z.int().min(0).max(1e9).optional(),
    maxTokens: z.int().min(1).max(1e9).optional(),
  })
  .meta({ id: 'Question' });

export const previewSchema = z
  .strictObject({
    passes: z.boolean(),
    status: z.int().describe('the status of the answer'),
    code: z.string().nullable(),
    reason: z.string(),
    retryAfterSeconds: z.int().nullable(),
    figures: z
      .strictObject({ needed: z.number(), most: z.number() })
      .nullable()
      .describe('how much the call asks for and how much is allowed, where no limit in time is the reason'),
    changes: z.array(z.string()).describe('changes that the plan would make to the body'),
    limits: z.array(limitSchema),
  })
  .meta({ id: 'Preview' });
