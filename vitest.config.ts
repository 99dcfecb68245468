import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const wire = 'test/{contracts,fuzz,journeys,hostile}/**/*.test.ts';

/** What takes longest begins first, so that no worker is left alone with it at the end. Measured; the order is all that it says. */
const slowest = [
  'journeys/portal',
  'hostile/amplification',
  'hostile/host',
  'hostile/state',
  'journeys/tls',
  'hostile/scanners',
  'hostile/queue',
  'journeys/commands',
  'journeys/lifecycle',
  'hostile/memory',
  'journeys/acme',
  'hostile/data-directory',
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

/** Of the tests on real sockets those that say most in least time: `npm run test:fast`, together with all unit tests. */
const telling = [
  'contracts/sqlite',
  'hostile/{body-policy,broken-answers,desync,forms,metering,raw-requests,requests,sign-in,standing}',
  'journeys/{authorize,clients,fake-ollama,identify,management-api,queue,upstream-tls,usage}',
].map((name) => `test/${name}.test.ts`);

// house: reads the sources and the documents. unit: stands beside its file in src/. wire: real sockets, real processes.
// fast: what a contributor runs after each change.
export default defineConfig({
  test: {
    // Long enough for a machine that is busy with something else; what a test waits for is an event.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // Tests wait more than they work: for processes that start, for time limits of the gate, for browsers.
    maxWorkers: availableParallelism() + 1,
    sequence: { sequencer: SlowestFirst },
    projects: [
      { extends: true, test: { name: 'house', include: ['test/house/**/*.test.ts'] } },
      { extends: true, test: { name: 'unit', include: ['src/**/*.test.ts'] } },
      { extends: true, test: { name: 'wire', include: [wire] } },
      { extends: true, test: { name: 'fast', include: ['src/**/*.test.ts', ...telling] } },
    ],
  },
});
