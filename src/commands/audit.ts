// `sekisho audit`: who changed what.
import type { Command } from 'commander';
import { listAudit } from '../management/audit/audit-log.ts';
import { type Json, printRows, rowCount, type WithContext } from './command.ts';

export function auditCommand(program: Command, withContext: WithContext): void {
  program
    .command('audit')
    .description('who changed what, from what, to what, when; the newest first')
    .option('--subject <id>', 'of one key, account, plan, rule or suspension')
    .option('--limit <rows>', 'how many', rowCount, 50)
    .option('--json', 'one JSON array')
    .action(({ subject, limit, json }: { subject?: string; limit: number } & Json) =>
      withContext(async ({ store }) =>
        printRows(
          await listAudit(store, subject, limit),
          ['at', 'actor', 'action', 'subject', 'from', 'to'],
          json,
          'Nothing has been changed yet.',
        ),
      ),
    );
}
