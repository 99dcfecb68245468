// `sekisho plan …`: named sets of limits.
import type { Command } from 'commander';
import { windowedNames } from '../domain/limit.ts';
import type { Plan } from '../domain/plan.ts';
import { changePlan, createPlan, deletePlan, requirePlan, showPlan } from '../management/plans/plans.ts';
import { type Json, pairs, printGone, printObject, printRows, type WithContext } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

/** Of the limits by window those that some plan sets; `plan show` has all of them. */
function columnsOf(plans: readonly Plan[]): string[] {
  const counted = windowedNames.filter((name) => plans.some((plan) => plan[name] !== null));
  return ['name', 'version', ...counted, 'concurrentRequests', 'queueWeight'];
}

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function planCommand(program: Command, withContext: WithContext): void {
  const plan = program
    .command('plan')
    .description('manage plans (named sets of limits); changes take effect within a second');

  plan
    .command('list')
    .description('list all plans')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => {
        const plans = await store.listPlans();
        printRows(plans.map(showPlan), columnsOf(plans), json, 'There are no plans.');
      }),
    );

  plan
    .command('show')
    .argument('<name>')
    .description('show every term of a plan')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store }) => printObject(showPlan(await requirePlan(store, name)), json)),
    );

  plan
    .command('create')
    .argument('<name>')
    .argument('[term=value...]', 'such as tokensPerDay=500000 models=gemma3:*; none removes a limit')
    .option('--like <plan>', 'copy the terms of another plan; without it, nothing is limited')
    .description('create a plan')
    .option('--json', 'one JSON object')
    .action((name: string, terms: string[], { like, json }: { like?: string } & Json) =>
      withContext(async ({ store, author }) =>
        printObject(showPlan(await createPlan(store, name, pairs(terms), like, author)), json),
      ),
    );

  plan
    .command('set')
    .argument('<name>')
    .argument('<term=value...>', 'such as tokensPerDay=500000; none removes a limit')
    .description('change terms of a plan')
    .option('--json', 'one JSON object')
    .action((name: string, terms: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject(showPlan(await changePlan(store, name, pairs(terms), author)), json),
      ),
    );

  plan
    .command('delete')
    .argument('<name>')
    .description('delete a plan that no account has')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((name: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        await requirePlan(store, name);
        await confirm(`The plan ${name} will be deleted.`, sure);
        await deletePlan(store, name, author);
        printGone({ name, deleted: true }, json, `The plan ${name} is deleted.`);
      }),
    );
}
