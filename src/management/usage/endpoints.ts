// The endpoints for usage: the ledger, its sums, and both as CSV.

import { z } from 'zod';
import { canonicalText } from '../../domain/model-name.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import { outcomes, type UsageRecord } from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import type { UsageFilter } from '../../store/ports/usage.ts';
import { ownAccount } from '../http/authenticate.ts';
import { readId, writeId } from '../http/cursor.ts';
import { type Endpoint, endpoint, streamed } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { pagesOfUsage } from '../people/export.ts';
import { csvLine } from './csv.ts';
import { reportGroups, timeZone, usageRowSchema, usageSumSchema } from './schemas.ts';
import { nameOwners, reportUsage } from './usage-report.ts';
import { theOneOf, whoseOf } from './whose.ts';

const read = 'management:read';
const at = (text: string): number => Date.parse(text);

const monthMs = 30 * 86_400_000;

const period = { since: z.iso.datetime().optional(), until: z.iso.datetime().optional() };
const filters = {
  ...period,
  account: z.string().max(200).optional().describe('id or name, or part of a name or email address'),
  key: z.string().max(200).optional().describe('id, or part of a name'),
  model: z.string().max(200).optional(),
  asked: z.string().max(200).optional().describe('the requested name, if it is not that of the model'),
  outcome: z.enum(outcomes).optional(),
};
const reportQuery = z.strictObject({
  by: z.enum(reportGroups),
  account: z.string().max(200).optional(),
  ...period,
  timeZone,
});

function periodOf(
  { since, until }: { readonly since?: string | undefined; readonly until?: string | undefined },
  now: WallMs,
): { readonly since: number; readonly until: number } {
  const end = until === undefined ? now : at(until);
  return { since: since === undefined ? end - monthMs : at(since), until: end };
}

async function filterOf(
  store: Store,
  { account, key, model, asked, outcome, since, until }: z.output<z.ZodObject<typeof filters>>,
): Promise<UsageFilter> {
  return {
    ...(await whoseOf(store, { account, key })),
    ...(model === undefined ? {} : { model }),
    ...(asked === undefined ? {} : { askedModel: canonicalText(asked) }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(since === undefined ? {} : { since: at(since) }),
    ...(until === undefined ? {} : { until: at(until) }),
  };
}

/** The request log has the stages of a call. */
function withoutStages<Row extends Partial<UsageRecord>>(row: Row): Omit<Row, Stage> {
  const {
    readyMs: _1,
    loadMs: _2,
    sentMs: _3,
    firstTokenMs: _4,
    changes: _5,
    refusedBy: _6,
    detail: _7,
    ...rest
  } = row;
  return rest;
}

type Stage = 'readyMs' | 'loadMs' | 'sentMs' | 'firstTokenMs' | 'changes' | 'refusedBy' | 'detail';

async function rowsOf(store: Store, records: readonly UsageRecord[]) {
  const names = await store.displayNames(records.flatMap(({ accountId, keyId }) => [accountId, keyId]));
  const nameOf = (id: string): string => names.get(id)?.name || id;
  return records.map(({ cost, keyId, accountId, ...record }) => ({
    ...withoutStages(record),
    keyId,
    keyName: nameOf(keyId),
    accountId,
    accountName: nameOf(accountId),
    at: iso(record.at),
    unit: cost?.unit ?? null,
    units: cost?.units ?? 0,
  }));
}

function columnsOf(shape: object, row: object): unknown[] {
  return Object.keys(shape).map((name) => (row as Readonly<Record<string, unknown>>)[name]);
}

export const usageEndpoints: readonly Endpoint[] = [
  endpoint('listUsage', 'get /usage', {
    summary: 'The rows of the ledger, newest first; a filtered page may be short and still have a next page',
    group: 'Usage',
    needs: read,
    fresh: 'never',
    pace: 'sum',
    query: z.strictObject({ ...pageQuery, ...filters }),
    answer: pageOf(usageRowSchema),
    run: async ({ store, query }) => {
      const filter = await filterOf(store, query);
      const before = query.cursor === undefined ? undefined : readId(query.cursor);
      const { rows, next } = await store.searchUsage(filter, query.limit, before);
      return { items: await rowsOf(store, rows), next: next === undefined ? null : writeId(next) };
    },
  }),
  streamed('exportRows', 'get /usage/rows.csv', {
    summary: 'The rows of the ledger as CSV, newest first',
    group: 'Usage',
    needs: read,
    fresh: 'never',
    pace: 'read',
    query: z.strictObject(filters),
    type: 'text/csv',
    file: 'sekisho-rows.csv',
    async *pieces({ store, query }, gone) {
      const filter = await filterOf(store, query);
      yield csvLine(Object.keys(usageRowSchema.shape));
      for await (const { rows } of pagesOfUsage(store, filter)) {
        if (gone.aborted) return;
        yield (await rowsOf(store, rows)).map((row) => csvLine(columnsOf(usageRowSchema.shape, row))).join('');
      }
    },
  }),
  streamed('exportUsage', 'get /usage/export', {
    summary: 'Sums by key, account, model, hour, day or month as CSV',
    group: 'Usage',
    needs: read,
    fresh: 'never',
    pace: 'read',
    query: reportQuery,
    type: 'text/csv',
    file: 'sekisho-usage.csv',
    async *pieces({ store, query, timeZone: own, now }) {
      yield csvLine(Object.keys(usageSumSchema.shape));
      const { since, until } = periodOf(query, now());
      const sums = await reportUsage(store, query.by, since, until, query.timeZone ?? own);
      for (const row of await nameOwners(store, query.by, sums)) yield csvLine(columnsOf(usageSumSchema.shape, row));
    },
  }),
  endpoint('reportUsage', 'get /usage/report', {
    summary: 'Sums by key, account, model, hour, day or month; by default of the last 30 days',
    group: 'Usage',
    needs: read,
    fresh: 'never',
    pace: 'sum',
    query: reportQuery,
    answer: pageOf(usageSumSchema),
    run: async ({ store, query, timeZone: own, now }) => {
      const { since, until } = periodOf(query, now());
      const of = query.account === undefined ? {} : await theOneOf(store, { account: query.account });
      const sums = await reportUsage(store, query.by, since, until, query.timeZone ?? own, of);
      return { items: await nameOwners(store, query.by, sums), next: null };
    },
  }),
  endpoint('reportOwnUsage', 'get /me/usage', {
    summary: 'The usage of the caller’s account, by day, key or model',
    group: 'Usage',
    needs: 'self',
    fresh: 'never',
    pace: 'sum',
    inView: true,
    query: z.strictObject({
      by: z.enum(['hour', 'day', 'month', 'key', 'model']).default('day'),
      ...period,
      timeZone,
    }),
    answer: pageOf(usageSumSchema),
    run: async ({ store, query, timeZone: own, caller, now }) => {
      const { since, until } = periodOf(query, now());
      const of = { accountId: ownAccount(caller).id };
      const sums = await reportUsage(store, query.by, since, until, query.timeZone ?? own, of);
      return { items: await nameOwners(store, query.by, sums), next: null };
    },
  }),
];
