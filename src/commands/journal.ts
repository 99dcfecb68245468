// `sekisho journal`: the journal of a gateway that does not come back.
import type { Command } from 'commander';
import { formOf } from '../domain/plural.ts';
import { type Config, loadConfig } from '../settings/config.ts';
import { type Json, print, printObject } from './command.ts';

/** Writes what the journal in a data directory holds to the store of these settings. */
export type AdoptJournal = (
  config: Config,
  directory: string,
) => Promise<{ readonly calls: number; readonly added: number; readonly present: number }>;

export function journalCommand(
  program: Command,
  environment: Readonly<Record<string, string | undefined>>,
  adoptJournal: AdoptJournal,
): void {
  program
    .command('journal')
    .description('record what a gateway that is gone had not recorded')
    .command('adopt')
    .description('record the calls in the journal of a gateway that was killed and will not start again')
    .argument('<directory>', 'the DATA_DIR of that gateway')
    .option('--json', 'one JSON object')
    .action(async (directory: string, { json }: Json) => {
      const adopted = await adoptJournal(loadConfig(environment), directory);
      if (json === true) printObject(adopted, json);
      else
        print(
          `The journal had ${adopted.calls} ${formOf(adopted.calls, 'call', 'calls')}. Recorded now: ${adopted.added}. Recorded before: ${adopted.present}.`,
        );
    });
}
