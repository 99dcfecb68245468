// `sekisho rule …`: when an account or key is restricted automatically.
import type { Command } from 'commander';
import { changeRule, createRule, deleteRule, requireRule } from '../management/rules/rules.ts';
import { type Json, pairs, printGone, printObject, printRows, type WithContext } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function ruleCommand(program: Command, withContext: WithContext): void {
  const rule = program
    .command('rule')
    .description('manage rules that restrict accounts and keys automatically; changes take effect within a second');

  rule
    .command('list')
    .description('list all rules')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => {
        const columns = ['name', 'measure', 'per', 'windowSeconds', 'threshold', 'step', 'durationSeconds', 'plans'];
        printRows(await store.listRules(), [...columns, 'shadow', 'enabled'], json, 'There are no rules.');
      }),
    );

  rule
    .command('show')
    .argument('<name>')
    .description('show a rule')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store }) => printObject({ ...(await requireRule(store, name)) }, json)),
    );

  rule
    .command('create')
    .argument('<name>')
    .argument(
      '<field=value...>',
      'measure, per, windowSeconds, threshold, step, durationSeconds, plans, shadow, enabled',
    )
    .description('create a rule')
    .option('--json', 'one JSON object')
    .action((name: string, fields: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject({ ...(await createRule(store, name, pairs(fields), author)) }, json),
      ),
    );

  rule
    .command('set')
    .argument('<name>')
    .argument('<field=value...>', 'such as threshold=5000000, shadow=on, enabled=off')
    .description('change a rule')
    .option('--json', 'one JSON object')
    .action((name: string, fields: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject({ ...(await changeRule(store, name, pairs(fields), author)) }, json),
      ),
    );

  rule
    .command('delete')
    .argument('<name>')
    .description('delete a rule; suspensions that it has made stay')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((name: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        await requireRule(store, name);
        await confirm(`The rule ${name} will be deleted.`, sure);
        await deleteRule(store, name, author);
        printGone({ name, deleted: true }, json, `The rule ${name} is deleted.`);
      }),
    );
}
