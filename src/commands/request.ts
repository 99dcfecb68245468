// `sekisho request`: the request log. Lists requests by filters, and shows what happened to one.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Outcome, outcomes } from '../domain/usage.ts';
import {
  requestFilterOf,
  requireRequest,
  type ShownRequest,
  showRequest,
  showRequests,
} from '../management/requests/requests.ts';
import type { Store } from '../store/ports/store.ts';
import type { UsageFilter } from '../store/ports/usage.ts';
import {
  type Json,
  pastMoment,
  print,
  printNamed,
  printObject,
  printRows,
  rowCount,
  type WithContext,
} from './command.ts';

interface Options extends Json {
  readonly account?: string;
  readonly key?: string;
  readonly model?: string;
  readonly server?: string;
  readonly outcome?: Outcome;
  readonly status?: number;
  readonly code?: string;
  readonly since?: number;
  readonly until?: number;
  readonly slowerThan?: number;
  readonly queuedOver?: number;
  readonly limit: number;
}

export function requestCommand(program: Command, withContext: WithContext): void {
  const request = program.command('request').description('search the request log');
  request
    .command('list')
    .description('list requests with their times and tokens, newest first')
    .option('--account <text>', 'only one account by name or ID, or all whose name or email contains the text')
    .option('--key <text>', 'only one key by ID, or all whose name contains the text')
    .option('--model <name>', 'only one model, or one service as route:<name>')
    .option('--server <name>', 'only one server')
    .addOption(new Option('--outcome <outcome>', 'only this outcome').choices(outcomes))
    .option('--status <status>', 'only this HTTP status', wholeNumber)
    .option('--code <code>', 'only this error code, such as rate_limited')
    .option('--slower-than <ms>', 'only requests that took at least this many milliseconds', wholeNumber)
    .option('--queued-over <ms>', 'only requests that waited at least this many milliseconds', wholeNumber)
    .option('--since <when>', 'a date, or a time ago such as 2h', pastMoment)
    .option('--until <when>', 'a date, or a time ago', pastMoment)
    .option('--limit <rows>', 'maximum number of rows', rowCount, 20)
    .option('--json', 'one JSON array')
    .action((options: Options) => withContext(({ store }) => listRequests(store, options)));
  request
    .command('show')
    .description('show what happened to one request: its stages, changes to its body, and why it was refused')
    .argument('<id>', 'the ID in the header X-Request-Id of its answer')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) => withContext(({ store }) => printRequest(store, id, json)));
}

function wholeNumber(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new InvalidArgumentError('Write a whole number.');
  return Number(text);
}

const dateText = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();

async function listRequests(store: Store, options: Options): Promise<void> {
  const { since, until, slowerThan, queuedOver, limit, json, ...asked } = options;
  const filter = await requestFilterOf(store, {
    ...asked,
    since: dateText(since),
    until: dateText(until),
    minDurationMs: slowerThan,
    minQueuedMs: queuedOver,
  });
  const rows = await newest(store, filter, limit);
  if (json === true) {
    printRows(rows, [], json, '');
    return;
  }
  const shown = rows.map((row) => ({
    ...row,
    account: row.accountName,
    key: row.keyName,
    tokens: row.promptTokens + row.completionTokens,
    'tokens/s': row.tokensPerSecond,
  }));
  const columns = ['id', 'at', 'account', 'key', 'model', 'server', 'outcome', 'code', 'tokens', 'tokens/s'];
  printRows(shown, [...columns, 'queuedMs', 'firstTokenMs', 'durationMs'], json, 'No requests match.');
}

/** Page by page: a page that was narrowed down may be short and still have a next one. */
async function newest(store: Store, filter: UsageFilter, limit: number): Promise<ShownRequest[]> {
  const found: ShownRequest[] = [];
  let before: string | undefined;
  do {
    const { rows, next } = await store.searchUsage(filter, limit - found.length, before);
    found.push(...(await showRequests(store, rows, true)));
    before = next;
  } while (before !== undefined && found.length < limit);
  return found;
}

async function printRequest(store: Store, id: string, json: boolean | undefined): Promise<void> {
  const shown = await showRequest(store, await requireRequest(store, id), true);
  if (json === true) {
    printObject(shown, json);
    return;
  }
  const { stages, changes, accountName, keyName, accountId: _account, keyId: _key, ...rest } = shown;
  await printNamed(store, { account: accountName, key: keyName, ...rest, changes }, json);
  print('');
  printRows(
    stages.map(({ stage, fromMs, toMs }) => ({ stage, fromMs, toMs, ms: toMs - fromMs })),
    ['stage', 'fromMs', 'toMs', 'ms'],
    json,
    '',
  );
}
