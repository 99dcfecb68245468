// What every command of `sekisho` has in common: help with examples, JSON, exit codes, questions before what cannot be
// undone, tables that fit a terminal, and completion in three shells.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examples, leavesOf } from '../../src/commands/examples.ts';
import { exitCodes } from '../../src/commands/exit-codes.ts';
import { programOf } from '../../src/commands/program.ts';
import { widthOf } from '../../src/commands/table.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { commandFile, openGate, post, root, run, sekisho, type TestGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let home: Record<string, string>;
const longName = '長い名前の研究室にある共有ノートパソコン';
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
  home = { DATA_DIR: gate.dataDir };
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

// oxlint-disable-next-line require-yield -- an answer without lines
async function* saysNothing(): AsyncGenerator<never> {}

const program = programOf({
  withContext: () => Promise.resolve(),
  serve: () => Promise.resolve(),
  kindNames: () => Promise.resolve([]),
  askGate: () => Promise.resolve({ status: 200, text: '{}' }),
  callGate: () => saysNothing(),
  moveStore: () => Promise.resolve(''),
  adoptJournal: () => Promise.resolve({ calls: 0, added: 0, present: 0 }),
  environment: {},
});
const leaves = leavesOf(program);

/** The others print or serve at once; they are run elsewhere. */
const printing = Object.values(examples)
  .flat()
  .filter((line) => !/^(?:serve|config|completion)/.test(line));

