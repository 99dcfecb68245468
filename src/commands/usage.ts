// `sekisho usage`: the newest rows of the ledger, or sums by key, account, model, day or month.
import { type Command, Option } from 'commander';
import { Fault } from '../management/fault.ts';
import { type ReportGroup, reportUsage } from '../management/usage/usage-report.ts';
import { type Json, pastMoment, printRows, rowCount, type WithContext } from './command.ts';

interface Options extends Json {
  readonly by?: ReportGroup;
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

export function usageCommand(program: Command, withContext: WithContext): void {
  program
    .command('usage')
    .description('what was used: the newest rows of the ledger, or sums with --by')
    .addOption(new Option('--by <group>', 'add up').choices(['key', 'account', 'model', 'day', 'month']))
    .option('--since <when>', 'a date, or a time ago such as 7d; with --by, 30d if nothing is said', pastMoment)
    .option('--until <when>', 'a date, or a time ago; with --by, now if nothing is said', pastMoment)
    .option('--limit <rows>', 'how many rows, without --by', rowCount, 20)
    .option('--json', 'one JSON array')
    .action((options: Options) =>
      withContext(async ({ store, config, author }) => {
        if (options.by) {
          const until = options.until ?? author.at;
          const since = options.since ?? until - monthMs;
          const rows = (await reportUsage(store, options.by, since, until, config.timeZone)).map(
            ({ group, name, promptTokens, completionTokens, ...rest }) => ({
              [options.by as string]: group === '' ? null : group,
              ...(name === null ? {} : { name }),
              promptTokens,
              completionTokens,
              tokens: promptTokens + completionTokens,
              ...rest,
            }),
          );
          const names = options.by === 'key' || options.by === 'account' ? ['name'] : [];
          const columns = [options.by, ...names, 'requests', 'refused', 'failed', 'promptTokens', 'completionTokens'];
          const shown = [...columns, 'tokens', ...partsIn(rows), 'estimated'];
          printRows(rows, shown, options.json, 'Nothing was used in that time.');
          return;
        }
        if (options.since !== undefined || options.until !== undefined)
          throw new Fault('--since and --until go with --by: the newest rows have no beginning and no end.');
        const rows = (await store.listUsage(options.limit)).map((row) => ({
          ...row,
          at: new Date(row.at).toISOString(),
        }));
        const columns = ['at', 'keyId', 'operation', 'model', 'outcome', 'status', 'repeats', 'promptTokens'];
        printRows(
          rows,
          [...columns, 'completionTokens', ...partsIn(rows), 'source', 'queuedMs', 'durationMs'],
          options.json,
          'Nothing was used yet.',
        );
      }),
    );
}
