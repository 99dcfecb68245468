// `node bench/several-gates.ts`: what Redis and PostgreSQL add to a call, and what each call costs them. One gate on its own memory,
// one on Redis and PostgreSQL, and four on the same, one after the other, round after round. On two cores the gates share core 0, and
// Redis, PostgreSQL, the model server and the load share core 1, so the CPU time of each part says more than calls per second.
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { termNames } from '../src/domain/plan.ts';
import { firstRules } from '../src/domain/rule.ts';
import { type PostgresServer, startPostgres } from '../test/postgres.ts';
import { type RedisServer, startRedis } from '../test/redis.ts';
import { Caller } from './caller.ts';
import { countBooked } from './gate.ts';
import type { Launched } from './launch.ts';
import { chatBody, chatPath, connections as usualConnections } from './load.ts';
import { cpuUs, freePort, loadCore, pinSelf, residentBytes, type Started, start, treeOf } from './processes.ts';
import { gateCommand } from './program.ts';
import { runBench, startUpstream } from './run-bench.ts';
import { type Count, Counts } from './server-counts.ts';

const usage = `node bench/several-gates.ts [--rounds <n>] [--seconds <n>] [--calls <n>] [--connections <n>] [--only <n>,…]
  --rounds       rounds over all; default 3
  --seconds      of load in each; default 8
  --calls        calls of the single caller; default 4000
  --connections  of the load, over all gates; default 32
  --only         some of them: 0 is one gate on its own memory, 1, 2, 4, … so many gates on Redis and PostgreSQL; default 0,1,4
`;

const accounts = 8;
/** Of each gate before the first figure; by then V8 has compiled the path. */
const warmUpCalls = 15_000;
const idleS = 10;
const cli = join(import.meta.dirname, '../src/cli.ts');
const secret = 'the-secret-that-all-gates-of-the-bench-share';
const run = promisify(execFile);

const { values: given } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '8' },
    calls: { type: 'string', default: '4000' },
    connections: { type: 'string', default: String(usualConnections) },
    only: { type: 'string', default: '0,1,4' },
    help: { type: 'boolean', default: false },
  },
});
const kinds = given.only.split(',').map(Number);
const [rounds, seconds, calls, connections] = [given.rounds, given.seconds, given.calls, given.connections].map(
  Number,
) as [number, number, number, number];
if (
  given.help ||
  ![...kinds, rounds, seconds, calls, connections].every((each) => Number.isInteger(each) && each >= 0)
) {
  process.stdout.write(usage);
  process.exit(given.help ? 0 : 2);
}

/** Figures of one launch; each is per call unless its name says otherwise. Unknown ones are NaN. */
type Figures = Record<(typeof columns)[number][0], number>;
const columns = [
  ['requests/s', 0],
  ['added p50 ms', 3],
  ['added p99 ms', 3],
  ['CPU µs of the gates', 1],
  ['of Redis', 1],
  ['of PostgreSQL', 1],
  ['scripts', 2],
  ['commands in them', 1],
  ['bytes to Redis', 0],
  ['from Redis', 0],
  ['transactions', 3],
  ['bytes of WAL', 0],
  ['rows/s', 0],
  ['MB of a gate', 0],
  ['idle: commands/s', 1],
  ['idle: transactions/s', 1],
] as const;

const runDirectory = join(import.meta.dirname, 'work', `gates-${process.pid}`);
let redis: RedisServer | undefined;
let postgres: PostgresServer | undefined;
await runBench(
  runDirectory,
  async () => {
    execFileSync('sh', [join(import.meta.dirname, '../scripts/debian-packages.sh'), 'wrk'], { stdio: 'inherit' });
    pinSelf(loadCore);
    redis = await startRedis();
    // As it runs in earnest, with everything that lets a database survive a crash.
    postgres = await startPostgres({ fsync: 'on', full_page_writes: 'on', autovacuum: 'on' });
    const upstreamPort = await startUpstream(runDirectory);
    const measured = new Map<number, Figures[]>();
    for (let round = 1; round <= rounds; round++)
      for (const gates of round % 2 === 1 ? kinds : kinds.toReversed()) {
        process.stderr.write(`round ${round} of ${rounds}: ${nameOf(gates)}\n`);
        measured.set(gates, [...(measured.get(gates) ?? []), await measure(gates, round, upstreamPort)]);
      }
    report(measured);
  },
  () => Promise.all([redis?.stop(), postgres?.stop()]),
);

