// Starts the thread that fuzzes or replays, and watches it: an input that never returns, or exhausts the memory, ends the
// thread and is a failure.
import { Worker } from 'node:worker_threads';
import type { Report, Work } from './thread.ts';

/** An input that takes this long never returns; the slowest known one takes a hundredth of it. */
const mostMsPerInput = 20_000;
const mostBytes = 1024 * 1024;

export async function start(work: Omit<Work, 'last'>): Promise<readonly Report[]> {
  const last = new SharedArrayBuffer(8 + mostBytes);
  const counts = new Int32Array(last, 0, 2);
  const workerData: Work = { ...work, last };
  const resourceLimits = { maxOldGenerationSizeMb: 1024 };
  const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData, resourceLimits });
  let [before, stuck] = [-1, false];
  const watch = setInterval(() => {
    stuck = counts[0] === before && before > 0;
    before = counts[0] as number;
    if (stuck) void worker.terminate();
  }, mostMsPerInput);
  try {
    return await new Promise((resolve, reject) => {
      let reports: readonly Report[] | undefined;
      worker
        .once('message', (message: readonly Report[]) => (reports = message))
        .once('error', reject)
        .once('exit', () => (reports ? resolve(reports) : reject(new Error('the thread ended without a report'))));
    });
  } catch (error) {
    // Before the first input, no parser is at fault.
    if (counts[0] === 0) throw error;
    const bytes = Buffer.from(new Uint8Array(last, 8, counts[1]));
    const failures = [{ bytes, message: stuck ? 'the input never returns' : String(error) }];
    return [{ name: work.names.join(), kept: [], failures, runs: counts[0] as number, blocks: [] }];
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}
