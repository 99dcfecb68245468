// The ETag of what has a version and, beside it, a state that changes by itself.

/** What a change follows: the id and the version, and not the state. */
export const versionTag = (shown: { readonly id: string | null; readonly version: number | null }): unknown => [
  shown.id,
  shown.version,
];