function nameOf(gates: number): string {
  if (gates === 0) return 'one, memory and SQLite';
  return gates === 1 ? 'one, Redis and PostgreSQL' : `${gates}, Redis and PostgreSQL`;
}

async function measure(gates: number, round: number, upstreamPort: number): Promise<Figures> {
  const directory = join(runDirectory, `${gates}-${round}`);
  mkdirSync(directory);
  const database = gates > 0 ? await postgres!.database() : undefined;
  const shared = database === undefined ? {} : { DATABASE_URL: database, REDIS_URL: redis!.database() };
  const launched: Launched[] = [];
  for (let i = 0; i < Math.max(1, gates); i++) launched.push(await launch(directory, i, upstreamPort, shared));
  const keys = prepareAccounts(directory, join(directory, 'data-0'), shared);
  await sleep(2_000);
  const counted = new Counts(redis!, database);
  await counted.open();

  const idle = await counted.read();
  await sleep(idleS * 1_000);
  const rested = await counted.read();
  const bytes = launched.map(({ process: gate }) => residentBytes(treeOf(gate!.pid)));

  let answers = 0;
  while (answers < warmUpCalls * launched.length) answers += await load(launched, keys, directory);
  const before = { ...(await counted.read()), gates: cpuOfGates(launched) };
  const requests = await load(launched, keys, directory);
  const after = { ...(await counted.read()), gates: cpuOfGates(launched) };
  const direct = await alone({ port: upstreamPort, process: undefined, keys });
  const through = await alone({ ...launched[0]!, keys });
  answers += requests + calls;
  for (const { process: gate } of launched)
    if (!(await gate!.stop())) throw new Error('a gate did not stop when it was told to');
  await counted.close();
  checkBooks(gates, join(directory, 'data-0'), answers, await counted.booked());

  const per = (name: keyof Count): number => (after[name] - before[name]) / requests;
  return {
    'requests/s': requests / seconds,
    'added p50 ms': through.p50 - direct.p50,
    'added p99 ms': through.p99 - direct.p99,
    'CPU µs of the gates': (after.gates - before.gates) / requests,
    'of Redis': per('redisUs'),
    'of PostgreSQL': per('postgresUs'),
    scripts: per('scripts'),
    'commands in them': per('commands') - per('scripts'),
    'bytes to Redis': per('bytesIn'),
    'from Redis': per('bytesOut'),
    transactions: per('transactions'),
    'bytes of WAL': per('wal'),
    'rows/s': (after.rows - before.rows) / seconds,
    'MB of a gate': Math.max(...bytes) / 1e6,
    'idle: commands/s': (rested.commands - idle.commands) / idleS,
    'idle: transactions/s': (rested.transactions - idle.transactions) / idleS,
  };
}

async function launch(
  directory: string,
  index: number,
  upstreamPort: number,
  shared: Readonly<Record<string, string>>,
): Promise<Launched> {
  const dataDir = join(directory, `data-${index}`);
  mkdirSync(dataDir, { mode: 0o700 });
  writeFileSync(join(dataDir, 'cookie.secret'), secret, { mode: 0o600 });
  const port = await freePort();
  const gate = start({
    name: `gate ${index}`,
    core: 0,
    command: gateCommand(),
    cwd: directory,
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      UPSTREAM: `http://127.0.0.1:${upstreamPort}`,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'warn',
      SLOTS: '100000',
      NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/sekisho'),
      ...shared,
    },
    logFile: join(directory, `gate-${index}.log`),
  });
  await ready(port, gate);
  return { port, process: gate, keys: [] };
}

