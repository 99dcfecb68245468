// `sekisho maintenance …`: refuse new calls for a while.
import type { Command } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import {
  beginMaintenance,
  endMaintenance,
  readMaintenance,
  showMaintenance,
} from '../management/maintenance/maintenance.ts';
import { duration, type Json, moment, printGone, printObject, type WithContext } from './command.ts';

interface Asked extends Json {
  readonly message?: string;
  readonly until?: number;
  readonly for?: number;
}

export function maintenanceCommand(program: Command, withContext: WithContext): void {
  const maintenance = program
    .command('maintenance')
    .description('refuse new calls for a while; those that wait or run finish');

  maintenance
    .command('show')
    .description('whether there is maintenance')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject(showMaintenance(await readMaintenance(store, author.at)), json),
      ),
    );

  maintenance
    .command('on')
    .option('--message <text>', 'what callers are told')
    .option('--until <when>', 'when it ends by itself: a date, or a time from now', moment)
    .option('--for <time>', 'how long it lasts, such as 90m', duration)
    .description('begin it, or change it; a running gate follows within a second')
    .option('--json', 'one JSON object')
    .action(({ message, until, for: lasts, json }: Asked) =>
      withContext(async ({ store, author }) => {
        if (until !== undefined && lasts !== undefined) throw new Refusal('Write --until or --for, not both.');
        const ends = lasts === undefined ? until : author.at + lasts;
        printObject(showMaintenance(await beginMaintenance(store, { message, until: ends }, author)), json);
      }),
    );

  maintenance
    .command('off')
    .description('end it')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store, author }) => {
        const was = await endMaintenance(store, author);
        const sentence = was ? 'Maintenance is over.' : 'There is no maintenance.';
        printGone(showMaintenance(null), json, sentence);
      }),
    );
}
