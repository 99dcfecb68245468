// A position in a list, from which pages are read.

/** A position in a list that is ordered by time and then id. */
export interface Page {
  readonly after?: { readonly at: number; readonly id: string };
  readonly limit: number;
}
