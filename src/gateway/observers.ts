// The observers that are told when an exchange is over: the ladder, the live statistics, and others that watch but
// decide nothing. They are called after the record is made and the reservation settled; the record may reach the
// journal a moment later. An observer that fails affects neither the answer nor the others: its failure is logged, at
// most once a minute.
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
  /** The observer's name in the log. */
  readonly name: string;
  /**
   * Called once for each exchange, on the path of its answer, so it must return quickly. `row` is the ledger's row;
   * undefined for unidentified callers. Both arguments belong to the gateway: do not keep or change them.
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

  /** `onFailure` receives the number of failures of that observer since the last report. */
  constructor(
    observers: readonly EndObserver[],
    nowMs: () => MonotonicMs,
    onFailure: (name: string, failures: number, error: unknown) => void,
  ) {
    this.#seats = observers.map((observer) => ({ observer, failures: 0, quietUntilMs: -Infinity }));
    this.#nowMs = nowMs;
    this.#onFailure = onFailure;
  }

  /** Runs for every request, so it allocates nothing. */
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
