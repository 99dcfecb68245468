// `sekisho key …`
import { type Command, Option } from 'commander';
import { scopeMeanings } from '../domain/scope.ts';
import { requireAccount } from '../management/accounts/accounts.ts';
import {
  type CreatedKey,
  createKey,
  type NewKey,
  requireKey,
  revokeKey,
  rotateKey,
  showKey,
} from '../management/keys/keys.ts';
import { withAccountNames } from '../management/names.ts';
import type { Store } from '../store/ports/store.ts';
import {
  duration,
  fileText,
  type Json,
  moment,
  pairs,
  print,
  printNamed,
  printRows,
  publicKeyText,
  type WithContext,
  words,
} from './command.ts';
import { confirm, type Sure, yesOption } from './confirm.ts';

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function keyCommand(program: Command, withContext: WithContext): void {
  const key = program.command('key').description('create, list, rotate and revoke API keys');

  key
    .command('create')
    .description('create a key; its secret is shown only once')
    .requiredOption('--name <name>', 'whom or what the key is for')
    .option(
      '--account <name>',
      'the account that owns the key; created with the plan "default" if it does not exist',
      'operator',
    )
    .option(
      '--scopes <list>',
      `what the key may do: ${Object.keys(scopeMeanings).join(', ')}, and route:<name> for a service`,
      words,
    )
    .option('--models <list>', 'model patterns, such as "gemma3:*,llama3"', words)
    .option('--cidr <list>', 'address blocks from which the key may be used', words)
    .option('--expires <when>', 'a date, or a time from now such as 12h, 30d', moment)
    .option('--limit <term=value...>', 'limits of this key below those of the plan, such as tokensPerDay=50000')
    .option('--allow-path', 'allow the key in an address, /k/<key>/…, for clients that cannot send headers')
    .option('--public-key <file>', "an Ollama CLI's id_ed25519.pub instead of a secret (OLLAMA_AUTH=1)", publicKeyText)
    .option('--certificate <file>', 'a client certificate instead of a secret (tls_client_ca)', fileText)
    .option('--bound-certificate <file>', 'a client certificate that is required in addition to the secret', fileText)
    .option('--json', 'one JSON object')
    .action((options: Omit<NewKey, 'limits' | 'expiresAt'> & { expires?: number; limit?: string[] } & Json) =>
      withContext(async ({ store, author }) => {
        const { expires, json, limit, ...asked } = options;
        const limits = pairs(limit ?? []);
        await printKey(store, await createKey(store, { ...asked, limits, expiresAt: expires ?? null }, author), json);
      }),
    );

  key
    .command('list')
    .description('list all keys, oldest first')
    .option('--account <name>', 'only keys of this account')
    .option('--json', 'one JSON array')
    .action(({ account, json }: { account?: string } & Json) =>
      withContext(async ({ store }) => {
        const owner = account === undefined ? undefined : (await requireAccount(store, account)).id;
        const keys = (await store.listKeys()).filter(
          ({ accountId, ofPage }) => !ofPage && (owner === undefined || accountId === owner),
        );
        printRows(
          await withAccountNames(store, keys.map(showKey)),
          ['id', 'name', 'accountName', 'status', 'scopes', 'models', 'expiresAt', 'lastUsedAt'],
          json,
          'There are no keys. Create one: key create --name <name>',
        );
      }),
    );

  key
    .command('show')
    .argument('<id>')
    .description('show a key, without its secret')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async ({ store }) => printNamed(store, showKey(await requireKey(store, id)), json)),
    );

  key
    .command('revoke')
    .argument('<id>')
    .description('revoke a key immediately, and end its running calls')
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((id: string, { json, ...sure }: Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { name } = await requireKey(store, id);
        await confirm(`The key ${id} (${name}) will be revoked.`, sure);
        await printNamed(store, showKey(await revokeKey(store, id, author)), json);
      }),
    );

  key
    .command('rotate')
    .argument('<id>')
    .description('create a new secret with the same permissions')
    .addOption(
      new Option('--grace <time>', 'how long the old secret keeps working, such as 24h')
        .argParser(duration)
        .default(0, 'not at all'),
    )
    .option(...yesOption)
    .option('--json', 'one JSON object')
    .action((id: string, { grace, json, ...sure }: { grace: number } & Sure & Json) =>
      withContext(async ({ store, author }) => {
        const { name } = await requireKey(store, id);
        if (grace === 0) await confirm(`The secret of the key ${id} (${name}) will stop working.`, sure);
        await printKey(store, await rotateKey(store, id, grace, author), json);
      }),
    );
}

async function printKey(store: Store, { key: made, secret }: CreatedKey, json: boolean | undefined): Promise<void> {
  const loss = `The secret of ${made.id} is lost, but it works: revoke it (key revoke ${made.id}) and create another.`;
  const shown = { ...showKey(made), ...(secret ? { secret: secret.reveal() } : {}) };
  await printNamed(store, shown, json, secret ? loss : undefined);
  if (json !== true && secret) print('\nThe secret is shown only once. Send it as x-api-key or Authorization: Bearer.');
}
