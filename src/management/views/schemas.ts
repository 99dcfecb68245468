// What is answered about a view of a member's pages.
import { z } from 'zod';
import { time } from '../http/fields.ts';

export const viewSchema = z
  .strictObject({
    id: z.string().describe('for the header X-Sekisho-View of the same session'),
    account: z.string(),
    accountName: z.string(),
    startedAt: time,
    endsAt: time.describe('it ends earlier with the session'),
  })
  .meta({ id: 'View' });
