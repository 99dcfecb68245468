#!/usr/bin/env node
// The `sekisho` command. Each subcommand calls one use case and prints its result. It writes to the same store as a running
// gateway, which notices changes within a second.
import { existsSync } from 'node:fs';
import process from 'node:process';
import { CommanderError } from 'commander';
import { commandAuthor, printError, type WithContext } from './commands/command.ts';
import type { ExitCode } from './commands/exit-codes.ts';
import { gateCaller } from './commands/gate-call.ts';
import { askGate, Unhealthy } from './commands/health.ts';
import { programOf } from './commands/program.ts';
import { Refusal } from './domain/refusal.ts';
import { ConfigErrors, loadConfig } from './settings/config.ts';
import { adoptFrom, moveStore, openStore } from './store/open-store.ts';
import { readServerStates } from './store/server-states.ts';
import { databaseIn } from './store/sqlite/open.ts';
import { StoreUnusable } from './store/unusable.ts';

const withContext: WithContext = async (use) => {
  const config = loadConfig(process.env);
  // With a wrong DATA_DIR, the command would create a database that no gateway reads.
  if (config.databaseUrl === '' && !existsSync(databaseIn(config.dataDir)))
    throw new StoreUnusable(
      `There is no database in ${config.dataDir}. Start the gateway once to create it, or set DATA_DIR to the right directory.`,
    );
  const store = await openStore(config);
  try {
    await use({
      store,
      config,
      author: commandAuthor(Date.now()),
      serverStates: () => readServerStates(config.dataDir),
    });
  } finally {
    await store.close();
  }
};

const program = programOf({
  withContext,
  // Only this command needs the gateway itself; loading it would slow down every other command.
  serve: async () => (await import('./main.ts')).runGate(),
  // The kinds load an HTTP client.
  kindNames: async () => (await import('./upstream/kinds.ts')).kinds.map(({ name }) => name),
  askGate,
  callGate: gateCaller(process.env),
  moveStore,
  adoptJournal: adoptFrom,
  environment: process.env,
});

// `sekisho … | head` closes the pipe early, which is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`The output could not be written (${error.code}); changes were made nevertheless.\n`);
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
  if (process.exitCode === 1) throw error;
  // Commander has already printed the usage error.
  if (!(error instanceof CommanderError)) for (const line of (error as Error).message.split('\n')) printError(line);
}

function exitCodeOf(error: unknown): ExitCode {
  // Help and the version are not errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof StoreUnusable) return 5;
  if (error instanceof ConfigErrors) return 6;
  if (error instanceof Unhealthy) return 7;
  if (!(error instanceof Refusal)) return 1;
  if (error.kind === 'not_found') return 3;
  return error.kind === 'invalid' ? 2 : 4;
}
