// The schemas of the public status page.
import { z } from 'zod';
import { time } from '../http/fields.ts';
import { shownMaintenanceSchema } from '../maintenance/schemas.ts';

export const stepStates = ['up', 'partial', 'down', 'none'] as const;

export const statusPageSchema = z
  .strictObject({
    at: time.describe('the time of this state; at most 30 seconds ago'),
    maintenance: shownMaintenanceSchema,
    since: time.describe('of the first step'),
    stepMs: z.int(),
    models: z.array(
      z.strictObject({
        name: z.string(),
        up: z.boolean().nullable().describe('whether a server with the model responds; null: not known yet'),
        steps: z
          .array(z.enum(stepStates))
          .describe('how calls ended in each step: up, partial (servers failed some), down (most), none (no calls)'),
      }),
    ),
  })
  .meta({ id: 'StatusPage' });
