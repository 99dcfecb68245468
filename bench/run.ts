// `npm run bench`: measures every subject in front of the same upstream, one after the other and round after round, in one
// run. It prints one table and writes one file. A subject that does not start, answers wrongly or loses a piece fails the
// run; only --only leaves subjects out. It loads only 127.0.0.1 and ends only what it started.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Durations, type Figures, measure } from './measure.ts';
import { loadCore, pinSelf } from './processes.ts';
import { medians, ratios, table } from './report.ts';
import { runBench, startUpstream } from './run-bench.ts';
import { optional, otherGate, peersDirectory, type Subject, subjects } from './subjects.ts';

const usage = `npm run bench -- [--quick] [--rounds <n>] [--only direct,nginx,…] [--profile] [--against DIR]
  --quick    one short round, to see that all works; its figures are rough
  --rounds   rounds over all subjects, 1 to 20; default 2
  --only     some subjects: ${subjects.map((subject) => subject.name).join(', ')}
  --against  this gate and the one of another checkout, which has its packages installed, in turn; default 10 rounds
  --profile  Sekisho writes a CPU profile to bench/work/prof; its figures then hold the cost of that
`;

const full: Durations = { idleS: 3, warmUpS: 10, unaryS: 8, streamWaves: 3 };
const quick: Durations = { idleS: 1, warmUpS: 1, unaryS: 3, streamWaves: 1 };
/** Above this share of other processes on the subject's core the figures are doubtful. */
const maxForeignShare = 0.05;

const directory = import.meta.dirname;
const workDirectory = join(directory, 'work');
const runDirectory = join(workDirectory, `run-${process.pid}`);

const options = readOptions();
await runBench(runDirectory, async () => {
  prepare();
  const rounds = await runRounds();
  report(rounds);
});

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      only: { type: 'string' },
      profile: { type: 'boolean', default: false },
      against: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const against = values.against === undefined ? [] : [otherGate(resolve(values.against))];
  const names =
    (against.length > 0 ? 'sekisho' : values.only)?.split(',') ??
    subjects.map((subject) => subject.name).filter((name) => !optional.includes(name));
  const chosen = names.map((name) => subjects.find((subject) => subject.name === name));
  const rounds = Number(values.rounds ?? (values.quick ? 1 : against.length > 0 ? 10 : 2));
  if (values.help || chosen.includes(undefined) || !Number.isInteger(rounds) || rounds < 1 || rounds > 20) {
    process.stdout.write(usage);
    process.exit(values.help ? 0 : 2);
  }
  return {
    ...values,
    rounds,
    subjects: [...against, ...(chosen as Subject[])],
    partial: values.quick || values.profile || values.only !== undefined || against.length > 0,
  };
}

/** Checks everything that must be there before the first figure; throws a sentence about what is missing. */
function prepare(): void {
  if (process.platform !== 'linux' || os.availableParallelism() < 2)
    throw new Error('It needs Linux and two cores of its own.');
  if (Number(process.versions.node.split('.')[0]) < 24)
    throw new Error(`It needs Node 24, this is ${process.version}. Start it as: npm run bench`);
  execFileSync('sh', [join(directory, '../scripts/debian-packages.sh'), 'nginx=nginx', 'wrk'], { stdio: 'inherit' });
  if (!existsSync(join(peersDirectory, 'node_modules'))) {
    process.stderr.write('installing the peers, once\n');
    execFileSync('npm', ['ci', '--ignore-scripts', '--loglevel=error', '--prefix', peersDirectory], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }
  pinSelf(loadCore);
}

async function runRounds(): Promise<Figures[]> {
  const upstreamPort = await startUpstream(runDirectory);
  const profileDirectory = options.profile ? join(workDirectory, 'prof') : undefined;
  const figures: Figures[] = [];
  for (let round = 1; round <= options.rounds; round++) {
    // Every second round goes backwards, so that a drift of the machine affects all alike.
    const order = round % 2 === 1 ? options.subjects : options.subjects.toReversed();
    for (const subject of order) {
      process.stderr.write(`round ${round} of ${options.rounds}: ${subject.name}\n`);
      const place = { directory: join(runDirectory, `${subject.name}-${round}`), upstreamPort, profileDirectory };
      figures.push(await measure(subject, place, options.quick ? quick : full));
    }
  }
  return figures;
}

function report(rounds: readonly Figures[]): void {
  const rows = options.subjects
    .map((subject) => medians(rounds.filter((round) => round.subject === subject.name)))
    .flat();
  process.stdout.write(`\n${table(rows)}\n\n`);
  if (options.against !== undefined) process.stdout.write(`${ratios(rounds)}\n\n`);
  const disturbed = rounds.filter((round) => (round.foreignShare ?? 0) > maxForeignShare);
  for (const { subject, foreignShare } of disturbed) {
    process.stdout.write(
      `Others used ${Math.round((foreignShare ?? 0) * 100)} % of the core of ${subject}: its figures are doubtful.\n`,
    );
  }
  // The committed file holds only complete and undisturbed runs.
  const publish = !options.partial && disturbed.length === 0;
  const file = publish ? join(directory, 'results/latest.json') : join(workDirectory, 'latest.json');
  mkdirSync(join(file, '..'), { recursive: true });
  const { quick: isQuick, profile, rounds: count } = options;
  writeFileSync(
    file,
    `${JSON.stringify({ machine: machine(), options: { quick: isQuick, profile, rounds: count }, medians: rows, rounds }, null, 2)}\n`,
  );
  process.stdout.write(`The figures of every round are in ${file}\n`);
}

function machine(): Record<string, unknown> {
  return {
    date: new Date().toISOString(),
    cpu: os.cpus()[0]?.model,
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    kernel: os.release(),
    loadAverage: os.loadavg(),
    node: process.version,
    nginx: saidBy('nginx', '-v').replace(/^.*nginx\//s, ''),
    wrk: /^wrk (\S+)/.exec(saidBy('wrk', '-v'))?.[1],
    sekisho: saidBy('git', '-C', directory, 'describe', '--always', '--dirty'),
    peers: (JSON.parse(readFileSync(join(peersDirectory, 'package.json'), 'utf8')) as { dependencies: object })
      .dependencies,
  };
}

/** What a program prints, on either output; wrk -v ends with an error status by design. */
function saidBy(command: string, ...args: string[]): string {
  return execFileSync('sh', ['-c', '"$@" 2>&1 || true', 'sh', command, ...args], { encoding: 'utf8' }).trim();
}
