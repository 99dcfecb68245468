// Maintenance: while it is on, the gate refuses new calls with the operator's sentence. Pure.

export interface Maintenance {
  /** What callers are told, on one line; null: the sentence of the error registry. */
  readonly message: string | null;
  /** Unix milliseconds. */
  readonly since: number;
  /** When it ends automatically, in Unix milliseconds; null: when an operator ends it. */
  readonly until: number | null;
}

/** The most characters of its message. */
export const mostMaintenanceMessage = 500;

/** Maintenance that has not ended by itself. */
export const maintenanceAt = (maintenance: Maintenance | null, now: number): Maintenance | null =>
  maintenance === null || (maintenance.until !== null && now >= maintenance.until) ? null : maintenance;
