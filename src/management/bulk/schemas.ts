// What is sent and answered about an action on several things.
import { z } from 'zod';
import { saidShape } from '../http/said-shape.ts';

export const mostAtOnce = 100;

export const idsOf = (item: z.ZodString): z.ZodArray<z.ZodString> =>
  z.array(item).min(1).max(mostAtOnce).describe('an id that is named twice counts once');

export const bulkResultSchema = z
  .strictObject({
    items: z.array(
      z.strictObject({
        id: z.string(),
        done: z.boolean(),
        problem: z
          .strictObject({ code: z.string(), detail: z.string(), ...saidShape })
          .nullable()
          .describe('why it was not done, as a problem says it'),
      }),
    ),
  })
  .meta({ id: 'BulkResult' });

export type BulkResult = z.output<typeof bulkResultSchema>;
