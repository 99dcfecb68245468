// `sekisho suspension …`, `sekisho rule …` and `sekisho audit`: the ladder, and what was changed.
import { type Command, InvalidArgumentError } from 'commander';
import { type Step, stepMeanings, steps } from '../domain/rule.ts';
import { inForce } from '../domain/suspension.ts';
import { requireAccount } from '../management/accounts/accounts.ts';
import { listAudit } from '../management/audit/audit-log.ts';
import { changeRule, createRule, deleteRule, requireRule } from '../management/rules/rules.ts';
import {
  answer,
  appeal,
  lift,
  type NewSuspension,
  requireSuspension,
  showSuspension,
  suspend,
} from '../management/suspensions/suspensions.ts';
import { duration, type Json, pairs, print, printObject, printRows, rowCount, type WithContext } from './command.ts';

type Hand = Exclude<Step, 'revoke'>;
const hands = steps.filter((step): step is Hand => step !== 'revoke');

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function suspensionCommand(program: Command, withContext: WithContext): void {
  const suspension = program
    .command('suspension')
    .description('steps against accounts and keys: see, take, lift; appeals and answers');

  suspension
    .command('list')
    .description('the newest first')
    .option('--account <name>', 'of one account')
    .option('--all', 'those that are over, lifted or taken in shadow as well')
    .option('--limit <rows>', 'how many', rowCount, 100)
    .option('--json', 'one JSON array')
    .action(({ account, all, limit, json }: { account?: string; all?: boolean; limit: number } & Json) =>
      withContext(async ({ store, author }) => {
        const filter = account === undefined ? {} : { accountId: (await requireAccount(store, account)).id };
        const found = await store.listSuspensions({ ...filter, limit });
        const rows = found.filter((each) => all === true || inForce(each, author.at)).map(showSuspension);
        const columns = ['id', 'account', 'key', 'step', 'rule', 'shadow', 'createdAt', 'endsAt', 'liftedAt', 'appeal'];
        printRows(rows, columns, json, 'Nothing is in force against anybody.');
      }),
    );

  suspension
    .command('show')
    .argument('<id>')
    .description('a step with its evidence, appeal and answer')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store }) => printObject(showSuspension(await requireSuspension(store, id)), json)),
    );

  suspension
    .command('create')
    .argument('<whom>', 'name or id of an account, or id of a key')
    .requiredOption('--reason <text>', 'one sentence; the caller gets to read it')
    .option('--step <step>', hands.map((step) => `${step}: ${stepMeanings[step]}`).join('; '), handStep, 'suspend')
    .option('--for <time>', 'how long, such as 12h; without it until it is lifted', duration)
    .description('take a step by hand')
    .option('--json', 'one JSON object')
    .action((whom: string, options: { reason: string; step: Hand; for?: number } & Json) =>
      withContext(async ({ store, author }) => {
        const endsAt = options.for === undefined ? null : author.at + options.for;
        const asked: NewSuspension = { whom, step: options.step, reason: options.reason, endsAt };
        printObject(showSuspension(await suspend(store, asked, author)), options.json);
      }),
    );

  suspension
    .command('lift')
    .argument('<id>')
    .description('undo a step now')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store, author }) => printObject(showSuspension(await lift(store, id, author)), json)),
    );

  suspension
    .command('appeal')
    .argument('<id>')
    .requiredOption('--text <text>', 'what the suspended person has to say')
    .description('write down an appeal')
    .option('--json', 'one JSON object')
    .action((id: string, { text, json }: { text: string } & Json) =>
      withContext(async ({ store, author }) =>
        printObject(showSuspension(await appeal(store, id, text, author)), json),
      ),
    );

  suspension
    .command('answer')
    .argument('<id>')
    .requiredOption('--text <text>', 'the answer')
    .option('--lift', 'the appeal was right: lift the step as well')
    .description('answer an appeal')
    .option('--json', 'one JSON object')
    .action((id: string, { text, lift: lifts, json }: { text: string; lift?: boolean } & Json) =>
      withContext(async ({ store, author }) =>
        printObject(showSuspension(await answer(store, id, text, lifts === true, author)), json),
      ),
    );
}

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function ruleCommand(program: Command, withContext: WithContext): void {
  const rule = program.command('rule').description('when a step is taken by itself; a change holds within a second');

  rule
    .command('list')
    .description('all rules')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => {
        const columns = ['name', 'measure', 'per', 'windowSeconds', 'threshold', 'step', 'durationSeconds', 'plans'];
        printRows(await store.listRules(), [...columns, 'shadow', 'enabled'], json, 'There is no rule.');
      }),
    );

  rule
    .command('show')
    .argument('<name>')
    .description('a rule')
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
    .description(
      'make a rule, such as: rule create night measure=tokens per=account windowSeconds=3600 threshold=100000 step=slow durationSeconds=3600 shadow=on',
    )
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
    .description('delete a rule; steps it has taken stay')
    .action((name: string) =>
      withContext(async ({ store, author }) => {
        await deleteRule(store, name, author);
        print(`The rule ${name} is gone.`);
      }),
    );
}

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

function handStep(text: string): Hand {
  const step = hands.find((each) => each === text);
  if (!step) throw new InvalidArgumentError(`It is one of ${hands.join(', ')}.`);
  return step;
}
