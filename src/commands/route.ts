// `sekisho route …`: services that are published while the gateway runs. Only a running gateway knows whether they respond
// (GET /management/v1/routes).
import type { Command } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import { routeRulesOf } from '../management/routes/route-rules.ts';
import {
  changeRoute,
  createRoute,
  deleteRoute,
  type RouteFields,
  requireRoute,
  showFixedRoute,
  showRoute,
} from '../management/routes/routes.ts';
import { parseJsonc } from '../settings/jsonc.ts';
import { ownHostsOf, readRoutesFile } from '../settings/routes-file.ts';
import {
  type CommandContext,
  fileText,
  type Json,
  pairs,
  printGone,
  printNamed,
  printRows,
  type WithContext,
  words,
} from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

/** What can be read of a route without a running gate. */
function offline(shown: ReturnType<typeof showRoute>): Record<string, unknown> {
  const { state: _state, reason: _reason, servers: _servers, options, ...rest } = shown;
  return { ...rest, ...options };
}

const lists = new Set(['upstreams', 'methods', 'credential', 'cookies', 'cors', 'request', 'response', 'origins']);
const noted =
  'path=…, hostName=…, upstreams=<list>, methods=<list>, secretFile=…, slots=…, cost.fixed=…, timeouts.total=… and so on, ' +
  'as listed in docs/services.md; none restores the default of an option';

/** Options as `name=value`, with a dot before an inner one. */
function fieldsOf(texts: readonly string[]): RouteFields {
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(pairs(texts))) {
    const [outer = '', inner, ...rest] = name.split('.');
    if (rest.length > 0) throw new Refusal(`A route has no option "${name}".`);
    if (inner === undefined) fields[outer] = valueOf(outer, value);
    else fields[outer] = { ...(fields[outer] as object | undefined), [inner]: valueOf(inner, value) };
  }
  return fields;
}

function valueOf(name: string, value: string): unknown {
  if (value === 'none') return null;
  if (lists.has(name)) return words(value);
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}

/** Inner options that are not named stay. */
const merged = (before: RouteFields, after: RouteFields): RouteFields =>
  Object.fromEntries(
    Object.entries(after).map(([name, value]) => {
      const old = before[name];
      const isInner = [old, value].every((each) => typeof each === 'object' && each !== null && !Array.isArray(each));
      return [name, isInner ? { ...(old as object), ...(value as object) } : value];
    }),
  );

const rulesOf = ({ config }: Pick<CommandContext, 'config'>) => {
  const ownHosts = ownHostsOf(config);
  const listening = { host: config.host, ports: [config.port, config.httpPort], publicUrl: config.publicUrl };
  return routeRulesOf(
    { ...listening, serverFiles: config.serverFiles },
    readRoutesFile(config.routes, ownHosts),
    ownHosts,
  );
};

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function routeCommand(program: Command, withContext: WithContext): void {
  const route = program
    .command('route')
    .description('manage other services that the gateway publishes; changes take effect within a second');

  route
    .command('list')
    .description('list all routes, those of the routes file first')
    .option('--json', 'one JSON array')
    .action(({ json }: Json) =>
      withContext(async (context) => {
        const rows = [
          ...rulesOf(context).fixed.map((each) => showFixedRoute(each, undefined)),
          ...(await context.store.listRoutes()).map((each) => showRoute(each, undefined)),
        ];
        const columns = ['id', 'name', 'path', 'hostName', 'fixed', 'upstreams', 'scope'];
        printRows(rows.map(offline), columns, json, 'There are no published services.');
      }),
    );

  route
    .command('show')
    .argument('<name>', 'name or ID')
    .description('show every option of a route, including defaults')
    .option('--json', 'one JSON object')
    .action((name: string, { json }: Json) =>
      withContext(async ({ store }) =>
        printNamed(store, offline(showRoute(await requireRoute(store, name), undefined)), json),
      ),
    );

  route
    .command('add')
    .argument('<name>', 'lowercase letters, digits and hyphens')
    .argument('[option=value...]', noted)
    .option('--file <path>', 'read options from a JSON file; options on the command line override it')
    .description('publish a service')
    .option('--json', 'one JSON object')
    .action((name: string, texts: string[], { file, json }: Json & { readonly file?: string }) =>
      withContext(async (context) => {
        const { store, author } = context;
        const given = file === undefined ? {} : objectIn(file);
        const fields = { ...given, ...merged(given, fieldsOf(texts)), name };
        await printNamed(
          store,
          offline(showRoute(await createRoute(store, fields, rulesOf(context), author), undefined)),
          json,
        );
      }),
    );

  route
    .command('set')
    .argument('<name>', 'name or ID')
    .argument('[option=value...]', `name=…, ${noted}`)
    .description('change a route; running calls continue unchanged')
    .option('--json', 'one JSON object')
    .action((name: string, texts: string[], { json }: Json) =>
      withContext(async (context) => {
        const { store, author } = context;
        const { options } = await requireRoute(store, name);
        const changed = await changeRoute(store, name, merged(options, fieldsOf(texts)), rulesOf(context), author);
        await printNamed(store, offline(showRoute(changed, undefined)), json);
      }),
    );

  route
    .command('remove')
    .argument('<name>', 'name or ID')
    .description('stop publishing a service; running calls may continue for server_drain_seconds')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((named: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { id, name } = await requireRoute(store, named);
        await confirm(`The route ${name} will be removed.`, sure);
        await deleteRoute(store, id, author);
        printGone({ id, name, removed: true }, json, `The route ${name} is removed.`);
      }),
    );
}

/** @throws Refusal. */
function objectIn(path: string): RouteFields {
  let content: unknown;
  try {
    content = parseJsonc(fileText(path));
  } catch (error) {
    throw new Refusal(`${path}: ${(error as Error).message}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw new Refusal(`${path} must hold one route, as an object.`);
  return content as RouteFields;
}
