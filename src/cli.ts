#!/usr/bin/env node
// The `sekisho` command: thin, each verb calls one use case and prints what it gives. It writes to the same store as a
// running gate, which notices within a second.
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
import { openStore } from './store/open-store.ts';
import { readServerStates } from './store/server-states.ts';
import { databaseIn } from './store/sqlite/open.ts';
import { StoreUnusable } from './store/unusable.ts';

const withContext: WithContext = async (use) => {
  const config = loadConfig(process.env);
  // A wrong DATA_DIR would get a database that no gate ever reads.
  if (config.databaseUrl === '' && !existsSync(databaseIn(config.dataDir)))
    throw new StoreUnusable(
      `There is no database in ${config.dataDir}. Start the gate once, which makes it, or set DATA_DIR to where it is.`,
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
  // Only this one needs the gate itself; loading it would make every other command slower.
  serve: async () => (await import('./main.ts')).runGate(),
  // The kinds bring an HTTP client along.
  kindNames: async () => (await import('./upstream/kinds.ts')).kinds.map(({ name }) => name),
  askGate,
  callGate: gateCaller(process.env),
  environment: process.env,
});

// `sekisho … | head` closes the pipe early; that is no fault of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`The output could not be written (${error.code}); what was to be changed is changed.\n`);
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
  if (process.exitCode === 1) throw error;
  // Usage errors have said their line.
  if (!(error instanceof CommanderError)) for (const line of (error as Error).message.split('\n')) printError(line);
}

function exitCodeOf(error: unknown): ExitCode {
  // Help and the version are no faults.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof StoreUnusable) return 5;
  if (error instanceof ConfigErrors) return 6;
  if (error instanceof Unhealthy) return 7;
  if (!(error instanceof Refusal)) return 1;
  if (error.kind === 'not_found') return 3;
  return error.kind === 'invalid' ? 2 : 4;
}
