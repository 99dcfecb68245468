// `sekisho plan …` and `sekisho account …`: who may use how much.
import type { Command } from 'commander';
import { createAccount, requireAccount, setPlan, showAccount } from '../management/accounts.ts';
import { changePlan, createPlan, deletePlan, requirePlan, showPlan } from '../management/plans.ts';
import { type Json, pairs, print, printObject, printRows, type WithDesk } from './command.ts';

const columns = [
  'name',
  'version',
  'requestsPerMinute',
  'tokensPerMinute',
  'tokensPerDay',
  'tokensPerMonth',
  'concurrentRequests',
  'queueWeight',
];

export function planCommand(program: Command, withDesk: WithDesk): void {
  const plan = program.command('plan').description('named bundles of limits; a change holds within a second');

  plan
    .command('list')
    .description('all plans')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withDesk(async ({ store }) =>
        printRows((await store.listPlans()).map(showPlan), columns, json, 'There is no plan.'),
      ),
    );

  plan
    .command('show')
    .argument('<name>')
    .description('every term of a plan')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withDesk(async ({ store }) => printObject(showPlan(await requirePlan(store, name)), json)),
    );

  plan
    .command('create')
    .argument('<name>')
    .argument('[term=value...]', 'such as tokensPerDay=500000 models=gemma3:*; none lifts a limit')
    .option('--like <plan>', 'start from the terms of another plan; else everything is open')
    .description('make a plan')
    .option('--json', 'one JSON object')
    .action((name: string, terms: string[], { like, json }: { like?: string } & Json) =>
      withDesk(async ({ store, author }) =>
        printObject(showPlan(await createPlan(store, name, pairs(terms), like, author)), json),
      ),
    );

  plan
    .command('set')
    .argument('<name>')
    .argument('<term=value...>', 'such as tokensPerDay=500000; none lifts a limit')
    .description('change terms of a plan')
    .option('--json', 'one JSON object')
    .action((name: string, terms: string[], { json }: Json) =>
      withDesk(async ({ store, author }) =>
        printObject(showPlan(await changePlan(store, name, pairs(terms), author)), json),
      ),
    );

  plan
    .command('delete')
    .argument('<name>')
    .description('delete a plan that no account has')
    .action((name: string) =>
      withDesk(async ({ store, author }) => {
        await deletePlan(store, name, author);
        print(`The plan ${name} is gone.`);
      }),
    );
}

export function accountCommand(program: Command, withDesk: WithDesk): void {
  const account = program.command('account').description('people and services that own keys');

  account
    .command('list')
    .description('all accounts, oldest first')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withDesk(async ({ store, author }) => {
        const accounts = await store.listAccounts();
        const rows = await Promise.all(accounts.map((each) => showAccount(store, each, author.at)));
        printRows(rows, ['id', 'name', 'plan', 'keys', 'inForce', 'createdAt'], json, 'There is no account.');
      }),
    );

  account
    .command('show')
    .argument('<name>', 'name or id')
    .description('an account, its plan and what is in force against it')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withDesk(async ({ store, author }) =>
        printObject(await showAccount(store, await requireAccount(store, name), author.at), json),
      ),
    );

  account
    .command('create')
    .argument('<name>')
    .option('--plan <name>', 'its plan; "default" if nothing is said')
    .description('make an account')
    .option('--json', 'one JSON object')
    .action((name: string, { plan, json }: { plan?: string } & Json) =>
      withDesk(async ({ store, author }) =>
        printObject(await showAccount(store, await createAccount(store, name, plan, author), author.at), json),
      ),
    );

  account
    .command('set')
    .argument('<name>', 'name or id')
    .requiredOption('--plan <name>', 'its plan from now on')
    .description('give an account another plan')
    .option('--json', 'one JSON object')
    .action((name: string, { plan, json }: { plan: string } & Json) =>
      withDesk(async ({ store, author }) =>
        printObject(await showAccount(store, await setPlan(store, name, plan, author), author.at), json),
      ),
    );
}
