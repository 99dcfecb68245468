#!/usr/bin/env node
// The `sekisho` command: thin, each verb calls one use case and prints what it gives. It writes to the same store as a
// running gate, which notices within a second.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Command, InvalidArgumentError } from 'commander';
import { describeConfig } from './config.ts';
import { scopeMeanings } from './domain/scope.ts';
import { readSettings, runGate } from './main.ts';
import {
  type CreatedKey,
  createKey,
  KeyFault,
  type NewKey,
  requireKey,
  revokeKey,
  rotateKey,
  showKey,
} from './management/keys.ts';
import { settings } from './settings.ts';
import type { Store } from './store/ports.ts';
import { openSqlite, StoreUnusable } from './store/sqlite.ts';

const program = new Command('sekisho')
  .description('The gate in front of Ollama and other model servers.')
  .showHelpAfterError();

program.command('serve').description('open the gate').action(runGate);

program
  .command('config')
  .description('print the effective settings, secrets hidden')
  .option('--json', 'one JSON object')
  .action((options: { json?: boolean }) => {
    const shown = describeConfig(readSettings());
    if (options.json === true) print(JSON.stringify(shown));
    else
      for (const { name, unit } of Object.values(settings))
        print(`${name}: ${JSON.stringify(shown[name])}${unit ? `  # ${unit}` : ''}`);
  });

const key = program.command('key').description('make, list, rotate and revoke API keys');

key
  .command('create')
  .description('make a key; its secret is shown this once')
  .requiredOption('--name <name>', 'who or what the key is for')
  .option('--account <name>', 'account that owns the key', 'operator')
  .option('--scopes <list>', `what it may do: ${Object.keys(scopeMeanings).join(', ')}`, words)
  .option('--models <list>', 'model patterns, such as "gemma3:*,llama3"', words)
  .option('--cidr <list>', 'address blocks it may be used from', words)
  .option('--expires <when>', 'a date, or a time from now such as 12h, 30d', moment)
  .option('--allow-path', 'may stand in an address, /k/<key>/…, for clients that cannot send headers')
  .option('--public-key <file>', "an Ollama CLI's id_ed25519.pub instead of a secret (OLLAMA_AUTH=1)", publicKeyText)
  .option('--json', 'one JSON object')
  .action((options: NewKey & { expires?: number; json?: boolean }) =>
    withStore(async (store) => {
      const { expires, json, ...asked } = options;
      printKey(await createKey(store, { ...asked, expiresAt: expires ?? null }, Date.now()), json);
    }),
  );

key
  .command('list')
  .description('all keys, oldest first')
  .option('--json', 'one JSON array')
  .action((options: { json?: boolean }) =>
    withStore(async (store) => {
      const keys = (await store.listKeys()).map(showKey);
      if (options.json === true) print(JSON.stringify(keys));
      else if (keys.length === 0) print('There is no key yet. Make one with: key create --name <who>');
      else printTable(keys, ['id', 'name', 'status', 'scopes', 'models', 'expiresAt', 'lastUsedAt']);
    }),
  );

key
  .command('show')
  .argument('<id>')
  .description('everything about a key but its secret')
  .option('--json', 'one JSON object')
  .action((id: string, options: { json?: boolean }) =>
    withStore(async (store) => printObject(showKey(await requireKey(store, id)), options.json)),
  );

key
  .command('revoke')
  .argument('<id>')
  .description('end a key now, and whatever it is running')
  .option('--json', 'one JSON object')
  .action((id: string, options: { json?: boolean }) =>
    withStore(async (store) => printObject(showKey(await revokeKey(store, id, Date.now())), options.json)),
  );

key
  .command('rotate')
  .argument('<id>')
  .description('make a new secret with the same rights')
  .option('--grace <time>', 'how long the old secret still works, such as 24h', duration, 0)
  .option('--json', 'one JSON object')
  .action((id: string, options: { grace: number; json?: boolean }) =>
    withStore(async (store) => printKey(await rotateKey(store, id, options.grace, Date.now()), options.json)),
  );

program
  .command('usage')
  .description('the newest rows of the ledger')
  .option('--limit <rows>', 'how many', (text) => Math.min(Math.max(Number.parseInt(text, 10) || 1, 1), 10_000), 20)
  .option('--json', 'one JSON array')
  .action((options: { limit: number; json?: boolean }) =>
    withStore(async (store) => {
      const rows = (await store.listUsage(options.limit)).map((row) => ({
        ...row,
        at: new Date(row.at).toISOString(),
      }));
      if (options.json === true) print(JSON.stringify(rows));
      else
        printTable(rows, [
          'at',
          'keyId',
          'operation',
          'model',
          'outcome',
          'status',
          'promptTokens',
          'completionTokens',
          'source',
          'durationMs',
        ]);
    }),
  );

async function withStore(use: (store: Store) => Promise<void>): Promise<void> {
  const store = await openSqlite(readSettings().dataDir);
  try {
    await use(store);
  } finally {
    await store.close();
  }
}

function printKey({ key: made, secret }: CreatedKey, json: boolean | undefined): void {
  const shown = { ...showKey(made), ...(secret ? { secret: secret.reveal() } : {}) };
  if (json === true) print(JSON.stringify(shown));
  else {
    printObject(shown, false);
    if (secret) print('\nThe secret is shown this once. Send it as x-api-key or Authorization: Bearer.');
  }
}

function printObject(object: Record<string, unknown>, json: boolean | undefined): void {
  if (json === true) print(JSON.stringify(object));
  else for (const [name, value] of Object.entries(object)) print(`${name.padEnd(12)} ${cell(value)}`);
}

function printTable(rows: readonly object[], columns: readonly string[]): void {
  const cells = [
    columns,
    ...rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column]))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => (line[i] as string).length)));
  for (const line of cells)
    print(
      line
        .map((text, i) => text.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    );
}

/** A value for a terminal: control characters, which a name may hold, must not reach it. */
function cell(value: unknown): string {
  const text = typeof value === 'string' ? value : Array.isArray(value) ? value.join(',') : JSON.stringify(value ?? '');
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return (text === '' || text === '""' ? '-' : text).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function words(text: string): string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** Milliseconds of `90s`, `12h`, `30d`. */
function duration(text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  if (!match) throw new InvalidArgumentError('Write a number and s, m, h, d or w, such as 30d.');
  return Number(match[1]) * (unitMs[match[2] as string] as number);
}

/** Unix milliseconds of a date, or of a time from now. */
function moment(text: string): number {
  if (/^\d{1,6}[smhdw]$/.test(text)) return Date.now() + duration(text);
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new InvalidArgumentError('Write a date such as 2027-01-31, or a time from now such as 30d.');
  return at;
}

function publicKeyText(fileOrText: string): string {
  if (/^(ssh-ed25519 )?AAAA/.test(fileOrText)) return fileOrText;
  try {
    return readFileSync(fileOrText, 'utf8');
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

// `sekisho … | head` closes the pipe early; that is no fault of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof KeyFault || error instanceof StoreUnusable)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
