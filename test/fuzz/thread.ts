// The worker thread that runs the targets: it loads the parsers with their counters, then works through its order. It is a
// thread of its own so that an input that never returns ends only this thread and is still known.
import process from 'node:process';
import { parentPort, workerData } from 'node:worker_threads';
import { readCorpus } from './corpus.ts';
import { countIn } from './counters.ts';
import { fuzz, type Outcome } from './engine.ts';
import { loadTarget, parsersOf } from './targets.ts';

export interface Work {
  readonly names: readonly string[];
  readonly seed: number;
  readonly mostRuns: number;
  /** Milliseconds for each target; null: only the count ends it. */
  readonly mostMs: number | null;
  readonly guided: boolean;
  /** Replaces the target's own seeds and corpus. */
  readonly inputs?: readonly Uint8Array[];
  /** The number of inputs begun, the length of the last one, and from byte 8 on that input. */
  readonly last: SharedArrayBuffer;
}

export type Report = Outcome & { readonly name: string };

const { names, seed, mostRuns, mostMs, guided, inputs, last } = workerData as Work;
countIn(names.flatMap(parsersOf));
const [counts, bytesOfLast] = [new Int32Array(last, 0, 2), new Uint8Array(last, 8)];

const reports: Report[] = [];
for (const name of names) {
  const target = await loadTarget(name);
  const from = inputs ?? [...target.seeds().map((text) => Buffer.from(text as string)), ...readCorpus(name)];
  const endsAt = mostMs === null ? Infinity : performance.now() + mostMs;
  const outcome = await fuzz(target, {
    inputs: from.map((bytes) => Buffer.from(bytes)),
    parsers: parsersOf(name),
    seed,
    mostRuns,
    guided,
    isOver: () => performance.now() >= endsAt,
    before: (bytes) => {
      const shown = bytes.subarray(0, bytesOfLast.length);
      bytesOfLast.set(shown);
      counts[1] = shown.length;
      Atomics.add(counts, 0, 1);
    },
  });
  reports.push({ name, ...outcome });
}
parentPort?.postMessage(reports, []);
// Ends by itself, so that targets clean up after themselves.
process.exit(0);
