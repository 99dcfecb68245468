// Who is told that an exchange is over: the ladder and the figures of the overview, and whatever else looks at what was done
// and has no say in it. They are told when the record is made and what was reserved is settled; it may
// be in the journal a moment later. One that
// fails hurts neither the answer nor the others: its failure is logged, once a minute at most.
import type { GatewayError } from '../domain/error.ts';
import type { MonotonicMs } from '../domain/time.ts';
import type { Outcome, UsageRecord } from '../domain/usage.ts';
import type { Exchange } from './exchange.ts';

export interface Ending {
  readonly outcome: Outcome;
  readonly status: number;
  readonly error?: GatewayError;
}

export interface EndObserver {
  /** What the log calls it. */
  readonly name: string;
  /**
   * Once for each exchange, on the path of its answer: adds up and returns. `row` is what the ledger has; undefined for
   * callers that nobody knows. Both belong to the gateway, so an observer keeps and changes nothing of them.
   */
  ended(exchange: Exchange, row: UsageRecord | undefined, ending: Ending): void;
}

const quietMs = 60_000;

interface Seat {
  readonly observer: EndObserver;
  failures: number;
  quietUntilMs: MonotonicMs;
}

export class EndObservers {
  readonly #seats: readonly Seat[];
  readonly #nowMs: () => MonotonicMs;
  readonly #onFailure: (name: string, failures: number, error: unknown) => void;

  /** `onFailure` is told how often that observer has failed since it was last told. */
  constructor(
    observers: readonly EndObserver[],
    nowMs: () => MonotonicMs,
    onFailure: (name: string, failures: number, error: unknown) => void,
  ) {
    this.#seats = observers.map((observer) => ({ observer, failures: 0, quietUntilMs: -Infinity }));
    this.#nowMs = nowMs;
    this.#onFailure = onFailure;
  }

  /** Allocates nothing: it runs for every request. */
  tell(exchange: Exchange, row: UsageRecord | undefined, ending: Ending): void {
    for (const seat of this.#seats)
      try {
        seat.observer.ended(exchange, row, ending);
      } catch (error) {
        this.#noteFailure(seat, error);
      }
  }

  #noteFailure(seat: Seat, error: unknown): void {
    seat.failures++;
    const now = this.#nowMs();
    if (now < seat.quietUntilMs) return;
    seat.quietUntilMs = now + quietMs;
    this.#onFailure(seat.observer.name, seat.failures, error);
    seat.failures = 0;
  }
}
