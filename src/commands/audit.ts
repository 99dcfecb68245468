// `sekisho audit`: who changed what.
import type { Command } from 'commander';
import { listAudit } from '../management/audit/audit-log.ts';
import { actorName } from '../management/names.ts';
import { type Json, printRows, rowCount, type WithContext } from './command.ts';

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
    .option('--search <text>', 'only changes of what has this ID, or this text in its name or email address')
    .option('--limit <rows>', 'how many', rowCount, 50)
    .option('--json', 'one JSON array')
    .action(({ subject, search, limit, json }: { subject?: string; search?: string; limit: number } & Json) =>
      withContext(async ({ store }) => {
        const events = await listAudit(store, { subject, search, limit });
        printRows(
          json === true ? events : events.map(named),
          ['at', 'actor', 'action', 'subject', 'from', 'to'],
          json,
          'There are no changes yet.',
        );
      }),
    );
}
