// The endpoints of the request log: all requests for operators, those of their own account for members.
import { z } from 'zod';
import type { Store } from '../../store/ports/store.ts';
import type { UsageFilter } from '../../store/ports/usage.ts';
import { ownAccount } from '../http/authenticate.ts';
import { readId, writeId } from '../http/cursor.ts';
import { type Endpoint, endpoint, streamed } from '../http/endpoint.ts';
import { pageOf, pageQuery } from '../http/fields.ts';
import { pagesOfUsage } from '../people/export.ts';
import { csvLine } from '../usage/csv.ts';
import { requestFilterOf, requireRequest, showRequest, showRequests } from './requests.ts';
import { ownRequestFilters, requestDetailSchema, requestFields, requestFilters, requestSchema } from './schemas.ts';

const group = 'Requests';
const needs = 'management:read';
/** Rows that a page may examine: about 20 ms, in short steps. */
const look = 20_000;
const columns = Object.keys(requestFields);

interface Asked {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

async function pageOfRequests(store: Store, filter: UsageFilter, { limit, cursor }: Asked, showsServer: boolean) {
  const { rows, next } = await store.searchUsage(
    filter,
    limit,
    cursor === undefined ? undefined : readId(cursor),
    look,
  );
  const items = await showRequests(store, rows, showsServer);
  return { items, next: next === undefined ? null : writeId(next) };
}

async function* linesOf(
  store: Store,
  filter: UsageFilter,
  showsServer: boolean,
  line: (row: object) => string,
  gone: AbortSignal,
): AsyncGenerator<string> {
  for await (const { rows } of pagesOfUsage(store, filter)) {
    if (gone.aborted) return;
    yield (await showRequests(store, rows, showsServer)).map(line).join('');
  }
}

const jsonLine = (row: object): string => `${JSON.stringify(row)}\n`;
const csvRow = (row: object): string =>
  csvLine(columns.map((name) => (row as Readonly<Record<string, unknown>>)[name]));

const csv = { type: 'text/csv', file: 'sekisho-requests.csv' } as const;
const jsonLines = { type: 'application/jsonl', file: 'sekisho-requests.jsonl' } as const;
const list = { group, fresh: 'never', pace: 'sum', answer: pageOf(requestSchema) } as const;
const exported = { group, fresh: 'never', pace: 'read' } as const;
const said = 'the newest first; a page that was narrowed down may be short, and still have a next';

export const requestEndpoints: readonly Endpoint[] = [
  endpoint('listRequests', 'get /requests', {
    ...list,
    summary: `Requests with their times and tokens, ${said}`,
    needs,
    query: z.strictObject({ ...pageQuery, ...requestFilters }),
    run: async ({ store, query }) => pageOfRequests(store, await requestFilterOf(store, query), query, true),
  }),
  streamed('exportRequestsCsv', 'get /requests/export.csv', {
    ...exported,
    ...csv,
    summary: 'The same requests as CSV, all of them',
    needs,
    query: z.strictObject(requestFilters),
    async *pieces({ store, query }, gone) {
      const filter = await requestFilterOf(store, query);
      yield csvLine(columns);
      yield* linesOf(store, filter, true, csvRow, gone);
    },
  }),
  streamed('exportRequestsJson', 'get /requests/export.jsonl', {
    ...exported,
    ...jsonLines,
    summary: 'The same requests as JSON Lines, all of them',
    needs,
    query: z.strictObject(requestFilters),
    async *pieces({ store, query }, gone) {
      yield* linesOf(store, await requestFilterOf(store, query), true, jsonLine, gone);
    },
  }),
  endpoint('getRequest', 'get /requests/{id}', {
    summary: 'The details of one request: its stages, changes to its body, and why it was refused',
    group,
    needs,
    fresh: 'never',
    pace: 'look',
    answer: requestDetailSchema,
    run: async ({ store, params }) => showRequest(store, await requireRequest(store, params['id'] ?? ''), true),
  }),
  endpoint('listOwnRequests', 'get /me/requests', {
    ...list,
    summary: `Requests of the caller’s account, ${said}`,
    needs: 'self',
    inView: true,
    query: z.strictObject({ ...pageQuery, ...ownRequestFilters }),
    run: async ({ store, query, caller }) => pageOfRequests(store, await ownFilter(store, query, caller), query, false),
  }),
  streamed('exportOwnRequestsCsv', 'get /me/requests/export.csv', {
    ...exported,
    ...csv,
    summary: 'The same requests of the caller’s account as CSV, all of them',
    needs: 'self',
    query: z.strictObject(ownRequestFilters),
    async *pieces({ store, query, caller }, gone) {
      const filter = await ownFilter(store, query, caller);
      yield csvLine(columns);
      yield* linesOf(store, filter, false, csvRow, gone);
    },
  }),
  streamed('exportOwnRequestsJson', 'get /me/requests/export.jsonl', {
    ...exported,
    ...jsonLines,
    summary: 'The same requests of the caller’s account as JSON Lines, all of them',
    needs: 'self',
    query: z.strictObject(ownRequestFilters),
    async *pieces({ store, query, caller }, gone) {
      yield* linesOf(store, await ownFilter(store, query, caller), false, jsonLine, gone);
    },
  }),
  endpoint('getOwnRequest', 'get /me/requests/{id}', {
    summary: 'The details of one request of the caller’s account',
    group,
    needs: 'self',
    fresh: 'never',
    pace: 'look',
    inView: true,
    answer: requestDetailSchema,
    run: async ({ store, params, caller }) =>
      showRequest(store, await requireRequest(store, params['id'] ?? '', ownAccount(caller).id), false),
  }),
];

const ownFilter = async (
  store: Store,
  query: Parameters<typeof requestFilterOf>[1],
  caller: Parameters<typeof ownAccount>[0],
): Promise<UsageFilter> => ({ ...(await requestFilterOf(store, query)), accountId: ownAccount(caller).id });
