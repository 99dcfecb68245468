// What is answered about health over time.
import { z } from 'zod';
import { type HistogramName, periodNames } from '../../domain/latency.ts';
import { outcomes } from '../../domain/usage.ts';
import { time } from '../http/fields.ts';

const spread = z.strictObject({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable();

export const healthFields = {
  requests: z.int().describe('all, including refused ones'),
  refused: z.int(),
  failed: z.int().describe('sent to a server, and neither completed nor canceled by the caller'),
  promptTokens: z.int(),
  completionTokens: z.int(),
  running: z.number().describe('calls at the same time, on average'),
  waiting: z.number().describe('calls waiting at the same time, on average'),
  firstToken: spread.describe('milliseconds from sending the call to the first piece of its stream; null: no streams'),
  duration: spread.describe('milliseconds from sending the call to the end of its answer; completed calls only'),
  queue: spread.describe('milliseconds in the queue'),
  speed: spread.describe('completion tokens per second; 95% and 99% of calls are faster than p95 and p99'),
} satisfies Record<HistogramName, z.ZodType> & Record<string, z.ZodType>;

const code = z.strictObject({ outcome: z.enum(outcomes), code: z.string().nullable(), requests: z.int() });

export const latencySchema = z
  .strictObject({
    period: z.enum(periodNames),
    since: time,
    until: time,
    stepMs: z.int().describe('the length of a point'),
    total: z.strictObject(healthFields),
    points: z.array(z.strictObject({ at: time, ...healthFields, codes: z.record(z.string(), z.int()) })),
    models: z.array(
      z.strictObject({ model: z.string().describe('empty: none, or an unknown model'), ...healthFields }),
    ),
    servers: z.array(z.strictObject({ server: z.string().describe('empty: not sent to a server'), ...healthFields })),
    codes: z.array(code).describe('how requests ended, the most frequent first'),
  })
  .meta({ id: 'Latency' });
