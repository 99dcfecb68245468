// How an answer names the sentence of a refusal, so that a client can say it in its own language.
import { z } from 'zod';
import { reasons } from '../../domain/sentences.ts';

const parameter = z.union([
  z.string(),
  z.number(),
  z.strictObject({ reason: z.enum(reasons), parameters: z.record(z.string(), z.unknown()) }),
]);
export const saidShape = {
  reason: z.enum(reasons).optional().describe('which sentence `detail` is'),
  parameters: z
    .record(z.string(), parameter)
    .optional()
    .describe('the values in it; an object is a part with its own reason'),
};
