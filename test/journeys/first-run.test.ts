// Every command of the first chapters of docs/first-run.md, in order, as a newcomer types it: what it prints is what the document shows.
// So is the log in README.md.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, onePieceUntilLeft, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, root, run, sekisho, spawnGate } from '../gate.ts';

let fake: FakeOllama;
let gate: GateProcess;
let started: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await spawnGate({ UPSTREAM: fake.url, LOG_FORMAT: 'text', LOG_LEVEL: 'info' });
  await eventually(() => expect(gate.output()).toContain('the model server answers'));
  started = gate.output();
});
afterAll(async () => {
  gate.process.kill('SIGTERM');
  await gate.ended;
  await fake.close();
});

const read = (name: string): string => readFileSync(join(root, name), 'utf8');
const page = read('docs/first-run.md');
/** The blocks before the runs with real servers: each command with what it prints. */
const steps = Array.from(
  page.slice(0, page.indexOf('## Real servers')).matchAll(/^```console\n([\s\S]*?)^```/gm),
).flatMap(([, block = '']) =>
  block
    .split(/^\$ /m)
    .slice(1)
    .map((step) => {
      const end = step.indexOf('\n');
      return [step.slice(0, end), step.slice(end + 1)] as const;
    }),
);

/** What differs from run to run gets one spelling; a column is as wide as its longest cell. */
const plain = (text: string): string =>
  text
    .replaceAll(gate.url, 'http://localhost:3000')
    .replaceAll(fake.url, 'http://localhost:11434')
    .replaceAll(/(?<=dataDir=)\S+/g, './data')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replaceAll(/^\d\d:\d\d:\d\d/gm, 'TIME')
    .replaceAll(/\b(key|req|link)_[\w…]+/g, '$1')
    .replaceAll(/\bchatcmpl-\d+/g, 'chatcmpl')
    .replaceAll(/\bsekisho_\w+?_[\w…]+/g, 'SECRET')
    .replaceAll(/(?<="(?:\w+_duration|created)": ?)\d+/g, '0')
    .replaceAll(/(exact|estimated|none) +\d+ +\d+$/gm, '$1 0 0')
    .replaceAll(/^(req .* )\d+$/gm, '$1MS')
    .replaceAll(/ +/g, ' ')
    .replaceAll(/ $/gm, '')
    .trim();

/** What was printed, without the lines that the document leaves out with a line of dots. */
function shortened(printed: string, shown: string): string {
  const lines = shown.split('\n');
  const at = lines.indexOf('…');
  if (at < 0) return printed;
  const all = printed.split('\n');
  return [...all.slice(0, at), '…', ...all.slice(at + 1 - lines.length)].join('\n');
}

test('every command of docs/first-run.md prints what the document shows', async () => {
  expect(steps.length).toBeGreaterThan(10);
  const environment = { DATA_DIR: gate.dataDir };
  let secret = '';
  for (const [command, shown] of steps) {
    const [, words] = /^npm run -s sekisho -- (.*)$/.exec(command) ?? [];
    let printed = '';
    if (command === 'npm ci && npm start') {
      printed = started;
    } else if (words === undefined) {
      fake.pace = command.includes('--max-time') ? onePieceUntilLeft : undefined;
      const there = command.replace('localhost:3000', gate.url);
      ({ out: printed } = await run('sh', ['-c', there], { K: secret }));
    } else {
      if (words.startsWith('usage')) await gate.ledger(6);
      ({ out: printed } = await sekisho(words.split(' '), environment));
    }
    secret = /sekisho_\w+/.exec(printed)?.[0] ?? secret;
    expect([command, shortened(plain(printed), plain(shown))]).toEqual([command, plain(shown)]);
  }
});

test('the log in README.md is that of a first start', () => {
  for (const name of ['README.md', 'README.ja.md']) {
    const [, log = ''] = /```text\n([\s\S]*?)```/.exec(read(name)) ?? [];
    expect(plain(started)).toBe(plain(log));
  }
});

test('the recordings are as many as the document says', () => {
  const recordings = globSync('test/fixtures/ollama-0.33.0/**/*.json', { cwd: root });
  expect(page).toContain(`\`test/fixtures/ollama-0.33.0\` holds ${recordings.length} exchanges`);
});
