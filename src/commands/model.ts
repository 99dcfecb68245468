// `sekisho model …`: aliases of models, and fallbacks. What concerns the models themselves is in server-models.ts.
import type { Command } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import {
  changeModelName,
  createModelName,
  deleteModelName,
  type NameFields,
  requireModelName,
  showModelName,
} from '../management/model-names/model-names.ts';
import { type Json, pairs, printGone, printObject, printRows, type WithContext, words } from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';
import type { CallGate } from './gate-call.ts';
import { addServerModels } from './server-models.ts';

const noted = 'target=<model>, plan:<plan>=<model>, fallbacks=<list of models>; none removes a value';

/** @throws Refusal for a field that there is not. */
function fieldsOf(texts: readonly string[]): NameFields {
  const plans: [plan: string, model: string | null][] = [];
  const fields: { name?: string; target?: string | null; fallbacks?: string[] } = {};
  for (const [name, value] of Object.entries(pairs(texts))) {
    const isNone = value === 'none';
    if (name === 'name') fields.name = value;
    else if (name === 'target') fields.target = isNone ? null : value;
    else if (name === 'fallbacks') fields.fallbacks = isNone ? [] : words(value);
    else if (name.startsWith('plan:')) plans.push([name.slice(5), isNone ? null : value]);
    else throw new Refusal(`A model name has no field "${name}". Use ${noted}.`);
  }
  return { ...fields, plans: Object.fromEntries(plans) };
}

export function modelCommand(program: Command, withContext: WithContext, callGate: CallGate): void {
  const model = program.command('model').description('manage aliases and fallbacks, and the models on the servers');

  addLooks(model, withContext);
  addChanges(model, withContext);
  addServerModels(model, callGate);
}

function addLooks(model: Command, withContext: WithContext): void {
  model
    .command('list')
    .description('list all aliases and fallbacks')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async ({ store }) => {
        const rows = (await store.listModelNames()).map(showModelName);
        printRows(rows, ['id', 'name', 'target', 'plans', 'fallbacks'], json, 'There are no aliases or fallbacks.');
      }),
    );

  model
    .command('show')
    .argument('<name>', 'name or ID')
    .description('show an alias, or the fallbacks of a model')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store }) => printObject(showModelName(await requireModelName(store, name)), json)),
    );
}

function addChanges(model: Command, withContext: WithContext): void {
  model
    .command('add')
    .argument('<name>', 'the name that callers use, such as default or gpt-4o-mini')
    .argument('<field=value...>', noted)
    .description('add an alias, or fallbacks for a model; takes effect within a second')
    .option('--json', 'one JSON object')
    .action((name: string, texts: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject(showModelName(await createModelName(store, { ...fieldsOf(texts), name }, author)), json),
      ),
    );

  model
    .command('set')
    .argument('<name>', 'name or ID')
    .argument('<field=value...>', `name=…, ${noted}`)
    .description('change a name; running calls keep their model')
    .option('--json', 'one JSON object')
    .action((name: string, texts: string[], { json }: Json) =>
      withContext(async ({ store, author }) =>
        printObject(showModelName(await changeModelName(store, name, fieldsOf(texts), author)), json),
      ),
    );

  model
    .command('remove')
    .argument('<name>', 'name or ID')
    .description('remove a name; the models themselves stay')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((named: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { id, name } = await requireModelName(store, named);
        await confirm(`The model name ${name} will be removed, and calls for it will fail.`, sure);
        await deleteModelName(store, id, author);
        printGone({ id, name, removed: true }, json, `The model name ${name} is removed.`);
      }),
    );
}
