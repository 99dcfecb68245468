#!/usr/bin/env node
// The `sekisho` command: thin, each verb calls one use case and prints what it gives. It writes to the same store as a
// running gate, which notices within a second.
import process from 'node:process';
import { Command } from 'commander';
import { accountCommand } from './commands/account.ts';
import { registrationCommand } from './commands/application.ts';
import { commandAuthor, print, printError, type WithContext } from './commands/command.ts';
import { keyCommand } from './commands/key.ts';
import { planCommand } from './commands/plan.ts';
import { serverCommand } from './commands/server.ts';
import { auditCommand, ruleCommand, suspensionCommand } from './commands/suspension.ts';
import { usageCommand } from './commands/usage.ts';
import { Refusal } from './domain/refusal.ts';
import { ConfigErrors, describeConfig, loadConfig } from './settings/config.ts';
import { settings } from './settings/settings.ts';
import { openSqlite } from './store/sqlite/open.ts';
import { StoreUnusable } from './store/unusable.ts';

const program = new Command('sekisho')
  .description('The gate in front of Ollama and other model servers.')
  .showHelpAfterError();

// Only this one needs the gate itself; loading it would make every other command slower.
program
  .command('serve')
  .description('open the gate')
  .action(async () => (await import('./main.ts')).runGate());

program
  .command('config')
  .description('print the effective settings, secrets hidden')
  .option('--json', 'one JSON object')
  .action((options: { json?: boolean }) => {
    const shown = describeConfig(loadConfig(process.env));
    if (options.json === true) print(JSON.stringify(shown));
    else
      for (const { name, unit } of Object.values(settings))
        print(`${name}: ${JSON.stringify(shown[name])}${unit ? `  # ${unit}` : ''}`);
  });

const withContext: WithContext = async (use) => {
  const config = loadConfig(process.env);
  const store = await openSqlite(config.dataDir);
  try {
    await use({ store, config, author: commandAuthor(Date.now()) });
  } finally {
    await store.close();
  }
};

keyCommand(program, withContext);
accountCommand(program, withContext);
planCommand(program, withContext);
registrationCommand(program, withContext);
suspensionCommand(program, withContext);
ruleCommand(program, withContext);
usageCommand(program, withContext);
// The kinds bring an HTTP client along, which would make every other command slower.
serverCommand(program, withContext, async () => (await import('./upstream/kinds.ts')).kinds.map(({ name }) => name));
auditCommand(program, withContext);

// `sekisho … | head` closes the pipe early; that is no fault of anybody's.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`The output could not be written (${error.code}); what was to be changed is changed.\n`);
  process.exit(1);
});

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof Refusal || error instanceof StoreUnusable || error instanceof ConfigErrors)
    for (const line of error.message.split('\n')) printError(line);
  else throw error;
  process.exitCode = 1;
}
