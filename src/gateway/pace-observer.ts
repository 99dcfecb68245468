// Hands what a call took to the choice of servers, which learns from it. Only answers that completed show a pace, and only
// where there is more than one server does anything depend on it.
import type { MonotonicMs } from '../domain/time.ts';
import type { UsageRecord } from '../domain/usage.ts';
import type { Exchange } from './exchange.ts';
import type { Ending, EndObserver } from './observers.ts';

export class PaceObserver implements EndObserver {
  readonly name = 'the paces of model servers';
  readonly #nowMs: () => MonotonicMs;

  constructor(nowMs: () => MonotonicMs) {
    this.#nowMs = nowMs;
  }

  ended(exchange: Exchange, row: UsageRecord | undefined, { outcome }: Ending): void {
    const { assignment, meter } = exchange;
    if (assignment === undefined || row === undefined) return;
    assignment.end();
    if (outcome !== 'completed') return;
    assignment.learn({
      nowMs: this.#nowMs(),
      timings: meter?.timings?.(),
      streamed: row.streamed,
      isExact: row.source === 'exact',
      promptTokens: row.promptTokens,
      cachedTokens: row.cacheReadTokens,
      answerTokens: row.completionTokens,
    });
  }
}
