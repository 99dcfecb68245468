// `sekisho suspension …`: suspensions of accounts and keys, and appeals against them.
import { type Command, InvalidArgumentError } from 'commander';
import { type Step, stepMeanings, steps } from '../domain/rule.ts';
import { requireAccount } from '../management/accounts/accounts.ts';
import {
  answer,
  appeal,
  lift,
  type NewSuspension,
  nameSuspensions,
  requireSuspension,
  showSuspension,
  suspend,
} from '../management/suspensions/suspensions.ts';
import { duration, type Json, printNamed, printRows, rowCount, type WithContext } from './command.ts';

type Hand = Exclude<Step, 'revoke'>;
const hands = steps.filter((step): step is Hand => step !== 'revoke');

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function suspensionCommand(program: Command, withContext: WithContext): void {
  const suspension = program
    .command('suspension')
    .description('list, create and lift suspensions of accounts and keys; answer appeals');

  suspension
    .command('list')
    .description('list suspensions in force, newest first')
    .option('--account <name>', 'only one account')
    .option('--all', 'include expired, lifted and shadow suspensions')
    .option('--limit <rows>', 'maximum number of rows', rowCount, 100)
    .option('--json', 'one JSON array')
    .action(({ account, all, limit, json }: { account?: string; all?: boolean; limit: number } & Json) =>
      withContext(async ({ store, author }) => {
        const filter = account === undefined ? {} : { accountId: (await requireAccount(store, account)).id };
        const standing = all === true ? {} : { inForceAt: author.at };
        const found = await store.listSuspensions({ ...filter, ...standing, limit });
        const rows = await nameSuspensions(store, found.map(showSuspension));
        const columns = [
          'id',
          'accountName',
          'keyName',
          'step',
          'rule',
          'shadow',
          'createdAt',
          'endsAt',
          'liftedAt',
          'appeal',
        ];
        printRows(rows, columns, json, 'There are no suspensions in force.');
      }),
    );

  suspension
    .command('show')
    .argument('<id>')
    .description('show a suspension with its evidence, appeal and answer')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store }) => printNamed(store, showSuspension(await requireSuspension(store, id)), json)),
    );

  suspension
    .command('create')
    .argument('<whom>', 'name or ID of an account, or ID of a key')
    .requiredOption('--reason <text>', 'one sentence, which the caller can read')
    .option('--step <step>', hands.map((step) => `${step}: ${stepMeanings[step]}`).join('; '), handStep, 'suspend')
    .option('--for <time>', 'how long, such as 12h; without it, until it is lifted', duration)
    .description('restrict an account or key')
    .option('--json', 'one JSON object')
    .action((whom: string, options: { reason: string; step: Hand; for?: number } & Json) =>
      withContext(async ({ store, author }) => {
        const endsAt = options.for === undefined ? null : author.at + options.for;
        const asked: NewSuspension = { whom, step: options.step, reason: options.reason, endsAt };
        await printNamed(store, showSuspension(await suspend(store, asked, author)), options.json);
      }),
    );

  suspension
    .command('lift')
    .argument('<id>')
    .description('lift a suspension')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store, author }) => printNamed(store, showSuspension(await lift(store, id, author)), json)),
    );

  suspension
    .command('appeal')
    .argument('<id>')
    .requiredOption('--text <text>', 'the text of the appeal')
    .description('record an appeal')
    .option('--json', 'one JSON object')
    .action((id: string, { text, json }: { text: string } & Json) =>
      withContext(async ({ store, author }) =>
        printNamed(store, showSuspension(await appeal(store, id, text, author)), json),
      ),
    );

  suspension
    .command('answer')
    .argument('<id>')
    .requiredOption('--text <text>', 'the answer')
    .option('--lift', 'also lift the suspension')
    .description('answer an appeal')
    .option('--json', 'one JSON object')
    .action((id: string, { text, lift: lifts, json }: { text: string; lift?: boolean } & Json) =>
      withContext(async ({ store, author }) =>
        printNamed(store, showSuspension(await answer(store, id, text, lifts === true, author)), json),
      ),
    );
}

function handStep(text: string): Hand {
  const step = hands.find((each) => each === text);
  if (!step) throw new InvalidArgumentError(`Use one of ${hands.join(', ')}.`);
  return step;
}
