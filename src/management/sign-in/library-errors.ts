// The causes of the sign-in library's failures.
import { AsyncLocalStorage } from 'node:async_hooks';
import { toProblem } from '../http/problem.ts';

/** The running calls of the library. It turns every error of the store into "internal" and only logs the cause. */
const calls = new AsyncLocalStorage<{ cause?: unknown }>();

/** Keeps the first cause that the library logs within `withCause`. */
export function noteCause(cause: unknown): void {
  const call = calls.getStore();
  if (call) call.cause ??= cause;
}

/**
 * Rejects with the cause of a failure. Also rejects if the library reports success although the store has failed: its sign-out only
 * logs that the session could not be ended.
 */
export function withCause<T>(work: () => Promise<T>): Promise<T> {
  const call: { cause?: unknown } = {};
  return calls.run(call, work).then(
    (done) => {
      if (call.cause !== undefined && toProblem(call.cause).code.startsWith('store_')) throw call.cause;
      return done;
    },
    (error: unknown) => {
      throw call.cause ?? error;
    },
  );
}
