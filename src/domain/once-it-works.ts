// A result that is made at most once, when it is first needed.
/** Does the work at the first call and keeps its result. A failure, such as a lack of file descriptors, is not kept. */
export function onceItWorks<T>(work: () => Promise<T>): () => Promise<T> {
  let kept: Promise<T> | undefined;
  return () => {
    kept ??= work().catch((error: unknown) => {
      kept = undefined;
      throw error;
    });
    return kept;
  };
}