async function ready(port: number, gate: Started): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const status = await fetch(`http://127.0.0.1:${port}/readyz`).then(
      (answer) => answer.status,
      () => 0,
    );
    if (status === 200) return;
    if (!gate.running || performance.now() > deadline)
      throw new Error(`a gate did not start:\n${readFileSync(gate.logFile, 'utf8').slice(-2_000)}`);
    await sleep(200);
  }
}

/** Accounts whose limits the load does not reach, each with a key. @returns the keys. */
function prepareAccounts(cwd: string, dataDir: string, shared: Readonly<Record<string, string>>): string[] {
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, DATA_DIR: dataDir, ...shared };
  const command = (...words: readonly string[]): string =>
    execFileSync(process.execPath, [cli, ...words, '--json'], { cwd, env, encoding: 'utf8' });
  const far = termNames.filter((name) => /Per(?:Minute|Day)$/.test(name)).map((name) => `${name}=1_000_000_000_000`);
  command('plan', 'set', 'default', ...far, 'concurrentRequests=100000');
  for (const { name } of firstRules) command('rule', 'set', name, 'threshold=1000000000000');
  return Array.from({ length: accounts }, (_, i) => {
    const created = command('key', 'create', '--name', 'bench', '--account', `account-${i}`);
    return (JSON.parse(created) as { secret: string }).secret;
  });
}

/** @returns the answers of all gates in the time of one load. */
async function load(launched: readonly Launched[], keys: readonly string[], directory: string): Promise<number> {
  const keyFile = join(directory, 'keys.txt');
  writeFileSync(keyFile, `${keys.join('\n')}\n`);
  const each = Math.floor(connections / launched.length);
  const script = join(import.meta.dirname, 'unary.lua');
  const shape = ['-t1', `-c${each}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', script];
  const outputs = await Promise.all(
    launched.map(({ port }) =>
      run('wrk', [...shape, `http://127.0.0.1:${port}`, '--', chatPath.ollama, chatBody(false), keyFile], {
        timeout: (seconds + 20) * 1_000,
      }),
    ),
  );
  let requests = 0;
  for (const { stdout } of outputs) {
    const figures = JSON.parse(/^\{.*\}$/m.exec(stdout)?.[0] ?? '{}') as Record<string, number>;
    if (!(figures['requests']! > 0) || figures['notOk']! + figures['broken']! > 0)
      throw new Error(`the load was not answered: ${stdout}`);
    requests += figures['requests']!;
  }
  return requests;
}

async function alone(target: Launched): Promise<{ readonly p50: number; readonly p99: number }> {
  const caller = await Caller.open(target);
  const times = new Float64Array(calls);
  for (let i = 0; i < calls; i++) {
    const from = performance.now();
    await caller.call();
    times[i] = performance.now() - from;
  }
  caller.close();
  const sorted = times.toSorted();
  return { p50: sorted[Math.floor(calls * 0.5)] ?? NaN, p99: sorted[Math.floor(calls * 0.99)] ?? NaN };
}

function cpuOfGates(launched: readonly Launched[]): number {
  return cpuUs(launched.flatMap(({ process: gate }) => treeOf(gate!.pid)));
}

function checkBooks(gates: number, dataDir: string, answers: number, booked: number): void {
  const counted = gates > 0 ? booked : countBooked(dataDir);
  if (counted < answers) throw new Error(`${answers} answers were given, and ${counted} of them recorded`);
}

function report(measured: ReadonlyMap<number, readonly Figures[]>): void {
  const medianOf = (all: readonly number[]): number => all.toSorted((a, b) => a - b)[all.length >> 1] ?? NaN;
  const line = (cells: readonly string[]): void => void process.stdout.write(`| ${cells.join(' | ')} |\n`);
  process.stdout.write('\n');
  line(['', ...[...measured.keys()].map(nameOf)]);
  line([':--', ...[...measured.keys()].map(() => '--:')]);
  for (const [name, digits] of columns)
    line([
      name,
      ...[...measured.values()].map((all) => {
        const value = medianOf(all.map((figures) => figures[name]));
        return Number.isNaN(value) ? '–' : value.toFixed(digits);
      }),
    ]);
}
