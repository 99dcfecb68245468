// The row of the audit log.
import { z } from 'zod';
import { pageBefore } from '../http/cursor.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { listAudit } from './audit-log.ts';
import { auditSchema } from './schemas.ts';

const read = 'management:read';

export const auditEndpoints: readonly Endpoint[] = [
  endpoint('listAudit', 'get /audit', {
    summary: 'Who changed what, and when, newest first',
    group: 'Audit',
    needs: read,
    fresh: 'never',
    pace: 'look',
    query: z.strictObject({
      ...pageQuery,
      subject: z.string().max(200).optional().describe('the changed object: an id, or the name of a plan or rule'),
      search: z.string().max(200).optional().describe('the same, or part of a name or email address'),
    }),
    answer: pageOf(auditSchema),
    run: async ({ store, query, refused }) => {
      await refused.flush();
      return pageBefore(
        query,
        ({ limit, before }) => listAudit(store, { subject: query.subject, search: query.search, limit, before }),
        (event) => event,
      );
    },
  }),
];
