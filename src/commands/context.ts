// The composition root of commands: opens the store that one works with, and gives the exit code for what it threw. A command never
// creates a database: with a wrong DATA_DIR, it would be one that no gateway reads.
import { existsSync } from 'node:fs';
import { CommanderError } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import { type Config, ConfigErrors, loadConfig } from '../settings/config.ts';
import { adoptFrom, openStore } from '../store/open-store.ts';
import { readServerStates } from '../store/server-states.ts';
import { databaseIn } from '../store/sqlite/open.ts';
import { StoreUnusable } from '../store/unusable.ts';
import { commandAuthor, type WithContext } from './command.ts';
import type { ExitCode } from './exit-codes.ts';
import { Unhealthy } from './health.ts';
import type { AdoptJournal } from './journal.ts';

/** For the settings of this environment. @throws ConfigErrors, StoreUnusable. */
export const contextFrom =
  (environment: Readonly<Record<string, string | undefined>>): WithContext =>
  async (use) => {
    const config = loadConfig(environment);
    requireDatabase(config);
    const store = await openStore(config);
    try {
      await use({
        store,
        config,
        author: commandAuthor(await store.now()),
        serverStates: () => readServerStates(config.dataDir),
      });
    } finally {
      await store.close();
    }
  };

/** As `adoptFrom`. @throws StoreUnusable if there is no database. */
export function adoptJournal(config: Config, directory: string): ReturnType<AdoptJournal> {
  requireDatabase(config);
  return adoptFrom(config, directory);
}

function requireDatabase({ databaseUrl, dataDir }: Config): void {
  if (databaseUrl === '' && !existsSync(databaseIn(dataDir)))
    throw new StoreUnusable(
      `There is no database in ${dataDir}. Start the gateway once to create it, or set DATA_DIR to the right directory.`,
    );
}

/** The code for what a command threw. */
export function exitCodeOf(error: unknown): ExitCode {
  // Help and the version are not errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof StoreUnusable) return 5;
  if (error instanceof ConfigErrors) return 6;
  if (error instanceof Unhealthy) return 7;
  if (!(error instanceof Refusal)) return 1;
  if (error.kind === 'not_found') return 3;
  return error.kind === 'invalid' ? 2 : 4;
}
