// What runs by the clock beside the calls: looks for changes and at the lock, limits in time, retention, and the health of
// model servers. Each is stopped through the start's stack.
import { Comments } from '../gateway/answer/keep-alive-comments.ts';
import { answerHeaders } from '../gateway/browser.ts';
import { watchLoop } from '../jobs/loop-watch.ts';
import { Upkeep } from '../jobs/retention.ts';
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import type { GateClocks } from './clocks.ts';
import type { DataPlane } from './data-plane.ts';
import type { Start } from './start.ts';
import type { Storage } from './storage.ts';

/** How often another process's changes are looked for; a revocation bites within this and a little. */
const watchIntervalMs = 250;

export interface JobParts {
  readonly clocks: GateClocks;
  readonly storage: Storage;
  readonly data: DataPlane;
}

/** `lost` is told, with a sentence, when the gate cannot go on. */
export function startJobs(
  config: Config,
  { logger }: Log,
  { clocks: { clock, nowMs }, storage, data }: JobParts,
  start: Start,
  lost: (sentence: string) => void,
): void {
  const { store, ledger, changes } = storage;
  const upkeep = new Upkeep({
    store,
    accountUsages: data.accountUsages,
    clock,
    isBehind: () => ledger.isBehind,
    retentionMs: config.retentionDays * 86_400_000,
    logger,
  });
  start.closes(() => upkeep.stop());
  const unwatch = watchLoop((heldMs) => logger.warn({ heldMs }, 'the process was held up, and every stream with it'));
  start.closes(unwatch);
  const sweep = sweepOf(config, data, storage, nowMs);
  const look = lookAtFiles(storage, logger, lost);
  every(start, watchIntervalMs, () => {
    sweep();
    look();
  });
  every(start, watchIntervalMs, () => void changes.look());
  void data.gate.registry.start();
}

function every(start: Start, ms: number, work: () => void): void {
  const timer = setInterval(work, ms);
  start.closes(() => clearInterval(timer));
}

/** Ends what has waited or stood still for too long, and samples what runs. */
function sweepOf(
  config: Config,
  { gate: { running, lines, queue }, liveStats }: DataPlane,
  { refusals }: Storage,
  nowMs: GateClocks['nowMs'],
): () => void {
  const stalls = { readerMs: config.readerStallSeconds * 1000, uploadMs: config.transferSilenceSeconds * 1000 };
  const comments = new Comments(config.sseCommentSeconds * 1000, answerHeaders);
  return () => {
    running.sweep(nowMs(), stalls, comments);
    lines.sweep(nowMs());
    queue.sweep(nowMs());
    refusals.sweep();
    liveStats.sample(running.exchanges());
  };
}

/** Says once that the lock was lost and made again; a database that is gone ends the gate. */
function lookAtFiles({ lock, store }: Storage, logger: Log['logger'], lost: (sentence: string) => void): () => void {
  let before: string | undefined;
  return () => {
    const sentence = lock.look();
    if (sentence !== undefined && sentence !== before) logger.warn(sentence);
    before = sentence;
    const loss = store.loss();
    if (loss !== undefined) lost(loss);
  };
}
