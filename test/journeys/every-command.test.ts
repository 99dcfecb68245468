// What holds for every command: each is run here, for people and for programs, on the store of a running gateway. A new command fails
// the first test until it has its line.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { CommanderError } from 'commander';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { adoptJournal, contextFrom, exitCodeOf } from '../../src/commands/context.ts';
import { leavesOf } from '../../src/commands/examples.ts';
import { gateCaller } from '../../src/commands/gate-call.ts';
import { askGate } from '../../src/commands/health.ts';
import { programOf } from '../../src/commands/program.ts';
import { widthOf } from '../../src/commands/table.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post, type TestGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let environment: Record<string, string>;
let sealing: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  sealing = join(temporaryDirectory(), 'servers.key');
  writeFileSync(sealing, 'ab'.repeat(32));
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '1000', SERVER_SECRET_KEY: sealing });
  const { secret } = await gate.key({ name: 'manager', scopes: ['models'] as never });
  environment = {
    DATA_DIR: gate.dataDir,
    PORT: String(gate.port),
    GATE_KEY: secret,
    UPSTREAM: fake.url,
    SERVER_SECRET_KEY: sealing,
  };
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const programIn = (of: Record<string, string>) =>
  programOf({
    withContext: contextFrom(of),
    serve: () => Promise.resolve(),
    kindNames: () => Promise.resolve(['ollama']),
    askGate,
    callGate: gateCaller(of),
    moveStore: (_, __, tell) => {
      tell({ table: 'keys', rows: 1 });
      return Promise.resolve('DATA_DIR=./data');
    },
    adoptJournal,
    environment: of,
  });
const leaves = leavesOf(programIn({}));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process, as src/cli.ts does. `columns`: those of a terminal. */
async function run(words: readonly string[], of = environment, columns?: number): Promise<Ran> {
  let [out, err, code] = ['', '', 0];
  const writing = vi.spyOn(process.stdout, 'write').mockImplementation(((text: string, done?: () => void) => {
    out += text;
    done?.();
    return true;
  }) as never);
  const { isTTY, columns: before } = process.stdout;
  Object.assign(process.stdout, { isTTY: columns !== undefined, columns });
  try {
    const program = programIn(of);
    const all = [program, ...program.commands.flatMap((each) => [each, ...each.commands])];
    for (const each of all) each.configureOutput({ writeErr: (text) => (err += text) }).exitOverride();
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    code = exitCodeOf(error);
    if (code === 1) throw error;
    if (!(error instanceof CommanderError)) err += `${(error as Error).message}\n`;
  } finally {
    writing.mockRestore();
    Object.assign(process.stdout, { isTTY, columns: before });
  }
  return { code, out, err };
}

type Made = Readonly<Record<string, string>>;
async function make(...words: readonly string[]): Promise<Made> {
  const { code, out, err } = await run([...words, '--json']);
  expect([code, err], words.join(' ')).toEqual([0, '']);
  return JSON.parse(out) as Made;
}

let count = 0;
const fresh = (name: string): string => `${name}-${++count}`;
const idOf = async (...words: readonly string[]): Promise<string> => (await make(...words))['id'] ?? '';
const keyId = (): Promise<string> => idOf('key', 'create', '--name', '共有ノートパソコン', '--account', '研究室');
const suspensionId = (): Promise<string> =>
  idOf('suspension', 'create', '研究室', '--step', 'warn', '--reason', 'A loop?');
const announcementId = (): Promise<string> => idOf('announcement', 'create', '--en', 'New disks.', '--until', '2d');
async function named(kind: string, ...fields: readonly string[]): Promise<string> {
  const name = fresh(kind);
  await make(kind, kind === 'model' || kind === 'route' || kind === 'server' ? 'add' : 'create', name, ...fields);
  return name;
}
const rule = (): Promise<string> =>
  named('rule', ...'measure=tokens per=account windowSeconds=3600 threshold=9 step=warn shadow=on'.split(' '));
