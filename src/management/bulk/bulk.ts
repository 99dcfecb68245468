// One request that changes several things: each by a decision of its own, so that what is refused for one does not keep the others, and
// the answer says of every id whether it was done and why not.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fill } from '../../domain/sentences.ts';
import type { Store } from '../../store/ports/store.ts';
import type { AnyCall } from '../http/endpoint.ts';
import { toProblem } from '../http/problem.ts';
import type { BulkResult } from './schemas.ts';

/** Does it for each id, in the order of the ids. @throws what is no refusal and no fault of the store. */
export async function forEachOf(
  { decide }: Pick<AnyCall, 'decide'>,
  ids: readonly string[],
  act: (store: Store, id: string) => Promise<unknown>,
): Promise<BulkResult> {
  const items: BulkResult['items'] = [];
  for (const id of new Set(ids)) {
    try {
      await decide((store) => act(store, id));
      items.push({ id, done: true, problem: null });
    } catch (error) {
      items.push({ id, done: false, problem: problemOf(error) });
    }
    await nextTurn();
  }
  return { items };
}

/** @throws the error itself if it is a fault of this code, which the log has to say. */
function problemOf(error: unknown): NonNullable<BulkResult['items'][number]['problem']> {
  const { code, details, message } = toProblem(error);
  if (code === 'internal') throw error;
  const { said, detail } = details;
  return { code, detail: detail ?? (said ? fill(said) : message), ...said };
}
