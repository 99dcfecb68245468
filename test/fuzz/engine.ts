// The fuzzing itself: it mutates an input that reached something, runs it, and keeps it if it reached a new block, or a
// block a new number of times. It is our own because no maintained library works here: Jazzer.js 4 has a libFuzzer that
// needs glibc 2.38, its older versions fetch theirs from outside the registry, and jsfuzz stopped before ES modules. A run
// is bounded by a count, or by a clock that its caller checks, and the same seed makes the same run.
import { blockOf, eachFeature, mostFeatures, parserAt, resetCounts } from './counters.ts';
import { mutate, pick, randomFrom } from './mutation.ts';
import type { Target } from './target.ts';

export interface Order {
  /** The seeds of the run: fixtures, and inputs kept before. */
  readonly inputs: readonly Buffer[];
  /** The files whose blocks guide the run. */
  readonly parsers: readonly string[];
  readonly seed: number;
  readonly mostRuns: number;
  /** Called now and then; true ends the run. */
  readonly isOver: () => boolean;
  /** Without guidance nothing is kept: only mutation. */
  readonly guided: boolean;
  /** Called before each input, so that one that never returns is known. */
  readonly before: (bytes: Buffer) => void;
}

export interface Failure {
  readonly bytes: Buffer;
  readonly message: string;
}

export interface Outcome {
  /** The smallest inputs that together reach everything that was reached. */
  readonly kept: readonly Buffer[];
  readonly failures: readonly Failure[];
  readonly runs: number;
  /** The number of reached blocks and of all blocks, for each parser. */
  readonly blocks: readonly { readonly reached: number; readonly all: number }[];
}

const mostFailures = 10;

export async function fuzz(target: Target, order: Order): Promise<Outcome> {
  const parsers = order.parsers.map(parserAt);
  const words = [...(target.words ?? []), ...parsers.flatMap((parser) => parser.words)].map((word) =>
    Buffer.from(word),
  );
  const mostBytes = target.mostBytes ?? 2048;
  const random = randomFrom(order.seed);
  const seen = new Uint8Array(mostFeatures);
  const queue: { readonly bytes: Buffer; readonly features: readonly number[] }[] = [];
  const failures = new Map<string, Failure>();
  let runs = 0;

  const run = async (bytes: Buffer): Promise<string | undefined> => {
    runs++;
    order.before(bytes);
    resetCounts();
    try {
      const running = target.run(bytes);
      if (running) await running;
      return undefined;
    } catch (error) {
      return (error instanceof Error ? error.stack : undefined) ?? String(error);
    }
  };
  /** Runs an input, and keeps it if it is new. */
  const tryOut = async (bytes: Buffer, keep: boolean): Promise<void> => {
    const fault = await run(bytes);
    if (fault !== undefined) {
      const kind = kindOf(fault);
      if (!failures.has(kind) && failures.size < mostFailures) failures.set(kind, { bytes, message: fault });
      return;
    }
    let isNew = false;
    const features: number[] = [];
    for (const parser of parsers)
      eachFeature(parser, (feature) => {
        features.push(feature);
        if (seen[feature] === 0) isNew = true;
      });
    if (!isNew || !keep) return;
    for (const feature of features) seen[feature] = 1;
    queue.push({ bytes: Buffer.from(bytes), features });
  };

  for (const bytes of order.inputs) await tryOut(bytes, true);
  const first = [...order.inputs, Buffer.alloc(0)];
  for (let left = order.mostRuns - runs; left > 0 && failures.size < mostFailures; left--) {
    if (left % 64 === 0 && order.isOver()) break;
    // Recent inputs lead to new ones, but the first ones must not be forgotten.
    const recent = queue.length > 8 && random(2) === 0 ? queue.slice(-8) : queue;
    const parent = recent.length > 0 && order.guided ? pick(random, recent).bytes : pick(random, first);
    const other = queue.length > 0 && order.guided ? pick(random, queue).bytes : pick(random, first);
    await tryOut(mutate(parent, other, words, mostBytes, random), order.guided);
  }

  const shrunk: Failure[] = [];
  for (const [kind, failure] of failures) {
    const bytes = await shrink(failure.bytes, async (less) => kindOf((await run(less)) ?? '') === kind);
    shrunk.push({ bytes, message: failure.message });
  }
  const blocks = parsers.map(({ from, to }) => {
    const reached = new Set<number>();
    for (let feature = 0; feature < seen.length; feature++) if (seen[feature]) reached.add(blockOf(feature));
    return { reached: [...reached].filter((block) => block >= from && block < to).length, all: to - from };
  });
  return { kept: fewest(queue), failures: shrunk, runs, blocks };
}

/** Two faults count as one if they come from the same line of our sources, whatever part of the input they name. */
function kindOf(fault: string): string {
  return /\/((?:src|test)\/\S+?:\d+:\d+)/.exec(fault)?.[1] ?? (fault.split('\n', 1)[0] as string);
}

/**
 * Reduces an input with the same fault: halves, quarters … single bytes are removed as long as it persists. Bounded.
 */
async function shrink(bytes: Buffer, stillFails: (bytes: Buffer) => Promise<boolean>): Promise<Buffer> {
  let least = bytes;
  let left = 2000;
  for (let size = Math.ceil(bytes.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < least.length && left > 0; left--) {
      const less = Buffer.concat([least.subarray(0, at), least.subarray(at + size)]);
      if (await stillFails(less)) least = less;
      else at += size;
    }
  }
  return least;
}

/** Smallest first, an input is kept only if it reaches something that none before it reached. */
function fewest(queue: readonly { readonly bytes: Buffer; readonly features: readonly number[] }[]): Buffer[] {
  const reached = new Set<number>();
  return queue
    .toSorted((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes))
    .flatMap(({ bytes, features }) => {
      const before = reached.size;
      for (const feature of features) reached.add(feature);
      return reached.size > before ? [bytes] : [];
    });
}
