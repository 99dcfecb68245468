import { chmodSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const wire = 'test/{contracts,fuzz,journeys,hostile}/**/*.test.ts';

/** Files that measure or change the process that they run in, so that each gets one of its own. */
const alone = globSync(wire, { cwd: import.meta.dirname }).filter((path) =>
  /\b(vi\.\w|process\.memoryUsage|process\.env\[[^\]]*\] = )/.test(readFileSync(path, 'utf8')),
);

/** The slowest files by measurement. They begin first, so that no worker is left alone with one of them at the end. */
const slowest = [
  'journeys/portal-pages',
  'journeys/portal',
  'hostile/amplification',
  'hostile/database-faults',
  'journeys/portal-first-days',
  'journeys/portal-sessions',
  'hostile/host',
  'journeys/commands',
  'contracts/postgres',
  'journeys/gates',
  'journeys/package',
  'hostile/state',
  'hostile/killed-gates',
  'journeys/portal-operating',
  'hostile/redis-limits',
  'journeys/database',
  'hostile/scanners',
  'hostile/queue',
  'contracts/model-servers',
  'hostile/memory',
  'journeys/portal-lists',
  'journeys/lifecycle',
  'journeys/acme',
  'journeys/tls',
];

class SlowestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = slowest.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
      return at < 0 ? slowest.length : at;
    };
    // oxlint-disable-next-line unicorn/no-array-sort -- a method of the sequencer, not of a list
    const known = await super.sort(files);
    return known.toSorted((a, b) => rank(a) - rank(b));
  }
}

/** The tests on real sockets that cover most in least time: `npm run test:fast` runs these and all unit tests. */
const fastest = [
  'contracts/{limits,sqlite}',
  'hostile/{body-policy,broken-answers,desync,forms,metering,raw-requests,requests,sign-in,standing}',
  'journeys/{authorize,clients,fake-ollama,identify,management-api,queue}',
].map((name) => `test/${name}.test.ts`);

/**
 * A directory in memory, where there is plenty of it, for all files that tests make: hundreds of databases that wait for one disk are
 * half of the time of the tests that start a gateway. It is removed at the end, with what tests have left there.
 */
function keepFilesInMemory(): void {
  const memory = '/dev/shm';
  const neededBytes = 4 * 2 ** 30;
  if (process.env['TMPDIR'] !== undefined || !existsSync(memory) || freemem() < 2 * neededBytes) return;
  const { bavail, bsize } = statfsSync(memory);
  if (bavail * bsize < neededBytes) return;
  const directory = mkdtempSync(join(memory, 'sekisho-'));
  // As /tmp: some servers of the tests run as a user of their own.
  chmodSync(directory, 0o1777);
  process.env['TMPDIR'] = directory;
  process.once('exit', () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
}
keepFilesInMemory();

/** Every gateway of a test starts a thread from the sources, which takes 120 ms of processor time, and 30 ms with this. */
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/sekisho');

const setupFiles = ['test/own-client.ts', 'test/before-midnight.ts'];

// house: reads the sources and the documents. unit: beside their files in src/. wire: real sockets, real processes.
// alone: those of them that need a process of their own.
// fast: what a contributor runs after each change; about 75 seconds of processor time in all, so a minute on two cores.
export default defineConfig({
  test: {
    // Long enough for a busy machine; tests wait for events, not for time.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // Tests mostly wait: for processes to start, for timeouts of the gate, for browsers.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: SlowestFirst },
    projects: [
      { extends: true, test: { name: 'house', include: ['test/house/**/*.test.ts'] } },
      // Files share a process, because loading the sources anew for each takes more than a second of processor time.
      { extends: true, test: { name: 'unit', include: ['{src,portal/src}/**/*.test.ts'], isolate: false } },
      { extends: true, test: { name: 'wire', include: [wire], exclude: alone, isolate: false, setupFiles } },
      { extends: true, test: { name: 'alone', include: alone, setupFiles } },
      { extends: true, test: { name: 'fast', include: ['{src,portal/src}/**/*.test.ts', ...fastest], setupFiles } },
    ],
  },
});
