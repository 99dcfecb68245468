// What is answered about usage: rows of the ledger and their sums. The names of the fields are the columns of the CSV.
import { z } from 'zod';
import { isTimeZone } from '../../domain/calendar.ts';
import { time } from '../http/fields.ts';

export const usageRowSchema = z
  .strictObject({
    id: z.string(),
    at: time,
    keyId: z.string(),
    accountId: z.string(),
    operation: z.string(),
    model: z.string().nullable(),
    upstream: z.string().nullable(),
    outcome: z.string(),
    status: z.int(),
    code: z.string().nullable(),
    streamed: z.boolean(),
    promptTokens: z.int(),
    completionTokens: z.int(),
    source: z.enum(['exact', 'estimated', 'none']),
    bytesIn: z.int(),
    bytesOut: z.int(),
    firstByteMs: z.int().nullable(),
    durationMs: z.int(),
    queuedMs: z.int(),
    address: z.string(),
    repeats: z.int().describe('exchanges in this row; above 1: refused ones beyond refused_rows_per_minute'),
    cacheReadTokens: z.int().describe('the part of promptTokens that the model server read from its prompt cache'),
    cacheWriteTokens: z.int().describe('the part of promptTokens that it wrote into the cache'),
    reasoningTokens: z.int().describe('the part of completionTokens that is reasoning'),
    askedModel: z.string().nullable().describe('the requested name, if it is not that of the model'),
    fallbackFor: z.string().nullable().describe('the unavailable model that model replaced'),
    unit: z.string().nullable().describe('the unit of the cost of a service'),
    units: z.int(),
    keyName: z.string(),
    accountName: z.string(),
  })
  .meta({ id: 'UsageRow' });

export const usageSumSchema = z
  .strictObject({
    group: z.string(),
    name: z.string().nullable().describe('of a key or an account'),
    requests: z.int(),
    refused: z.int(),
    failed: z.int(),
    promptTokens: z.int(),
    completionTokens: z.int(),
    estimated: z.int(),
    cacheReadTokens: z.int().describe('parts of promptTokens, like cacheWriteTokens'),
    cacheWriteTokens: z.int(),
    reasoningTokens: z.int().describe('part of completionTokens'),
    units: z.record(z.string(), z.int()).optional().describe('cost of services, by unit'),
    accountName: z.string().nullable().describe('of the account of a key'),
  })
  .meta({ id: 'UsageSum' });
export const reportGroups = ['key', 'account', 'model', 'hour', 'day', 'month'] as const;
/** IANA name. */
export const timeZone = z
  .string()
  .max(64)
  .refine(isTimeZone, 'not a time zone such as Asia/Tokyo')
  .optional()
  .describe('of hours, days and months, such as Asia/Tokyo; by default that of the gateway');
