// `sekisho migrate`: moves everything to another database.
import type { Command } from 'commander';
import { type Config, loadConfig } from '../settings/config.ts';
import { type Json, print, printRows } from './command.ts';

/** Moves everything from the store of these settings to an address; returns what to set from then on. */
export type MoveStore = (
  config: Config,
  address: string,
  tell: (moved: { readonly table: string; readonly rows: number }) => void,
) => Promise<string>;

export function migrateCommand(
  program: Command,
  environment: Readonly<Record<string, string | undefined>>,
  moveStore: MoveStore,
): void {
  program
    .command('migrate')
    .description('copy everything to another database while the gateway is stopped; the old one stays as it is')
    .requiredOption('--to <address>', 'postgres://user:password@host/database, or sqlite: and a data directory')
    .option('--json', 'one JSON array')
    .action(async ({ to, json }: { to: string } & Json) => {
      const moved: { table: string; rows: number }[] = [];
      const next = await moveStore(loadConfig(environment), to, (table) => moved.push(table));
      printRows(moved, ['table', 'rows'], json, 'There was nothing to move.');
      if (json !== true)
        print(`Counts and sums are the same in both. Start the gateway with ${next.replace(/:[^:@/]*@/, ':…@')}`);
    });
}
