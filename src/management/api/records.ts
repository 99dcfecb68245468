// The rows about what was: usage and the audit log.
import { z } from 'zod';
import { listAudit } from '../audit-log.ts';
import { iso } from '../keys.ts';
import { reportUsage } from '../usage-report.ts';
import { pageBefore } from './cursor.ts';
import { type Endpoint, endpoint } from './endpoint.ts';
import * as shapes from './shapes.ts';
import { eventOf } from './shown.ts';

const { pageOf, pageQuery } = shapes;
const read = 'management:read';
const at = (text: string): number => Date.parse(text);

const monthMs = 30 * 86_400_000;
export const usage: readonly Endpoint[] = [
  endpoint('listUsage', 'get /usage', {
    summary: 'The rows of the ledger, the newest first',
    group: 'Usage',
    needs: read,
    query: z.strictObject(pageQuery),
    answer: pageOf(shapes.usageRow),
    run: async ({ store, query }) =>
      pageBefore(
        query,
        ({ limit, before }) => store.listUsage(limit, before),
        (row) => ({ ...row, at: iso(row.at) as string }),
      ),
  }),
  endpoint('reportUsage', 'get /usage/report', {
    summary: 'Sums by key, account, model, day or month; the last 30 days if nothing is said',
    group: 'Usage',
    needs: read,
    query: z.strictObject({
      by: z.enum(shapes.reportGroups),
      since: z.iso.datetime().optional(),
      until: z.iso.datetime().optional(),
    }),
    answer: pageOf(shapes.usageSum),
    run: async ({ store, query, timeZone, now }) => {
      const until = query.until === undefined ? now() : at(query.until);
      const since = query.since === undefined ? until - monthMs : at(query.since);
      return { items: await reportUsage(store, query.by, since, until, timeZone), next: null };
    },
  }),
  endpoint('reportOwnUsage', 'get /me/usage', {
    summary: 'What the account of the key that asks has used, by day, key or model',
    group: 'Usage',
    needs: 'key',
    query: z.strictObject({ by: z.enum(['day', 'month', 'key', 'model']).default('day') }),
    answer: pageOf(shapes.usageSum),
    run: async ({ store, query, timeZone, caller, now }) => {
      const until = now();
      const own = caller.account.id;
      return { items: await reportUsage(store, query.by, until - monthMs, until, timeZone, own), next: null };
    },
  }),
  endpoint('listAudit', 'get /audit', {
    summary: 'Who changed what, from what, to what, when; the newest first',
    group: 'Audit',
    needs: read,
    query: z.strictObject({ ...pageQuery, subject: z.string().max(200).optional() }),
    answer: pageOf(shapes.auditShape),
    run: async ({ store, query }) =>
      pageBefore(query, ({ limit, before }) => listAudit(store, query.subject, limit, before), eventOf),
  }),
];
