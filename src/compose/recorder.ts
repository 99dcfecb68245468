// What the end of every exchange is told to: the ledger, the log, and observers.
import { accessLog } from '../gateway/access-log.ts';
import { type EndObserver, EndObservers } from '../gateway/observers.ts';
import type { Recorder } from '../gateway/record.ts';
import { describeCause, type Log } from '../observe/log.ts';
import type { Adapters } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import type { Storage } from './storage.ts';

interface Told {
  readonly send: Adapters['send'];
  readonly observers: readonly EndObserver[];
}

export function recorderOf(
  log: Log,
  { nowMs }: GateClocks,
  { ledger, refusals }: Storage,
  { observers, send }: Told,
): Recorder {
  return {
    end: (record, begun) => refusals.end(record, begun),
    endSoon: (record, begun, written) => ledger.endSoon(record, begun, written),
    send,
    log: accessLog(log, nowMs),
    nowMs,
    observers: new EndObservers(observers, nowMs, (observer, failures, error) =>
      log.logger.error({ observer, failures, cause: describeCause(error) }, 'an observer of ended exchanges failed'),
    ),
  };
}
