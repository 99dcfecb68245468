// Starts the periodic jobs. Each is stopped through the start's stack.
import { Comments } from '../gateway/answer/keep-alive-comments.ts';
import { answerHeaders } from '../gateway/browser.ts';
import { showNow } from '../gateway/introspection.ts';
import { watchClock } from '../jobs/clock-watch.ts';
import { every } from '../jobs/every.ts';
import { watchLoop } from '../jobs/loop-watch.ts';
import { lostPulls } from '../jobs/lost-pulls.ts';
import { retention } from '../jobs/retention.ts';
import { sessionCleanup } from '../jobs/session-cleanup.ts';
import { showGates } from '../jobs/show-gates.ts';
import { watchStore } from '../jobs/store-watch.ts';
import { summing } from '../jobs/summing.ts';
import { timedEnds } from '../jobs/timed-ends.ts';
import { Upkeep } from '../jobs/upkeep.ts';
import { describeCause, type Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import { StatesFile } from '../store/server-states.ts';
import type { Adapters } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import type { DataPlane } from './data-plane.ts';
import type { Start } from './start.ts';
import type { Storage } from './storage.ts';

/** How often time limits are applied to waiting and streaming calls. */
const sweepMs = 250;
/** How often the files of an unusable model server are tried again. */
const retryServersMs = 5_000;
/** How often the states of the model servers are written for the command line. */
const writeStatesMs = 1_000;
/** How often the usage of inactive accounts is unloaded. */
const closeUsageMs = 5_000;

export interface JobParts {
  readonly clocks: GateClocks;
  readonly storage: Storage;
  readonly data: DataPlane;
  readonly adapters: Pick<Adapters, 'upkeepLives' | 'shown'>;
}

/** `lost` is called with a sentence when the gateway cannot continue. */
export function startJobs(
  config: Config,
  { logger }: Log,
  { clocks: { clock, nowMs }, storage, data, adapters }: JobParts,
  start: Start,
  lost: (sentence: string) => void,
): void {
  const { store, ledger, changes, lock, gates } = storage;
  const upkeep = new Upkeep(
    [
      retention(clock, config.retentionDays * 86_400_000),
      summing(clock),
      sessionCleanup(clock.wall),
      timedEnds(store, clock.wall),
      lostPulls(store, gates, clock.wall),
    ],
    {
      store,
      owner: gates.id,
      onError: (what, error) => logger.error({ cause: describeCause(error) }, what),
      lives: adapters.upkeepLives,
    },
  );
  start.closes(() => upkeep.stop());
  start.closes(
    showGates(gates, () => showNow(data.gate, data.liveStats, { ...adapters.shown?.(), ...data.shownPulls() })),
  );
  start.closes(watchClock(clock, logger));
  start.closes(
    every(closeUsageMs, () => {
      // Usage is loaded again from the store, so no record of it may be pending.
      if (!ledger.isBehind) data.accountUsages.sweep();
    }),
  );
  start.closes(watchLoop((heldMs) => logger.warn({ heldMs }, 'the process was held up, and every stream with it')));
  start.closes(every(sweepMs, sweepOf(config, data, storage, nowMs)));
  start.closes(watchStore({ store, changes, lock, logger, lost }));
  start.closes(
    every(retryServersMs, () => {
      data.storedServers.retry();
      data.storedRoutes.retry();
    }),
  );
  const states = new StatesFile(config.dataDir);
  start.closes(() => states.remove());
  start.closes(every(writeStatesMs, () => states.write(data.storedServers.states())));
  void data.gate.registry.start();
}

/** Ends calls that have waited or stalled for too long, and samples running calls. */
function sweepOf(
  { live }: Config,
  { gate: { running, lines, queue, serviceTurns, announced, wallNow }, liveStats }: DataPlane,
  { refusals }: Storage,
  nowMs: GateClocks['nowMs'],
): () => void {
  const stalls = live.derive(({ readerStallSeconds, transferSilenceSeconds }) => ({
    readerMs: readerStallSeconds * 1000,
    uploadMs: transferSilenceSeconds * 1000,
  }));
  const comments = live.derive(({ sseCommentSeconds }) => new Comments(sseCommentSeconds * 1000, answerHeaders));
  return () => {
    running.sweep(nowMs(), stalls.now, comments.now);
    lines.sweep(nowMs());
    queue.sweep(nowMs());
    serviceTurns.queue.sweep(nowMs());
    refusals.sweep();
    announced.sweep(wallNow());
    liveStats.sample(running.exchanges());
  };
}
