// What is answered about single requests. The names of the fields of a row are the columns of the CSV.
import { z } from 'zod';
import { outcomes } from '../../domain/usage.ts';
import { rowFigures } from '../../store/ports/usage.ts';
import { time } from '../http/fields.ts';

const ms = z.int().nullable();

export const requestFields = {
  id: z.string(),
  at: time.describe('when its head had arrived'),
  accountId: z.string(),
  accountName: z.string(),
  keyId: z.string(),
  keyName: z.string(),
  operation: z.string(),
  model: z.string().nullable(),
  askedModel: z.string().nullable().describe('the requested name, if it is not that of the model'),
  fallbackFor: z.string().nullable().describe('the unavailable model that model replaced'),
  server: z.string().nullable().describe('null: not sent to a server; hidden from members'),
  outcome: z.enum(outcomes),
  status: z.int(),
  code: z.string().nullable(),
  repeats: z.int().describe('requests in this row; above 1: refused ones beyond refused_rows_per_minute'),
  streamed: z.boolean(),
  promptTokens: z.int(),
  completionTokens: z.int(),
  cacheReadTokens: z.int().describe('a part of promptTokens'),
  cacheWriteTokens: z.int().describe('a part of promptTokens'),
  reasoningTokens: z.int().describe('a part of completionTokens'),
  source: z.enum(['exact', 'estimated', 'none']).describe('the source of the token figures'),
  queuedMs: z.int(),
  firstTokenMs: ms.describe('from the head of the request to the first piece of a stream; null for whole answers'),
  durationMs: z.int(),
  tokensPerSecond: z
    .number()
    .nullable()
    .describe(
      'completion tokens since the first piece of a stream; of a whole answer, since it was sent to the server',
    ),
  unit: z.string().nullable().describe('the unit of the cost of a service'),
  units: z.int(),
  bytesIn: z.int(),
  bytesOut: z.int(),
  address: z.string(),
};

export const requestSchema = z.strictObject(requestFields).meta({ id: 'Request' });

export const stageNames = ['check', 'queue', 'load', 'server', 'answer'] as const;

export const requestDetailSchema = z
  .strictObject({
    ...requestFields,
    stages: z
      .array(z.strictObject({ stage: z.enum(stageNames), fromMs: z.int(), toMs: z.int() }))
      .describe(
        'check: until it was read and checked; queue: until its turn; load: until the model was loaded; server: until the answer began; answer: until the end',
      ),
    changes: z.array(z.string()).describe('changes that the plan made to the body'),
    refusedBy: z
      .string()
      .nullable()
      .describe('the limit that refused it, such as account tokensPerDay, or the suspension'),
    detail: z.string().nullable().describe('the message for the caller, if it says more than the code'),
  })
  .meta({ id: 'RequestDetail' });

const bounds = Object.fromEntries(
  rowFigures.flatMap((figure) => {
    const name = `${figure[0]?.toUpperCase() ?? ''}${figure.slice(1)}`;
    const bound = z.coerce.number().min(0).max(1e15).optional();
    return [
      [`min${name}`, bound],
      [`max${name}`, bound],
    ];
  }),
) as Record<`${'min' | 'max'}${Capitalize<(typeof rowFigures)[number]>}`, z.ZodOptional<z.ZodCoercedNumber>>;

/** Filters of the caller's own requests. */
export const ownRequestFilters = {
  since: z.iso.datetime().optional(),
  until: z.iso.datetime().optional(),
  key: z.string().max(200).optional().describe('id, or part of a name'),
  model: z.string().max(200).optional().describe('or route:<name> of a service'),
  askedModel: z.string().max(200).optional().describe('the canonical form of the requested name'),
  outcome: z.enum(outcomes).optional(),
  status: z.coerce.number().int().min(0).max(599).optional(),
  code: z.string().max(60).optional(),
  ...bounds,
};

export const requestFilters = {
  ...ownRequestFilters,
  account: z.string().max(200).optional().describe('id or name, or part of a name or email address'),
  server: z.string().max(300).optional().describe('name'),
};
