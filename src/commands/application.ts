// `sekisho registration …`, `sekisho invite …` and `sekisho application …`: who may apply for a key, and who gets one.
import type { Command } from 'commander';
import type { Application } from '../domain/application.ts';
import {
  createInvite,
  decide,
  requireApplication,
  setRegistration,
  showApplication,
  showInvite,
} from '../management/applications/applications.ts';
import { type Json, moment, pairs, print, printNamed, printRows, rowCount, type WithContext } from './command.ts';

const weekMs = 7 * 86_400_000;

export function registrationCommand(program: Command, withContext: WithContext): void {
  modeCommand(program, withContext);
  inviteCommand(program, withContext);
  applicationCommand(program, withContext);
}

function modeCommand(program: Command, withContext: WithContext): void {
  const registration = program.command('registration').description('choose who may apply for a key on the web pages');

  registration
    .command('show')
    .description('show the registration settings')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => printNamed(store, { ...(await store.readRegistration()) }, json)),
    );

  registration
    .command('set')
    .argument(
      '<field=value...>',
      'mode=open|domain|invite|approval|closed, domains=<list>, dotless=<list>, plan=<name>, maxPending=<count>',
    )
    .description('change the registration settings; takes effect immediately')
    .option('--json', 'one JSON object')
    .action((fields: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printNamed(store, { ...(await setRegistration(store, pairs(fields), author)) }, json),
      ),
    );
}

function inviteCommand(program: Command, withContext: WithContext): void {
  const invite = program.command('invite').description('create and list invitation codes');

  invite
    .command('create')
    .option('--email <address>', 'only valid for this address')
    .option('--plan <name>', 'the plan of the new account')
    .option('--expires <when>', 'a date, or a time from now (default: 7d)', moment)
    .description('create an invitation code; it is shown only once')
    .option('--json', 'one JSON object')
    .action((options: { email?: string; plan?: string; expires?: number } & Json) =>
      withContext(async ({ store, author }) => {
        const { email = null, plan = null, expires = author.at + weekMs } = options;
        const made = await createInvite(store, { email, plan, expiresAt: expires }, author);
        await printNamed(
          store,
          { ...showInvite(made.invite), code: made.code.reveal() },
          options.json,
          'The code is lost; create another (invite create).',
        );
      }),
    );

  invite
    .command('list')
    .option('--limit <rows>', 'maximum number of rows', rowCount, 50)
    .description('list invitations, newest first')
    .option('--json', 'one JSON array')
    .action(({ limit, json }: { limit: number } & Json) =>
      withContext(async ({ store }) => {
        const columns = ['id', 'email', 'plan', 'createdAt', 'expiresAt', 'usedAt'];
        printRows((await store.listInvites(limit)).map(showInvite), columns, json, 'There are no invitations.');
      }),
    );
}

function applicationCommand(program: Command, withContext: WithContext): void {
  const application = program.command('application').description('list and decide on applications');

  application
    .command('list')
    .option('--all', 'include applications that were decided')
    .option('--limit <rows>', 'maximum number of rows', rowCount, 50)
    .description('list waiting applications, newest first')
    .option('--json', 'one JSON array')
    .action(({ all, limit, json }: { all?: boolean; limit: number } & Json) =>
      withContext(async ({ store }) => {
        const found = await store.listApplications(all === true ? { limit } : { status: 'pending', limit });
        const columns = ['id', 'name', 'email', 'purpose', 'status', 'createdAt'];
        printRows(found.map(showApplication), columns, json, 'No applications are waiting.');
      }),
    );

  application
    .command('show')
    .argument('<id>')
    .description('show an application')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store }) => printNamed(store, showApplication(await requireApplication(store, id)), json)),
    );

  decision('approve', 'approved', 'approve an application; the applicant can then get their key').option(
    '--plan <name>',
    'the plan of the new account',
  );
  decision('reject', 'rejected', 'reject an application');

  function decision(verb: string, status: Exclude<Application['status'], 'pending'>, meaning: string): Command {
    return application
      .command(verb)
      .argument('<id>')
      .option('--text <text>', 'a message to the applicant')
      .description(meaning)
      .option('--json', 'one JSON object')
      .action((id: string, { plan, text, json }: { plan?: string; text?: string } & Json) =>
        withContext(async ({ store, author }) => {
          const decided = await decide(store, id, status, { plan, decision: text ?? null }, author);
          await printNamed(store, showApplication(decided), json);
          if (json !== true && status === 'approved')
            print('\nThe applicant gets the key with the token that they received.');
        }),
      );
  }
}
