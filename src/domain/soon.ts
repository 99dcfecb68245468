// A result that is usually at hand, and sometimes comes later. Code on the request path awaits only what is a promise, so
// that an answer from memory costs no promise and no turn of the event loop.

export type Soon<T> = T | Promise<T>;

/** `instanceof Promise` alone leaves `any` of some types; this leaves `T`. */
export function isLater<T>(soon: Soon<T>): soon is Promise<T> {
  return soon instanceof Promise;
}
