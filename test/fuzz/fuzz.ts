// `npm run fuzz`: runs one target after the other, each for some seconds. An input that reaches something new goes into the
// corpus; one that violates an oracle goes into failures/, with the command that reproduces it.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { writeCorpus, writeFailure } from './corpus.ts';
import { start } from './start.ts';
import { isTarget, loadTarget, parsersOf, targetNames } from './targets.ts';

const usage = `npm run fuzz -- [--target <name>,…] [--seconds <n>] [--runs <n>] [--seed <n>] [--replay <file>]
  --target   ${targetNames.join(', ')}; default: all
  --seconds  for each target, default 30
  --runs     inputs for each target at most, in place of --seconds: the same seed then makes the same run
  --seed     default: another each time, and it is shown
  --replay   runs one file through one target and says what it says
`;

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    seconds: { type: 'string' },
    runs: { type: 'string' },
    seed: { type: 'string' },
    replay: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const names = values.target?.split(',') ?? targetNames;
const [seconds, runs, seed] = [
  Number(values.seconds ?? 30),
  Number(values.runs ?? Number.MAX_SAFE_INTEGER),
  Number(values.seed ?? Date.now() % 1_000_000),
];
const whole = [seconds, runs, seed].every((figure) => Number.isSafeInteger(figure) && figure >= 0);
if (values.help || !whole || !names.every(isTarget) || (values.replay !== undefined && names.length !== 1)) {
  process.stdout.write(usage);
  process.exit(values.help ? 0 : 2);
}

if (values.replay !== undefined) {
  const target = await loadTarget(names[0] as string);
  await target.run(readFileSync(values.replay));
  process.stdout.write('It holds.\n');
} else {
  process.stdout.write(`seed ${seed}\n`);
  for (const name of names) await fuzzOne(name);
}

async function fuzzOne(name: string): Promise<void> {
  const mostMs = values.runs === undefined ? seconds * 1000 : null;
  for (const report of await start({ names: [name], seed, mostRuns: runs, mostMs, guided: true })) {
    const blocks = report.blocks.map(
      ({ reached, all }, at) => `${parsersOf(name)[at]?.replace(/.*\/src\//, '')} ${reached}/${all}`,
    );
    process.stdout.write(`${name}: ${report.runs} inputs, ${report.kept.length} kept; blocks: ${blocks.join(', ')}\n`);
    if (report.kept.length > 0) writeCorpus(name, report.kept);
    for (const { bytes, message } of report.failures) {
      process.exitCode = 1;
      const file = writeFailure(name, bytes);
      process.stdout.write(`\n${message}\n  npm run fuzz -- --target ${name} --replay ${file}\n\n`);
    }
  }
}
