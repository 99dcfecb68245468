// `sekisho audit`: who changed what.
import type { Command } from 'commander';
import { listAudit } from '../management/audit/audit-log.ts';
import { actorName } from '../management/names.ts';
import { type Json, pastMoment, printRows, rowCount, type WithContext } from './command.ts';

interface Options extends Json {
  readonly subject?: string;
  readonly search?: string;
  readonly actor?: string;
  readonly action?: string;
  readonly text?: string;
  readonly since?: number;
  readonly until?: number;
  readonly limit: number;
}

const dateText = (at: number | undefined): string | undefined =>
  at === undefined ? undefined : new Date(at).toISOString();

/** With names in the place of ids. */
const named = (event: Awaited<ReturnType<typeof listAudit>>[number]) => ({
  ...event,
  actor: actorName(event.names, event.actor),
  subject: event.names[event.subject] ?? event.subject,
});

export function auditCommand(program: Command, withContext: WithContext): void {
  program
    .command('audit')
    .description('list who changed what, and when, newest first')
    .option('--subject <id>', 'only changes of one key, account, plan, rule or suspension')
    .option('--search <text>', 'only changes to what has this ID, or this text in its name or email address')
    .option(
      '--actor <text>',
      'only changes by people or keys with this ID, or this text in their name or email address',
    )
    .option('--action <name>', 'only one action such as key.revoke, or one kind such as key')
    .option('--text <text>', 'only changes with this text in the action or the values')
    .option('--since <when>', 'a date, or a time ago such as 2h', pastMoment)
    .option('--until <when>', 'a date, or a time ago', pastMoment)
    .option('--limit <rows>', 'maximum number of rows', rowCount, 50)
    .option('--json', 'one JSON array')
    .action(({ limit, json, since, until, ...asked }: Options) =>
      withContext(async ({ store }) => {
        const events = await listAudit(store, { ...asked, since: dateText(since), until: dateText(until) }, limit);
        printRows(
          json === true ? events : events.map(named),
          ['at', 'actor', 'action', 'subject', 'from', 'to'],
          json,
          'There are no changes yet.',
        );
      }),
    );
}
