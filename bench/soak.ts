// A million mixed exchanges, and whether the gate is the same afterwards:
//
//   node bench/soak.ts [--requests 1000000] [--seconds n] [--seed n]
//
// Exits with 1, and a sentence for each violation. bench/soak/soak.ts says what is checked.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { type Sample, type SoakReport, soak } from './soak/soak.ts';

/** Memory may grow by this much per hundred thousand requests, in the second half of the run. */
const maxGrowthMb = 2;
/** Below this the memory is not judged: the heap has not reached its size yet. */
const fewestForMemory = 300_000;

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: '1' },
  },
});
const [requests, seed] = [Number(values.requests), Number(values.seed)];
const seconds = values.seconds === undefined ? Infinity : Number(values.seconds);
if (![requests, seed].every(Number.isSafeInteger) || !(requests > 0) || !(seconds > 0)) {
  process.stderr.write('node bench/soak.ts [--requests 1000000] [--seconds n] [--seed n]\n');
  process.exit(2);
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const count = (value: number): string => Math.round(value).toLocaleString('en');

let spokenAt = 0;
const report = await soak({
  requests,
  seed,
  seconds,
  collects: true,
  onSample: (sample) => {
    if (sample.seconds - spokenAt < 30) return;
    spokenAt = sample.seconds;
    process.stderr.write(
      `${count(sample.seconds)} s: ${count(sample.requests)} requests, ${sample.residentMb.toFixed(0)} MB (${sample.liveMb?.toFixed(1)} alive), ${sample.descriptors} descriptors\n`,
    );
  },
});
const growth = {
  resident: growthOf(report.samples, ({ residentMb }) => residentMb),
  live: growthOf(report.samples, ({ liveMb }) => liveMb),
};
const faults = [...report.faults, ...memoryFaults(report)];
print(report);
const results = join(import.meta.dirname, 'work');
mkdirSync(results, { recursive: true });
writeFileSync(join(results, 'soak.json'), `${JSON.stringify({ ...report, faults, growth }, null, 2)}\n`);
for (const fault of faults) say(fault);
say(faults.length === 0 ? 'Everything holds.' : 'Not everything holds.');
process.exit(faults.length === 0 ? 0 : 1);

/** Least-squares slope over the second half, in MB per hundred thousand requests. */
function growthOf(samples: readonly Sample[], figure: (sample: Sample) => number | undefined): number {
  const half = (samples.at(-1)?.requests ?? 0) / 2;
  const points = samples.flatMap((sample): [number, number][] => {
    const megabytes = figure(sample);
    return sample.requests < half || megabytes === undefined ? [] : [[sample.requests, megabytes]];
  });
  const mean = (at: 0 | 1): number => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [meanX, meanY] = [mean(0), mean(1)];
  let [above, below] = [0, 0];
  for (const [x, y] of points) {
    above += (x - meanX) * (y - meanY);
    below += (x - meanX) ** 2;
  }
  return below === 0 || Number.isNaN(below) ? 0 : (above / below) * 100_000;
}

function memoryFaults({ requests: done }: SoakReport): string[] {
  if (done < fewestForMemory) return [];
  return Object.entries(growth).flatMap(([which, slope]) =>
    slope < maxGrowthMb
      ? []
      : [`The ${which} memory grows by ${slope.toFixed(2)} MB in 100,000 requests; ${maxGrowthMb} is the bound.`],
  );
}

function print({ samples, sums, descriptors, answers, ...rest }: SoakReport): void {
  const sorted = samples.map(({ residentMb }) => residentMb).toSorted((a, b) => a - b);
  const judged = rest.requests < fewestForMemory ? ' (too few requests to judge it)' : `, below ${maxGrowthMb} wanted`;
  const list = (figures: Readonly<Record<string, number>>): string =>
    Object.entries(figures)
      .toSorted(([, a], [, b]) => b - a)
      .map(([name, figure]) => `${name} ${count(figure)}`)
      .join(', ');
  const rows: readonly (readonly [string, string])[] = [
    [
      'requests',
      `${count(rest.requests)} in ${count(rest.seconds)} s, ${count(rest.requests / rest.seconds)} a second`,
    ],
    ['CPU of the gate', `${rest.gateCpuUsPerRequest.toFixed(0)} µs a request`],
    ['answers', list(answers)],
    ['rows of the ledger', `${count(sums.rows)}: ${list(sums.outcomes)}`],
    ['left while queued', count(sums.leftInQueue)],
    ['keys revoked while used', count(rest.keysRevoked)],
    ['tokens of completed answers, ledger', `${count(sums.exactPrompt)} + ${count(sums.exactCompletion)}`],
    ['the same, model server', `${count(sums.servedPrompt)} + ${count(sums.servedCompletion)}`],
    [
      'tokens of cut answers',
      `${count(sums.cutSeen)} read ≤ ${count(sums.cutBooked)} booked ≤ ${count(sums.cutSaid)} said`,
    ],
    ['limits held against the ledger', count(rest.limitsCompared)],
    ['descriptors', `${descriptors.before} before, ${descriptors.most} at most, ${descriptors.after} after`],
    [
      'resident memory',
      `${sorted[0]?.toFixed(0)} to ${sorted.at(-1)?.toFixed(0)} MB, ${samples.at(-1)?.residentMb.toFixed(0)} MB at the end`,
    ],
    [
      'live memory',
      `${samples.find(({ liveMb }) => liveMb !== undefined)?.liveMb?.toFixed(1)} MB at first, ${samples.at(-1)?.liveMb?.toFixed(1)} MB at the end`,
    ],
    [
      'growth in 100,000 requests',
      `${growth.resident.toFixed(2)} MB resident, ${growth.live.toFixed(2)} MB live, over the second half${judged}`,
    ],
  ];
  for (const [name, figure] of rows) say(`| ${name.padEnd(36)} | ${figure}`);
}