const route = (): Promise<string> => named('route', `path=/${fresh('r')}`, 'upstreams=http://127.0.0.1:9');
const server = (): Promise<string> => named('server', `http://127.0.0.1:${1000 + ++count}`);
async function applicationId(): Promise<string> {
  await make('registration', 'set', 'mode=approval');
  const sent = await fetch(`${gate.url}/management/v1/applications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: gate.url },
    body: JSON.stringify({
      name: '佐藤',
      email: `${fresh('sato')}@lab.example`,
      purpose: '書き起こしの要約',
      models: ['gemma3:270m'],
      password: 'long enough to be one',
    }),
  });
  expect(sent.status, await sent.clone().text()).toBe(201);
  return firstId(['application', 'list']);
}
const firstId = async (words: readonly string[]): Promise<string> =>
  (JSON.parse((await run([...words, '--json'])).out) as { id: string }[])[0]?.id ?? '';
async function requestId(): Promise<string> {
  const { secret } = await gate.key({ name: '共有ノートパソコン', account: '研究室' });
  const answer = await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });
  await answer.text();
  await gate.ledger(1);
  return answer.headers.get('x-request-id') ?? '';
}

/** The words after each command. Those of commands that change something are made for every run. */
const lines: Readonly<Record<string, () => Promise<readonly string[]> | readonly string[]>> = {
  serve: () => [],
  config: () => [],
  health: () => [],
  migrate: () => ['--to', 'sqlite:./elsewhere'],
  'journal adopt': () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'journal'));
    return [directory];
  },
  completion: () => ['bash'],
  'key create': () => ['--name', 'laptop', '--account', '研究室'],
  'key list': async () => [await keyId()].slice(1),
  'key show': async () => [await keyId()],
  'key revoke': async () => [await keyId(), '--yes'],
  'key rotate': async () => [await keyId(), '--grace', '1h'],
  'account list': () => [],
  'account show': () => ['研究室'],
  'account create': () => [fresh('bob'), '--operator'],
  'account set': () => ['研究室', '--plan', 'trusted'],
  'account link': () => ['研究室'],
  'account close': async () => [(await make('account', 'create', fresh('gone')))['name'] ?? '', '--yes'],
  'plan list': () => [],
  'plan show': () => ['default'],
  'plan create': () => [fresh('plan'), 'tokensPerDay=5'],
  'plan set': async () => [await named('plan'), 'tokensPerDay=none'],
  'plan delete': async () => [await named('plan'), '--yes'],
  'model list': async () => [await named('model', 'target=gemma3:270m')].slice(1),
  'model show': async () => [await named('model', 'target=gemma3:270m')],
  'model add': () => [fresh('alias'), 'target=gemma3:270m', 'plan:trial=gemma3:270m'],
  'model set': async () => [await named('model', 'target=gemma3:270m'), 'fallbacks=gemma3:270m'],
  'model remove': async () => [await named('model', 'target=gemma3:270m'), '--yes'],
  'model pull': () => ['gemma3:270m'],
  'model copy': () => ['gemma3:270m', fresh('copy')],
  'model delete': async () => {
    const copy = fresh('copy');
    fake.models = [...fake.models, { name: copy }];
    return [copy, '--yes'];
  },
  'registration show': () => [],
  'registration set': () => ['mode=domain', 'domains=example.org', 'plan=trial'],
  'invite create': () => ['--email', `${fresh('x')}@example.org`],
  'invite list': () => [],
  'application list': async () => [await applicationId()].slice(1),
  'application show': async () => [await applicationId()],
  'application approve': async () => [await applicationId()],
  'application reject': async () => [await applicationId(), '--text', 'Ask again next term.'],
  'suspension list': async () => [await suspensionId()].slice(1),
  'suspension show': async () => [await suspensionId()],
  'suspension create': () => ['研究室', '--step', 'slow', '--reason', 'A loop?', '--for', '1h'],
  'suspension lift': async () => [await suspensionId()],
  'suspension appeal': async () => [await suspensionId(), '--text', 'It is fixed.'],
  'suspension answer': async () => {
    const id = await suspensionId();
    await make('suspension', 'appeal', id, '--text', 'It is fixed.');
    return [id, '--text', 'Thank you.', '--lift'];
  },
  'rule list': () => [],
  'rule show': () => ['call-flood'],
  'rule create': () => [
    fresh('rule'),
    ...'measure=tokens per=account windowSeconds=3600 threshold=9 step=warn'.split(' '),
  ],
  'rule set': async () => [await rule(), 'threshold=10'],
  'rule delete': async () => [await rule(), '--yes'],
  usage: async () => [await requestId()].slice(1),
  'request list': () => [],
  'request show': async () => [await requestId()],
  latency: () => [],
  'route list': async () => [await route()].slice(1),
  'route show': async () => [await route()],
  'route add': () => [fresh('route'), `path=/${fresh('r')}`, 'upstreams=http://127.0.0.1:9'],
  'route set': async () => [await route(), 'methods=GET'],
  'route remove': async () => [await route(), '--yes'],
  'server list': () => [],
  'server show': async () => [await server()],
  'server add': () => [fresh('server'), `http://127.0.0.1:${1000 + ++count}`, 'accounts=研究室'],
  'server set': async () => [await server(), 'weight=3', 'accounts=研究室'],
  'server drain': async () => [await server()],
  'server reseal': () => [],
  'server remove': async () => [await server(), '--yes'],
  'announcement list': async () => [await announcementId()].slice(1),
  'announcement show': async () => [await announcementId()],
  'announcement create': () => ['--en', 'New disks.', '--ja', 'ディスクを交換します。', '--until', '2d'],
  'announcement set': async () => [await announcementId(), '--until', '3d'],
  'announcement delete': async () => [await announcementId(), '--yes'],
  'setting list': () => [],
  'setting set': () => [`gate_name=${fresh('Campus')}`],
  'setting reset': () => ['gate_name'],
  'setting changes': () => [],
  'setting undo': async () => {
    await make('setting', 'set', `gate_name=${fresh('Campus')}`);
    return [await firstId(['setting', 'changes'])];
  },
  'maintenance on': () => ['--message', 'New disks.', '--for', '1m'],
  'maintenance off': () => [],
  'maintenance show': () => [],
  audit: () => [],
};

test('every command is run here', () => {
  expect(Object.keys(lines).toSorted()).toEqual(leaves.map(({ path }) => path).toSorted());
});

const asked = Object.keys(lines).filter((path) => path !== 'serve');
const words = async (path: string): Promise<string[]> => [...path.split(' '), ...(await (lines[path] ?? (() => []))())];
/** A script, or settings as they stand in a file. */
const free: ReadonlySet<string> = new Set(['completion', 'config']);
/** Those that print rows. */
const tabular = /(?:list|changes|setting (?:set|reset))$|^(?:usage|audit|latency|migrate)$/;
/** What a terminal acts on. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const commanding = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
const ids = /\b(?:acc|key|usr)_[0-9A-Za-z]{8,}/;

describe.each(asked)('sekisho %s', (path) => {
  test('prints lines for people without JSON, names instead of the ids of others, and a table that fits a terminal', async () => {
    const { code, out, err } = await run(await words(path), environment, 80);
    expect([code, err]).toEqual([0, '']);
    expect(out).not.toBe('');
    if (free.has(path)) return;
    expect(out).not.toMatch(/[{}"]|\[\]|undefined|\[object/);
    // The first column, or the field, that is called id is of what the command is about.
    const others = out.split('\n').map((line) => (/^(?:id +)?\w+_\w+/.test(line) ? line.replace(ids, '') : line));
    if (path !== 'key create' && path !== 'key rotate') expect(others.filter((line) => ids.test(line))).toEqual([]);
    if (tabular.test(path)) for (const line of out.split('\n')) expect(widthOf(line), line).toBeLessThanOrEqual(80);
  });

  test('prints nothing but JSON with --json, and refuses an unknown option in one line with a hint', async () => {
    if (path === 'completion') return;
    const { code, out, err } = await run([...(await words(path)), '--json']);
    expect([code, err]).toEqual([0, '']);
    // Progress has an object a line.
    for (const text of path === 'model pull' ? out.trim().split('\n') : [out]) {
      expect(() => JSON.parse(text) as unknown, text).not.toThrow();
      expect(text).not.toMatch(commanding);
    }
    const wrong = await run([...path.split(' '), '--nothing']);
    expect([wrong.code, wrong.out]).toEqual([2, '']);
    expect(wrong.err).toMatch(/^error: .+\n(?:\(Did you mean .+\)\n)?Use --help for usage and examples\.\n$/);
  });
});

/** Those that need no store: they ask a gateway, or read settings. */
const storeless = ['completion', 'config', 'health', 'migrate', 'model copy', 'model delete', 'model pull', 'serve'];

test('every command that works on a store refuses a DATA_DIR without a database, and settings that are invalid', async () => {
  const place = temporaryDirectory();
  for (const path of asked.filter((each) => !storeless.includes(each))) {
    const given = [...path.split(' '), ...(await (lines[path] ?? (() => []))())];
    const { code, out, err } = await run(given, { DATA_DIR: join(place, 'none') });
    expect([path, code, out, err]).toEqual([path, 5, '', expect.stringMatching(/^There is no database in /)]);
    const invalid = await run(given, { ...environment, PORT: 'many' });
    expect([path, invalid.code, invalid.out]).toEqual([path, 6, '']);
  }
  rmSync(place, { recursive: true });
});

/** What cannot be undone, by the verb of a command; a secret that goes on for a while is replaced, not ended. */
const final = /(?:close|delete|remove|revoke|rotate)$/;

test('every command that cannot be undone needs --yes without a terminal, and changes nothing without it', async () => {
  const sure = leaves.filter(({ command }) => command.options.some(({ long }) => long === '--yes'));
  expect(sure.map(({ path }) => path)).toEqual(leaves.flatMap(({ path }) => (final.test(path) ? [path] : [])));
  for (const { path } of sure) {
    const given = (await words(path)).filter((word) => word !== '--yes' && word !== '--grace' && word !== '1h');
    const before = await run(['audit', '--limit', '1', '--json']);
    const { code, out, err } = await run(given);
    expect([path, code, out]).toEqual([path, 2, '']);
    expect(err, path).toMatch(/ This cannot be undone\. Add --yes to confirm\.\n$/);
    expect(await run(['audit', '--limit', '1', '--json'])).toEqual(before);
  }
});

test('no command lets control characters of stored names and texts reach a terminal', async () => {
  for (const one of [applicationId, suspensionId, announcementId, requestId]) await one();
  const database = new Database(join(gate.dataDir, 'sekisho.db'));
  const spoilt = new Set<string>();
  const tables = database
    .prepare("select name from sqlite_schema where type = 'table' and name not like '%migration%'")
    .all() as { name: string }[];
  for (const { name: table } of tables)
    for (const { name: column } of database.prepare(`pragma table_info(${table})`).all() as { name: string }[])
      if (/^(?:name|purpose|reason|appeal|answer|decision|message|model|text_en|text_ja|en|ja)$/.test(column)) {
        const at = `"${table}"."${column}"`;
        try {
          database.exec(
            `update "${table}" set "${column}" = "${column}" || char(27) || '[2J' || char(8238) where "${column}" is not null and ${at} not in ('operator', 'default', 'trial', '研究室')`,
          );
          spoilt.add(table);
        } catch {
          // A name that other rows refer to.
        }
      }
  database.close();
  expect([...spoilt]).toEqual(expect.arrayContaining(['keys', 'applications', 'suspensions']));
  const lists = leaves.filter(({ path }) => /list$|^usage$|^audit$|^latency$/.test(path));
  let seen = '';
  for (const { path } of lists)
    for (const more of [[], ['--json']]) {
      const { code, out, err } = await run([...path.split(' '), ...more]);
      expect([path, code, err]).toEqual([path, 0, '']);
      expect(out, path).not.toMatch(commanding);
      seen += out;
    }
  expect(seen).toContain('?[2J?');
});
