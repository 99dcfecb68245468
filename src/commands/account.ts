// `sekisho account …`: accounts, their plans and roles, and one-time links for people who have no password yet.
import { type Command, Option } from 'commander';
import { type Role, roles } from '../domain/account.ts';
import type { Author } from '../domain/audit.ts';
import { Refusal } from '../domain/refusal.ts';
import { changeAccount, createAccount, requireAccount, showAccount } from '../management/accounts/accounts.ts';
import { closeAccount, linkFor } from '../management/people/people.ts';
import { type Config, pageUrl } from '../settings/config.ts';
import type { Store } from '../store/ports/store.ts';
import { type Json, printGone, printNamed, printRows, type WithContext } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

interface NewAccount {
  readonly plan?: string;
  readonly operator?: boolean;
  readonly auditor?: boolean;
}

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function accountCommand(program: Command, withContext: WithContext): void {
  const account = program.command('account').description('manage accounts: people and services that own keys');

  account
    .command('list')
    .description('list all accounts, oldest first')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store, author }) => {
        const accounts = await store.listAccounts();
        const rows = await Promise.all(accounts.map((each) => showAccount(store, each, author.at)));
        printRows(rows, ['id', 'name', 'plan', 'keys', 'inForce', 'createdAt'], json, 'There are no accounts.');
      }),
    );

  account
    .command('show')
    .argument('<name>', 'name or ID')
    .description('show an account, its plan and its suspensions')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store, author }) =>
        printNamed(store, await showAccount(store, await requireAccount(store, name), author.at), json),
      ),
    );

  account
    .command('create')
    .argument('<name>')
    .option('--plan <name>', 'its plan (default: "default"; operators have none)')
    .option('--operator', 'the person may change everything')
    .option('--auditor', 'the person may see everything')
    .description('create an account; for operators and auditors, also a one-time link to set it up')
    .option('--json', 'one JSON object')
    .action((name: string, { plan, operator, auditor, json }: NewAccount & Json) =>
      withContext(async ({ store, author, config }) => {
        const role = operator ? 'operator' : auditor ? 'auditor' : 'member';
        const made = await createAccount(store, name, plan, author, role);
        const shown = await showAccount(store, made, author.at);
        if (role === 'member') await printNamed(store, shown, json);
        else
          await printNamed(
            store,
            { ...shown, ...(await showLink(store, config, made.id, 'setup', author)) },
            json,
            lossOf(name),
          );
      }),
    );

  account
    .command('set')
    .argument('<name>', 'name or ID')
    .option('--plan <name>', 'its new plan')
    .addOption(new Option('--role <role>', 'its new role').choices(roles))
    .description('change the plan or role of an account')
    .option('--json', 'one JSON object')
    .action((name: string, { plan, role, json }: { plan?: string; role?: Role } & Json) =>
      withContext(async ({ store, author }) => {
        if (plan === undefined && role === undefined) throw new Refusal('Give --plan or --role.');
        await printNamed(
          store,
          await showAccount(store, await changeAccount(store, name, { plan, role }, author), author.at),
          json,
        );
      }),
    );

  account
    .command('link')
    .argument('<name>', 'name or ID')
    .description('create a one-time link: to choose a new password, or to set up an account that no one signs in to')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store, author, config }) => {
        const { id } = await requireAccount(store, name);
        const purpose = (await store.findPersonOf(id)) ? 'password' : 'setup';
        await printNamed(store, await showLink(store, config, id, purpose, author), json, lossOf(name));
      }),
    );

  account
    .command('close')
    .argument('<name>', 'name or ID')
    .description(
      'close an account permanently: revoke its keys, remove its person and texts; usage figures stay in the ledger',
    )
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((name: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { id } = await requireAccount(store, name);
        await confirm(`The account ${name} will be closed, and its keys revoked.`, sure);
        await closeAccount(store, id, author);
        printGone({ id, name, closed: true }, json, `The account ${name} is closed.`);
      }),
    );
}

const lossOf = (name: string): string => `The link is lost; create another (account link ${name}).`;

async function showLink(
  store: Store,
  config: Config,
  account: string,
  purpose: 'setup' | 'password',
  author: Author,
): Promise<{ readonly link: string; readonly linkEndsAt: string }> {
  const { url, expiresAt } = await linkFor({ store, portal: pageUrl(config) }, account, purpose, author);
  return { link: url, linkEndsAt: new Date(expiresAt).toISOString() };
}
