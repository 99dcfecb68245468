// The `sekisho` command with all its subcommands, apart from running it.
import { Command } from 'commander';
import { version } from '../package.ts';
import { describeConfig, loadConfig } from '../settings/config.ts';
import { settings } from '../settings/settings.ts';
import { accountCommand } from './account.ts';
import { announcementCommand } from './announcement.ts';
import { registrationCommand } from './application.ts';
import { auditCommand } from './audit.ts';
import { type Json, print, printObject, type WithContext } from './command.ts';
import { completionCommand } from './completion.ts';
import { addExamples } from './examples.ts';
import { exitCodes } from './exit-codes.ts';
import type { CallGate } from './gate-call.ts';
import { type AskGate, healthCommand } from './health.ts';
import { type AdoptJournal, journalCommand } from './journal.ts';
import { keyCommand } from './key.ts';
import { latencyCommand } from './latency.ts';
import { maintenanceCommand } from './maintenance.ts';
import { type MoveStore, migrateCommand } from './migrate.ts';
import { modelCommand } from './model.ts';
import { planCommand } from './plan.ts';
import { requestCommand } from './request.ts';
import { routeCommand } from './route.ts';
import { ruleCommand } from './rule.ts';
import { serverCommand } from './server.ts';
import { settingCommand } from './setting.ts';
import { suspensionCommand } from './suspension.ts';
import { usageCommand } from './usage.ts';

export interface ProgramParts {
  readonly withContext: WithContext;
  /** Runs the gate until it is stopped. */
  readonly serve: () => Promise<void>;
  /** The kinds of model servers; asked only when a command needs them. */
  readonly kindNames: () => Promise<readonly string[]>;
  readonly askGate: AskGate;
  readonly callGate: CallGate;
  readonly moveStore: MoveStore;
  readonly adoptJournal: AdoptJournal;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Faults of usage are thrown as CommanderError, after one line on standard error. */
export function programOf({
  withContext,
  serve,
  kindNames,
  askGate,
  callGate,
  moveStore,
  adoptJournal,
  environment,
}: ProgramParts): Command {
  const program = new Command('sekisho')
    .description('A gateway for Ollama and other model servers.')
    .version(version, '-V, --version', 'print the version')
    .showHelpAfterError('Use --help for usage and examples.')
    .exitOverride()
    .addHelpText('after', `\n${codesText()}`);

  program.command('serve').description('start the gateway').action(serve);
  configCommand(program, environment);
  healthCommand(program, environment, askGate);
  keyCommand(program, withContext);
  accountCommand(program, withContext);
  planCommand(program, withContext);
  modelCommand(program, withContext, callGate);
  registrationCommand(program, withContext);
  suspensionCommand(program, withContext);
  ruleCommand(program, withContext);
  usageCommand(program, withContext);
  requestCommand(program, withContext);
  latencyCommand(program, withContext);
  serverCommand(program, withContext, kindNames);
  routeCommand(program, withContext);
  settingCommand(program, withContext);
  maintenanceCommand(program, withContext);
  announcementCommand(program, withContext);
  auditCommand(program, withContext);
  migrateCommand(program, environment, moveStore);
  journalCommand(program, environment, adoptJournal);
  completionCommand(program);
  addExamples(program);
  return program;
}

function configCommand(program: Command, environment: ProgramParts['environment']): void {
  program
    .command('config')
    .description('print the effective settings, without secrets')
    .option('--json', 'one JSON object')
    .action(({ json }: Json) => {
      const shown = describeConfig(loadConfig(environment));
      if (json === true) printObject(shown, json);
      else
        for (const { name, unit } of Object.values(settings))
          print(`${name}: ${JSON.stringify(shown[name])}${unit ? `  # ${unit}` : ''}`);
    });
}

const codesText = (): string =>
  ['Exit codes:', ...Object.entries(exitCodes).map(([code, meaning]) => `  ${code}  ${meaning}`)].join('\n');
