// The gates that share one database. Each registers there under an id of its own and renews that by heartbeats, in the time of the
// database. A gate that could not renew in time (its process was frozen, or its network away) is given up by the others: it takes
// part again only under a new epoch.
import type { MonotonicMs } from '../../domain/time.ts';

export interface Gates {
  /** The same at every start with one data directory. */
  readonly id: string;
  /** Grows with every start, and each time the others have given this gate up. */
  readonly epoch: number;
  /** Until then the others count on this gate. Afterwards it has to ask before it admits anything. */
  readonly certainUntilMs: MonotonicMs;
  /** The ids of the gates that are alive, in order, as of the last heartbeat; this one is always among them. */
  readonly alive: readonly string[];
  /** Sends a heartbeat now. Resolves when it is known whether others have given this gate up, or that nobody can tell. Never rejects. */
  confirm(): Promise<void>;
  /** What this gate does now, as text for the others. */
  show(now: string): Promise<void>;
  /** What the other gates that are alive have shown. */
  shown(): Promise<readonly ShownGate[]>;
}

export interface ShownGate {
  readonly id: string;
  readonly host: string;
  readonly now: string;
}

/** A gate that has its database to itself by other means. */
export const onlyGate: Gates = {
  id: 'only',
  epoch: 1,
  certainUntilMs: Infinity,
  alive: ['only'],
  confirm: () => Promise.resolve(),
  show: () => Promise.resolve(),
  shown: () => Promise.resolve([]),
};
