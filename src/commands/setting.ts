// `sekisho setting …`: the settings that can be changed while the gateway runs.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { Refusal } from '../domain/refusal.ts';
import { Fault } from '../management/fault.ts';
import { namesIn } from '../management/names.ts';
import { changeSettings, undoSettings } from '../management/settings/change-settings.ts';
import type { SettingContext } from '../management/settings/setting-tools.ts';
import { showChange, shownSettings } from '../management/settings/show-settings.ts';
import { type LiveGroup, liveGroups } from '../settings/kinds.ts';
import { liveKeyOf, liveSettings } from '../settings/live-table.ts';
import {
  type CommandContext,
  fileBytes,
  type Json,
  pairs,
  printNamed,
  printRows,
  rowCount,
  type WithContext,
} from './command.ts';

// oxlint-disable-next-line eslint/max-lines-per-function -- a list of subcommands, each with its own options
export function settingCommand(program: Command, withContext: WithContext): void {
  const setting = program
    .command('setting')
    .description('change settings while the gateway runs; changes take effect within a second');

  setting
    .command('list')
    .description('list the settings in force, and where each comes from')
    .option('--group <name>', `only one group: ${liveGroups.join(', ')}`)
    .option('--json', 'one JSON array')
    .action(({ group, json }: Json & { readonly group?: string }) =>
      withContext(async (context) => {
        const rows = (await listed(context)).filter((row) => group === undefined || row.group === group);
        printRows(
          rows,
          ['name', 'value', 'unit', 'source', 'fixedBy'],
          json,
          `There are no settings "${group ?? ''}".`,
        );
      }),
    );

  setting
    .command('set')
    .argument('<name=value...>', 'such as gate_name=Campus; lists with commas; logo=@logo.svg reads a file')
    .description('change settings of one group; secrets are read from standard input with name=-')
    .option('--json', 'one JSON array')
    .action((words: string[], { json }: Json) =>
      withContext(async (context) => {
        const asked = Object.entries(pairs(words));
        await change(context, new Map(asked.map(([name, text]) => [name, valueFrom(name, text)])));
        await print(
          context,
          asked.map(([name]) => name),
          json,
        );
      }),
    );

  setting
    .command('reset')
    .argument('<name...>')
    .description('reset settings of one group to their defaults')
    .option('--json', 'one JSON array')
    .action((names: string[], { json }: Json) =>
      withContext(async (context) => {
        await change(context, new Map(names.map((name) => [name, null])));
        await print(context, names, json);
      }),
    );

  setting
    .command('changes')
    .description('list changes to the settings and to registration, newest first')
    .option('--limit <rows>', 'maximum number of rows', rowCount, 50)
    .option('--json', 'one JSON array')
    .action(({ limit, json }: Json & { readonly limit: number }) =>
      withContext(async ({ store }) => {
        const changes = await store.listSettingChanges({ limit });
        const names = await namesIn(
          store,
          changes.map(({ actor }) => actor),
        );
        const rows = changes.map((each) => showChange(each, names));
        printRows(
          rows,
          ['id', 'at', 'actor', 'group', 'from', 'to', 'undoneBy'],
          json,
          'No setting has been changed yet.',
        );
      }),
    );

  setting
    .command('undo')
    .argument('<id>', 'ID of the change')
    .description('undo a change, unless one of its settings has changed since')
    .option('--json', 'one JSON object')
    .action((id: string, { json }: Json) =>
      withContext(async (context) => {
        const undone = await undoSettings(context.store, contextOf(context), id, context.author);
        await printNamed(context.store, { ...showChange(undone, await namesIn(context.store, [undone.actor])) }, json);
      }),
    );
}

const contextOf = ({ config }: CommandContext): SettingContext => ({
  live: config.live,
  settingTools: { keyFile: config.serverSecretKey, signInAt: '' },
});

async function listed(context: CommandContext) {
  const rows = await context.store.listSettings();
  return liveGroups.flatMap((group) =>
    shownSettings(
      rows.find((row) => row.group === group),
      contextOf(context),
      group,
    ).map(({ isSet, ...shown }) => ({ ...shown, group, value: isSet === true ? '[secret]' : shown.value })),
  );
}

async function print(context: CommandContext, names: readonly string[], json: boolean | undefined): Promise<void> {
  const rows = (await listed(context)).filter(({ name }) => names.includes(name));
  printRows(rows, ['name', 'value', 'unit', 'source'], json, '');
}

async function change(
  { store, author, ...context }: CommandContext,
  asked: ReadonlyMap<string, unknown>,
): Promise<void> {
  const groups = new Set([...asked.keys()].map(groupOf));
  const [group, ...others] = groups;
  if (group === undefined) return;
  if (others.length > 0)
    throw new Refusal('Change settings of one group at a time, because each change can be undone as a whole.');
  await changeSettings(store, contextOf({ ...context, store, author }), group, Object.fromEntries(asked), author);
}

/** @throws Fault. */
function groupOf(name: string): LiveGroup {
  const key = liveKeyOf(name);
  if (key === undefined) throw new Fault('setting_missing', { name }, 'not_found');
  return liveSettings[key].group;
}

const types: Readonly<Record<string, string>> = { png: 'image/png', svg: 'image/svg+xml' };

/** A picture comes from a file, and a secret from standard input, where no list of processes shows it. */
function valueFrom(name: string, text: string): string {
  const file = name === 'logo' ? /^@(.+\.(png|svg))$/i.exec(text) : null;
  if (file)
    return `data:${types[(file[2] as string).toLowerCase()]};base64,${fileBytes(file[1] as string).toString('base64')}`;
  return text === '-' ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : text;
}
