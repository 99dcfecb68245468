// The row that finds accounts and keys by what people know of them.
import { z } from 'zod';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import { findAccounts, findKeys, lookUp } from './find.ts';
import { findKinds, foundSchema } from './schemas.ts';

export const findEndpoints: readonly Endpoint[] = [
  endpoint('find', 'get /find', {
    summary: 'Accounts and keys by part of a name or email address, or by id; what matches exactly comes first',
    group: 'Accounts',
    needs: 'management:read',
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({
      search: z.string().max(200).default(''),
      kind: z.enum(findKinds).optional().describe('left out: both'),
      ids: z
        .string()
        .max(2_000)
        .regex(/^(?:acc|key)_\w{1,40}(?:,(?:acc|key)_\w{1,40}){0,49}$/)
        .optional()
        .describe('at most 50, with commas between them: these, whatever else is asked'),
      limit: z.coerce.number().int().min(1).max(50).default(10).describe('of each kind'),
    }),
    answer: pageOf(foundSchema),
    run: async ({ store, query: { search, kind, ids, limit }, now }) => {
      if (ids !== undefined) return { items: await lookUp(store, ids.split(','), now()), next: null };
      const text = search.trim();
      const accounts = kind === 'key' ? [] : await findAccounts(store, text, limit);
      const keys = kind === 'account' ? [] : await findKeys(store, text, limit, now());
      return { items: [...accounts, ...keys], next: null };
    },
  }),
];
