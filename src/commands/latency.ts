// `sekisho latency`: requests, errors, times and speeds over the last hour to the last year.
import { type Command, Option } from 'commander';
import { type Period, periodNames } from '../domain/latency.ts';
import { type Health, readLatency, type Spread } from '../management/latency/latency.ts';
import { type Json, printObject, printRows, type WithContext } from './command.ts';

interface Options extends Json {
  readonly period: Period;
  readonly by: 'model' | 'server' | 'time' | 'code';
  readonly model?: string;
  readonly server?: string;
}

export function latencyCommand(program: Command, withContext: WithContext): void {
  program
    .command('latency')
    .description('show durations, queue waits and errors over time')
    .addOption(new Option('--period <period>', 'how far back').choices(periodNames).default('day'))
    .addOption(new Option('--by <group>', 'group by').choices(['model', 'server', 'time', 'code']).default('model'))
    .option('--model <name>', 'only one model, or one service as route:<name>')
    .option('--server <name>', 'only one server')
    .option('--json', 'one JSON object with all figures')
    .action(({ by, json, ...asked }: Options) =>
      withContext(async ({ store, author }) => {
        const read = await readLatency(store, { ...asked, until: author.at });
        if (json === true) {
          printObject(read, json);
          return;
        }
        const empty = 'No calls in this period.';
        if (by === 'code') {
          printRows(read.codes, ['outcome', 'code', 'requests'], json, empty);
          return;
        }
        const rows = by === 'time' ? read.points : by === 'model' ? read.models : read.servers;
        const name = by === 'time' ? 'at' : by;
        const filled = rows.filter(({ requests, running, waiting }) => requests + running + waiting > 0);
        printRows(
          filled.map((row) => ({ ...row, ...cells(row) })),
          [
            name,
            'requests',
            'refused',
            'failed',
            'firstTokenMs',
            'durationMs',
            'queueMs',
            'tokens/s',
            'running',
            'waiting',
          ],
          json,
          empty,
        );
      }),
    );
}

const cells = ({ firstToken, duration, queue, speed }: Health) => ({
  firstTokenMs: spreadText(firstToken),
  durationMs: spreadText(duration),
  queueMs: spreadText(queue),
  'tokens/s': spreadText(speed),
});

/** p50, p95 and p99. */
const spreadText = (spread: Spread | null): string =>
  spread === null ? '' : [spread.p50, spread.p95, spread.p99].map((value) => Math.round(value)).join(' / ');
