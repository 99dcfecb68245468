// The ETag of objects with a version and a state that changes independently.

/** The parts that the ETag covers: the id and the version, not the state. */
export const versionTag = (shown: { readonly id: string | null; readonly version: number | null }): unknown => [
  shown.id,
  shown.version,
];
