// The subcommands of `sekisho`. Each one calls one use case and prints its result. It writes to the same store as a running
// gateway, which notices changes within a second.
import process from 'node:process';
import { CommanderError } from 'commander';
import { printError } from './commands/command.ts';
import { adoptJournal, contextFrom, exitCodeOf } from './commands/context.ts';
import { gateCaller } from './commands/gate-call.ts';
import { askGate } from './commands/health.ts';
import { programOf } from './commands/program.ts';
import { moveStore } from './store/open-store.ts';

/** Runs the command that the arguments of this process name, and sets its exit code. */
export async function runCommand(): Promise<void> {
  const program = programOf({
    withContext: contextFrom(process.env),
    // Only this command needs the gateway itself; loading it would slow down every other command.
    serve: async () => (await import('./main.ts')).runGate(),
    // The kinds load an HTTP client.
    kindNames: async () => (await import('./upstream/kinds.ts')).kinds.map(({ name }) => name),
    askGate,
    callGate: gateCaller(process.env),
    moveStore,
    adoptJournal,
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
}
