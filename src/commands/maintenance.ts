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
    .description('refuse new calls for a while; waiting and running calls finish');

  maintenance
    .command('show')
    .description('show whether maintenance is on')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject(showMaintenance(await readMaintenance(store, author.at)), json),
      ),
    );

  maintenance
    .command('on')
    .option('--message <text>', 'the message to callers')
    .option('--until <when>', 'when it ends automatically: a date, or a time from now', moment)
    .option('--for <time>', 'how long it lasts, such as 90m', duration)
    .description('start or change maintenance; takes effect within a second')
    .option('--json', 'one JSON object')
    .action(({ message, until, for: lasts, json }: Asked) =>
      withContext(async ({ store, author }) => {
        if (until !== undefined && lasts !== undefined) throw new Refusal('Give --until or --for, not both.');
        const ends = lasts === undefined ? until : author.at + lasts;
        printObject(showMaintenance(await beginMaintenance(store, { message, until: ends }, author)), json);
      }),
    );

  maintenance
    .command('off')
    .description('end maintenance')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store, author }) => {
        const was = await endMaintenance(store, author);
        const sentence = was ? 'Maintenance has ended.' : 'Maintenance was not on.';
        printGone(showMaintenance(null), json, sentence);
      }),
    );
}
