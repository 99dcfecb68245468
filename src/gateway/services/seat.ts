// A place among the calls that a service may have for one account.

export interface Seat {
  /** Later calls do nothing. */
  leave(): void;
}
