// What is answered when an operator looks for an account or a key.
import { z } from 'zod';

export const findKinds = ['account', 'key'] as const;

export const foundSchema = z
  .strictObject({
    kind: z.enum(findKinds),
    id: z.string(),
    name: z.string(),
    of: z
      .string()
      .describe('what tells it from others of the name: the email address of an account, the account of a key'),
    ended: z.boolean().describe('a closed account, a revoked or expired key'),
  })
  .meta({ id: 'Found' });
