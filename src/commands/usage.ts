// `sekisho usage`: the newest rows of the ledger, or sums by key, account, model, hour, day or month, with filters for both. Sums come
// from the roll-ups, but by outcome or requested name from single records.
import { type Command, Option } from 'commander';
import { canonicalText } from '../domain/model-name.ts';
import { iso } from '../domain/time.ts';
import { type Outcome, outcomes, type UnitSums, type UsageRecord } from '../domain/usage.ts';
import { sumRecords } from '../management/usage/sum-records.ts';
import { nameOwners, type ReportGroup, reportUsage } from '../management/usage/usage-report.ts';
import { theOneOf, whoseOf } from '../management/usage/whose.ts';
import type { Store } from '../store/ports/store.ts';
import type { UsageFilter } from '../store/ports/usage.ts';
import { type CommandContext, type Json, pastMoment, printRows, rowCount, type WithContext } from './command.ts';

interface Options extends Json {
  readonly by?: ReportGroup;
  readonly account?: string;
  readonly key?: string;
  readonly model?: string;
  readonly asked?: string;
  readonly outcome?: Outcome;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
}

const monthMs = 30 * 86_400_000;

/** The parts of the tokens that have a column: those that a model server has reported. */
const partsIn = (rows: readonly object[]): string[] =>
  ['cacheReadTokens', 'cacheWriteTokens', 'reasoningTokens'].filter((name) =>
    rows.some((row) => (row as Readonly<Record<string, unknown>>)[name] !== 0),
  );

/** What services cost has a column if any call did. */
const costIn = (rows: readonly object[]): string[] => (rows.some((row) => Object.hasOwn(row, 'cost')) ? ['cost'] : []);

/** So have the names that were asked for. */
const namesAsked = (rows: readonly Pick<UsageRecord, 'askedModel' | 'fallbackFor'>[]): string[] =>
  (['askedModel', 'fallbackFor'] as const).filter((name) => rows.some((row) => row[name] !== null));

const costText = (units: UnitSums): string =>
  Object.entries(units)
    .map(([unit, amount]) => `${amount} ${unit}`)
    .join(', ');

export function usageCommand(program: Command, withContext: WithContext): void {
  program
    .command('usage')
    .description('show usage: the newest rows of the ledger, or sums with --by')
    .addOption(
      new Option('--by <group>', 'add up; by outcome or requested name over at most RETENTION_DAYS').choices([
        'key',
        'account',
        'model',
        'hour',
        'day',
        'month',
      ]),
    )
    .option('--account <text>', 'only one account by name or ID, or all whose name or email contains the text')
    .option('--key <text>', 'only one key by ID, or all whose name contains the text')
    .option('--model <name>', 'only one model, or one service as route:<name>')
    .option('--asked <name>', 'only calls that requested this alias')
    .addOption(new Option('--outcome <outcome>', 'only this outcome').choices(outcomes))
    .option('--since <when>', 'a date, or a time ago such as 7d (default with --by: 30d)', pastMoment)
    .option('--until <when>', 'a date, or a time ago (default with --by: now)', pastMoment)
    .option('--limit <rows>', 'maximum number of rows, without --by', rowCount, 20)
    .option('--json', 'one JSON array')
    .action((options: Options) =>
      withContext((context) => (options.by ? printSums(context, options, options.by) : printUsage(context, options))),
    );
}

function narrowed({ model, asked, outcome }: Options): UsageFilter {
  return {
    ...(model === undefined ? {} : { model }),
    ...(asked === undefined ? {} : { askedModel: canonicalText(asked) }),
    ...(outcome === undefined ? {} : { outcome }),
  };
}

async function printSums({ store, config, author }: CommandContext, options: Options, by: ReportGroup): Promise<void> {
  const until = options.until ?? author.at;
  const since = options.since ?? until - monthMs;
  const { timeZone } = config;
  const { askedModel, outcome, ...kept } = narrowed(options);
  const sums =
    askedModel === undefined && outcome === undefined
      ? await reportUsage(store, by, since, until, timeZone, { ...kept, ...(await theOneOf(store, options)) })
      : await sumRecords(store, by, timeZone, {
          ...narrowed(options),
          ...(await whoseOf(store, options)),
          since,
          until,
        });
  const rows = (await nameOwners(store, by, sums)).map(
    ({ group, name, accountName, promptTokens, completionTokens, ...rest }) => ({
      // An account is found by its name, a key only by its id.
      [by]: group === '' ? null : by === 'account' && options.json !== true ? (name ?? group) : group,
      ...(name === null ? {} : { name }),
      ...(accountName === null ? {} : { accountName }),
      promptTokens,
      completionTokens,
      tokens: promptTokens + completionTokens,
      ...rest,
      ...(options.json === true || !rest.units ? {} : { cost: costText(rest.units) }),
    }),
  );
  const names = by === 'key' ? ['name', 'accountName'] : [];
  const columns = [by, ...names, 'requests', 'refused', 'failed', 'promptTokens', 'completionTokens'];
  const shown = [...columns, 'tokens', ...partsIn(rows), 'estimated', ...costIn(rows)];
  printRows(rows, shown, options.json, 'No usage in this period.');
}

async function printUsage({ store }: CommandContext, options: Options): Promise<void> {
  const { since, until } = options;
  const filter = {
    ...narrowed(options),
    ...(await whoseOf(store, options)),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
  const found = await newest(store, filter, options.limit);
  const names = await store.displayNames(found.flatMap(({ accountId, keyId }) => [accountId, keyId]));
  const nameOf = (id: string): string => names.get(id)?.name ?? id;
  const rows = found.map((row) => ({
    ...row,
    at: iso(row.at),
    account: nameOf(row.accountId),
    key: nameOf(row.keyId),
    ...(options.json === true || !row.cost ? {} : { cost: costText({ [row.cost.unit]: row.cost.units }) }),
  }));
  const columns = ['at', 'account', 'key', 'operation', 'model', ...namesAsked(rows)];
  const ended = ['outcome', 'status', 'repeats', 'promptTokens', 'completionTokens'];
  printRows(
    rows,
    [...columns, ...ended, ...partsIn(rows), ...costIn(rows), 'source', 'queuedMs', 'durationMs'],
    options.json,
    'No usage yet.',
  );
}

/** Page by page: a page of a filtered ledger may be short and still have a next one. */
async function newest(store: Store, filter: UsageFilter, limit: number): Promise<UsageRecord[]> {
  const found: UsageRecord[] = [];
  let before: string | undefined;
  do {
    const { rows, next } = await store.searchUsage(filter, limit - found.length, before);
    found.push(...rows);
    before = next;
  } while (before !== undefined && found.length < limit);
  return found;
}
