// The rows of the audit log: its events, one event, the actions that it contains, and exports of what is filtered.
import { z } from 'zod';
import { readId, writeId } from '../http/cursor.ts';
import { type Endpoint, endpoint, streamed } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { csvLine } from '../usage/csv.ts';
import { exportAudit, pageAudit, requireAudit } from './audit-log.ts';
import { auditActionsSchema, auditFilters, auditRowSchema, auditSchema } from './schemas.ts';

const shared = { group: 'Audit', needs: 'management:read', fresh: 'never' } as const;
const columns = Object.keys(auditRowSchema.shape);

export const auditEndpoints: readonly Endpoint[] = [
  endpoint('listAudit', 'get /audit', {
    ...shared,
    summary:
      'Who changed what, from what, to what, when; the newest first; a filtered page may be short, and still have a next',
    pace: 'sum',
    query: z.strictObject({ ...pageQuery, ...auditFilters }),
    answer: pageOf(auditSchema),
    run: async ({ store, query: { limit, cursor, ...asked }, refused }) => {
      await refused.flush();
      const before = cursor === undefined ? undefined : readId(cursor);
      const { items, next } = await pageAudit(store, asked, limit, before);
      return { items: [...items], next: next === undefined ? null : writeId(next) };
    },
  }),
  endpoint('listAuditActions', 'get /audit/actions', {
    ...shared,
    summary: 'The actions that the audit log contains',
    pace: 'look',
    answer: auditActionsSchema,
    run: async ({ store }) => ({ items: await store.auditActions() }),
  }),
  streamed('exportAuditCsv', 'get /audit/export.csv', {
    ...shared,
    summary: 'The same events as CSV, all of them',
    pace: 'read',
    type: 'text/csv',
    file: 'sekisho-audit.csv',
    query: z.strictObject(auditFilters),
    async *pieces({ store, query, refused }, gone) {
      await refused.flush();
      yield csvLine(columns);
      for await (const rows of exportAudit(store, query, gone))
        yield rows.map((row) => csvLine(columns.map((name) => row[name as keyof typeof row]))).join('');
    },
  }),
  streamed('exportAuditJson', 'get /audit/export.jsonl', {
    ...shared,
    summary: 'The same events as JSON Lines, all of them',
    pace: 'read',
    type: 'application/jsonl',
    file: 'sekisho-audit.jsonl',
    query: z.strictObject(auditFilters),
    async *pieces({ store, query, refused }, gone) {
      await refused.flush();
      for await (const rows of exportAudit(store, query, gone))
        yield rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    },
  }),
  endpoint('getAudit', 'get /audit/{id}', {
    ...shared,
    summary: 'One event of the audit log',
    pace: 'look',
    answer: auditSchema,
    run: async ({ store, params }) => requireAudit(store, params['id'] ?? ''),
  }),
];
