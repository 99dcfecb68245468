// Plausible figures of a model server about its models. A figure beyond them is not one.

/** No model has a longer context; a server that says more would have its callers ask for more than any memory holds. */
export const mostContext = 2 ** 24;

/** No model is larger. */
export const mostBytes = 2 ** 45;

/** A server that says more lies: no machine works on as many calls at once. */
export const mostSlots = 4096;

export const isCount = (value: unknown, most: number): value is number =>
  Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= most;
