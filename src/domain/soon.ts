// A result that is usually available at once and sometimes later. The request path awaits only actual promises, so an
// answer from memory costs neither a promise nor a turn of the event loop.

export type Soon<T> = T | Promise<T>;

/** `instanceof Promise` alone narrows some types to `any`; this narrows to `T`. */
export function isLater<T>(soon: Soon<T>): soon is Promise<T> {
  return soon instanceof Promise;
}