/** As a shell splits it, without redirections. */
const wordsOf = (line: string): string[] =>
  [...line.replace(/ [<>] .*$/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

describe('help', () => {
  test('every command has examples, all of which are commands, and all but two have --json', () => {
    expect(Object.keys(examples).toSorted()).toEqual(leaves.map(({ path }) => path).toSorted());
    for (const { path, command } of leaves) {
      const hasJson = command.options.some(({ long }) => long === '--json');
      expect(hasJson, path).toBe(path !== 'serve' && path !== 'completion');
      let text = '';
      command.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp();
      for (const line of examples[path] ?? []) expect(text).toContain(`  $ sekisho ${line}\n`);
    }
    for (const group of [program, ...program.commands]) {
      let text = '';
      group.configureOutput({ writeOut: (piece) => (text += piece) }).outputHelp();
      expect(text, group.name()).toMatch(/\nExamples:\n(?: {2}\$ sekisho .+\n)+/);
    }
  });

  test.each(printing)('sekisho %s is a valid command', async (line) => {
    await expect(
      programOf({
        withContext: () => Promise.resolve(),
        serve: () => Promise.resolve(),
        kindNames: () => Promise.resolve([]),
        askGate: () => Promise.resolve({ status: 200, text: '{}' }),
        callGate: () => saysNothing(),
        moveStore: () => Promise.resolve(''),
        adoptJournal: () => Promise.resolve({ calls: 0, added: 0, present: 0 }),
        environment: {},
      })
        .configureOutput({ writeErr: () => undefined })
        .parseAsync(wordsOf(line), { from: 'user' }),
    ).resolves.toBeDefined();
  });

  test('a mistyped command gets one line and a hint, the version is that of the package', async () => {
    const wrong = await sekisho(['key', 'reovke'], home);
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err.split('\n')).toEqual([
      expect.stringMatching(/^error: unknown command 'reovke'/),
      '(Did you mean revoke?)',
      'Use --help for usage and examples.',
      '',
    ]);
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect(await sekisho(['--version'], {})).toEqual({ code: 0, out: `${version}\n`, err: '' });
    expect((await sekisho(['--help'], {})).out).toContain('Exit codes:\n  0  Done.');
  });
});

test('exit codes say what a command met, and docs/operating.md lists them', async () => {
  const missing = temporaryDirectory();
  const damaged = temporaryDirectory();
  writeFileSync(join(damaged, 'sekisho.db'), 'this is no database, although it is long enough to be read as one');
  const codes = await Promise.all([
    sekisho(['plan', 'show', 'default'], home),
    sekisho(['plan', 'show'], home),
    sekisho(['key', 'show', 'key_nothing'], home),
    sekisho(['account', 'create', 'operator'], home),
    sekisho(['plan', 'list'], { DATA_DIR: damaged }),
    sekisho(['plan', 'list'], { ...home, PORT: 'many' }),
    sekisho(['plan', 'list'], { DATA_DIR: missing }),
  ]);
  expect(codes.map(({ code }) => code)).toEqual([0, 2, 3, 4, 5, 6, 5]);
  expect(codes[6].err).toMatch(/^There is no database in .*\. Start the gateway once to create it, .*\n$/);
  expect(readdirSync(missing)).toEqual([]);
  for (const directory of [missing, damaged]) rmSync(directory, { recursive: true });
  const documented = readFileSync(join(root, 'docs/operating.md'), 'utf8');
  for (const [code, meaning] of Object.entries(exitCodes))
    expect(documented).toMatch(new RegExp(`\\| ${code} +\\| ${meaning.replaceAll('.', '\\.')} `));
});

/** Runs a command in a terminal of that width, with what a person types. */
const typed = (columns: number, words: string, answer: string): ReturnType<typeof run> =>
  run(
    'sh',
    [
      '-c',
      `printf '${answer}\\n' | script -qec "stty cols ${columns}; ${process.execPath} ${commandFile} ${words}" /dev/null`,
    ],
    home,
  );

test('a version of Node that is too old is named in a sentence', async () => {
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { engines: { node: string } };
  const least = Number(engines.node.replace('>=', ''));
  const versions = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${least - 1}.9.0' } })`;
  const { code, err } = await run(process.execPath, [
    '--import',
    `data:text/javascript,${versions}`,
    commandFile,
    'serve',
  ]);
  expect([code, err]).toEqual([1, `Sekisho needs Node.js ${least} or newer, and this is ${least - 1}.9.0.\n`]);
});

test('what cannot be undone is asked on a terminal, and needs --yes elsewhere', async () => {
  const { id } = await gate.key({ name: 'asked' });
  const status = async (): Promise<string | undefined> =>
    gate.manage(async (store) => (await store.listKeys()).find((key) => key.id === id)?.status);
  const { code, err } = await sekisho(['key', 'revoke', id], home);
  expect([code, err]).toEqual([
    2,
    `The key ${id} (asked) will be revoked. This cannot be undone. Add --yes to confirm.\n`,
  ]);
  const no = await typed(200, `key revoke ${id}`, 'n');
  expect(no.out).toContain('Continue? [y/N]');
  expect([no.code, await status()]).toEqual([4, 'active']);
  expect([(await typed(200, `key revoke ${id}`, 'y')).code, await status()]).toEqual([0, 'revoked']);
  const asking = leaves.filter(({ command }) => command.options.some(({ long }) => long === '--yes'));
  expect(asking.map(({ path }) => path).toSorted()).toEqual(
    expect.arrayContaining(['account close', 'key revoke', 'plan delete', 'rule delete', 'server remove']),
  );
});

test('tables show names, align characters of double width, and fit the terminal', async () => {
  const { id } = await gate.key({ name: longName, account: '研究室' });
  const { out } = await sekisho(['key', 'list', '--account', '研究室'], home);
  const [head = '', line = ''] = out.split('\n');
  expect(line).toMatch(new RegExp(`^${id}  ${longName} +研究室 +active`));
  expect(widthOf(head.slice(0, head.indexOf('accountName')))).toBe(
    widthOf(line.slice(0, line.indexOf('研究室', id.length + longName.length))),
  );
  const narrow = await typed(60, 'key list --account 研究室', '');
  const lines = narrow.out.split('\r\n').filter((each) => /^(?:id|key_) */.test(each));
  expect(lines).toHaveLength(2);
  for (const each of lines) expect(widthOf(each), each).toBeLessThanOrEqual(60);
  expect(narrow.out).toContain('…');
});

test('no cell holds JSON', async () => {
  await gate.key({ name: 'audited' });
  for (const words of [
    ['audit'],
    ['account', 'list'],
    ['rule', 'list'],
    ['suspension', 'list'],
    ['key', 'list'],
    ['usage'],
  ])
    expect((await sekisho(words, home)).out).not.toMatch(/[{}"]|\[\]/);
});

test('usage is narrowed by account, key, model, outcome and time, as rows and as sums', async () => {
  const { id, secret } = await gate.key({ name: 'filters', account: 'filtered' });
  const body = { model: 'gemma3:270m', prompt: 'x', stream: false };
  await (await post(`${gate.url}/api/generate`, secret, body)).text();
  await (await post(`${gate.url}/api/generate`, secret, { ...body, model: 'no-such' })).text();
  await gate.ledger(2);
  const rows = async (...words: readonly string[]): Promise<Record<string, unknown>[]> =>
    JSON.parse((await sekisho(['usage', ...words, '--json'], home)).out) as Record<string, unknown>[];
  expect(await rows('--account', 'filtered')).toHaveLength(2);
  expect(await rows('--key', id, '--outcome', 'completed')).toMatchObject([
    { account: 'filtered', key: 'filters', model: 'gemma3:270m' },
  ]);
  expect(await rows('--account', 'filtered', '--model', 'no-such:latest')).toHaveLength(1);
  expect(await rows('--account', 'filtered', '--until', '1h')).toEqual([]);
  expect(await rows('--account', 'filtered', '--since', '1h', '--limit', '1')).toHaveLength(1);
  expect(await rows('--by', 'model', '--key', id)).toHaveLength(2);
  expect(await rows('--by', 'account', '--model', 'gemma3:270m')).toMatchObject([{ name: 'filtered', requests: 1 }]);
  // By outcome, from single records: together they are the sums of the roll-ups.
  const refused = await rows('--by', 'account', '--outcome', 'upstream_error', '--account', 'filtered');
  const completed = await rows('--by', 'account', '--outcome', 'completed', '--since', '1h', '--account', 'filtered');
  expect([...completed, ...refused]).toMatchObject([
    { name: 'filtered', requests: 1, refused: 0, failed: 0 },
    { name: 'filtered', requests: 1 },
  ]);
  for (const by of ['key', 'model', 'hour', 'day', 'month'])
    expect(await rows('--by', by, '--outcome', 'completed', '--key', id)).toMatchObject([
      { requests: 1, promptTokens: completed[0]?.['promptTokens'] },
    ]);
  expect(await rows('--by', 'day', '--outcome', 'completed', '--until', '1h')).toEqual([]);
});

describe('completion', () => {
  const script = async (shell: string): Promise<string> => {
    const file = join(gate.dataDir, `completion.${shell}`);
    if (!existsSync(file)) writeFileSync(file, (await sekisho(['completion', shell], {})).out);
    return file;
  };

  test.each([
    [
      'bash',
      (file: string, words: string) =>
        `source ${file}; COMP_WORDS=(${words} ''); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); _sekisho; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
    [
      'zsh',
      (file: string, words: string) =>
        `compdef() { :; }; compadd() { print -l -- "\${@[2,-1]}"; }; source ${file}; words=(${words} ''); CURRENT=\${#words}; _sekisho`,
    ],
    [
      'fish',
      (file: string, words: string) =>
        `source ${file}; complete -C '${words} ' | string split -f1 \\t; complete -C '${words} --' | string split -f1 \\t`,
    ],
  ])('%s completes commands and their options', async (shell, ask) => {
    const file = await script(shell);
    const after = async (words: string): Promise<string[]> => {
      const { out, err } = await run(shell, ['-c', ask(file, words)]);
      expect(err).toBe('');
      return out.split('\n').filter((word) => word !== '');
    };
    expect(await after('sekisho')).toEqual(expect.arrayContaining(['serve', 'key', 'plan', 'completion']));
    expect(await after('sekisho key')).toEqual(expect.arrayContaining(['create', 'list', 'revoke']));
    expect(await after('sekisho key create')).toEqual(expect.arrayContaining(['--name', '--models', '--json']));
    expect(await after('sekisho key')).not.toContain('serve');
  });

  test('another shell is refused', async () => {
    expect(await sekisho(['completion', 'csh'], {})).toMatchObject({ code: 2, out: '' });
  });
});
