// A place in a list that pages are read from.

/** A place in a list that is ordered by time and then id. */
export interface Page {
  readonly after?: { readonly at: number; readonly id: string };
  readonly limit: number;
}
