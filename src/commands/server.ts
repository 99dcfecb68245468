// `sekisho server …`: model servers that are added while the gateway runs. Their states are the last ones that a running
// gateway has written next to the database.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { formOf } from '../domain/plural.ts';
import { Refusal } from '../domain/refusal.ts';
import { resealSecrets } from '../management/servers/reseal.ts';
import { serverRulesOf } from '../management/servers/server-rules.ts';
import {
  changeServer,
  createServer,
  deleteServer,
  requireServer,
  type ServerFields,
  showFixedServer,
  showServer,
} from '../management/servers/servers.ts';
import {
  type CommandContext,
  type Json,
  pairs,
  printGone,
  printNamed,
  printRows,
  type WithContext,
  words,
} from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

/** What can be read of a server without a running gate. */
function offline(shown: ReturnType<typeof showServer>): Record<string, unknown> {
  const { state: _state, since: _since, reason: _reason, detectedKind: _kind, models: _models, ...rest } = shown;
  const { modelCount: _count, inFlight: _inFlight, ...stored } = rest;
  return stored;
}

/** What the running gate knows of it; empty without one. */
function withState(
  shown: ReturnType<typeof showServer>,
  { serverStates }: Pick<CommandContext, 'serverStates'>,
): Record<string, unknown> {
  const noted = serverStates()?.get(shown.id ?? shown.address);
  const since = noted?.since === null || noted === undefined ? null : new Date(noted.since).toISOString();
  return { ...offline(shown), state: noted?.state ?? null, since, reason: noted?.reason ?? null };
}

const files = ['secretFile', 'caFile', 'certificateFile', 'keyFile'];
const noted =
  'kind=…, weight=…, plans=<list>, accounts=<list>, maintenance=true|false, secretFile=…, caFile=…, certificateFile=…, ' +
  'keyFile=…, and slots as <model>=<calls> or *=<calls>; none removes a value';

/** @throws Refusal for a field that there is not. */
function fieldsOf(texts: readonly string[]): ServerFields {
  const fields: Record<string, unknown> = {};
  const slots: Record<string, number> = {};
  for (const [name, value] of Object.entries(pairs(texts))) {
    const isNone = value === 'none';
    if (name === 'name' || name === 'address') fields[name] = value;
    else if (name === 'weight') fields[name] = Number(value);
    else if (name === 'maintenance') fields[name] = yesOrNo(name, value);
    else if (name === 'plans' || name === 'accounts') fields[name] = isNone ? null : words(value);
    else if (name === 'kind' || files.includes(name)) fields[name] = isNone ? null : value;
    else if (name === 'slots' && isNone) fields[name] = null;
    else if (/^\d+$/.test(value)) slots[name] = Number(value);
    else
      throw new Refusal(
        `A model server has no field "${name}", and "${value}" is not a number of slots. Use ${noted}.`,
      );
  }
  return { ...(Object.keys(slots).length > 0 ? { slots } : {}), ...fields };
}

function yesOrNo(name: string, value: string): boolean {
  if (value !== 'true' && value !== 'false') throw new Refusal(`${name} must be true or false.`);
  return value === 'true';
}

/** From standard input, because everyone on the machine can see the command line. */
const secretOf = ({ secret }: { readonly secret?: boolean }): ServerFields =>
  secret === true ? { secret: readFileSync(0, 'utf8').trim() } : {};

interface Given extends Json {
  readonly secret?: boolean;
}

/** `kindNames`: loaded only for what needs them. */
// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function serverCommand(
  program: Command,
  withContext: WithContext,
  kindNames: () => Promise<readonly string[]>,
): void {
  const server = program.command('server').description('manage model servers; changes take effect within a second');
  const rulesOf = async ({ config }: Pick<CommandContext, 'config'>) => serverRulesOf(config, await kindNames());

  server
    .command('list')
    .description('list all model servers, those of the settings first, with the states that a running gateway reports')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async (context) => {
        const { fixed } = await rulesOf(context);
        const rows = [
          ...fixed.map((address) => showFixedServer(address, undefined)),
          ...(await context.store.listServers()).map((each) => showServer(each, undefined)),
        ];
        const columns = [
          'id',
          'name',
          'address',
          'fixed',
          'kind',
          'weight',
          'plans',
          'accounts',
          'maintenance',
          'state',
          'reason',
        ];
        printRows(
          rows.map((row) => withState(row, context)),
          columns,
          json,
          'There are no model servers.',
        );
      }),
    );

  server
    .command('show')
    .argument('<name>', 'name or ID')
    .description('show a model server without its secret, and its state if the gateway runs')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async (context) =>
        printNamed(
          context.store,
          withState(showServer(await requireServer(context.store, name), undefined), context),
          json,
        ),
      ),
    );

  server
    .command('add')
    .argument('<name>', 'lowercase letters, digits and hyphens')
    .argument('<address>', 'such as http://10.0.0.7:11434')
    .argument('[field=value...]', noted)
    .option('--secret', 'read an API key or header lines from standard input, and store them encrypted')
    .description('add a model server')
    .option('--json', 'one JSON object')
    .action((name: string, address: string, texts: string[], given: Given) =>
      withContext(async (context) => {
        const { store, author } = context;
        const fields = { ...fieldsOf(texts), ...secretOf(given), name, address };
        const made = await createServer(store, fields, await rulesOf(context), author);
        await printNamed(store, offline(showServer(made, undefined)), given.json);
      }),
    );

  server
    .command('set')
    .argument('<name>', 'name or ID')
    .argument('[field=value...]', `name=…, address=…, ${noted}`)
    .option('--secret', 'read an API key or header lines from standard input, and store them encrypted')
    .option('--no-secret', 'delete its stored secret')
    .description('change a model server; running calls continue')
    .option('--json', 'one JSON object')
    .action((name: string, texts: string[], given: Given) =>
      withContext(async (context) => {
        const { store, author } = context;
        const secret = given.secret === false ? { secret: null } : secretOf(given);
        const changed = await changeServer(
          store,
          name,
          { ...fieldsOf(texts), ...secret },
          await rulesOf(context),
          author,
        );
        await printNamed(store, offline(showServer(changed, undefined)), given.json);
      }),
    );

  server
    .command('drain')
    .argument('<name>', 'name or ID')
    .description('send no new calls to a server; running calls continue (undo: server set <name> maintenance=false)')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async (context) => {
        const { store, author } = context;
        const drained = await changeServer(store, name, { maintenance: true }, await rulesOf(context), author);
        await printNamed(store, offline(showServer(drained, undefined)), json);
      }),
    );

  server
    .command('reseal')
    .description('encrypt every stored secret again, with the first key in the file of server_secret_key')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) =>
      withContext(async ({ store, config, author }) => {
        const done = await resealSecrets(store, config.serverSecretKey, author);
        printGone(
          { ...done },
          json,
          `Encrypted ${done.resealed.length} ${formOf(done.resealed.length, 'secret', 'secrets')} again; ${done.kept.length} already had the first key.`,
        );
      }),
    );

  server
    .command('remove')
    .argument('<name>', 'name or ID')
    .description('remove a model server; running calls may continue for server_drain_seconds')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((named: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { id, name } = await requireServer(store, named);
        await confirm(`The model server ${name} will be removed, with its secret.`, sure);
        await deleteServer(store, id, author);
        printGone({ id, name, removed: true }, json, `The model server ${name} is removed.`);
      }),
    );
}
