// The library reads the clock of its machine. What it stores is by the clock of the database instead, which all gateways follow, so that a
// session or a second step lasts as long at each of them.
import type { DBAdapter } from 'better-auth';
import type { WallMs } from '../../domain/time.ts';

/** How much more it shows than the clock of this machine, which the library reads. */
export const aheadBy = (now: () => WallMs): number => now() - Date.now();

/** `aheadMs`: how much more the clock shows that stored dates are by. */
export function onClock(adapter: DBAdapter, aheadMs: () => number): DBAdapter {
  return new Proxy(adapter, {
    get: (target, name, receiver) => {
      const found: unknown = Reflect.get(target, name, receiver);
      if (typeof found !== 'function') return found;
      if (name === 'transaction')
        return (work: (within: DBAdapter) => Promise<unknown>) =>
          target.transaction((within) => work(onClock(within as DBAdapter, aheadMs)));
      return async (asked: unknown) => {
        const ahead = aheadMs();
        return moved(await (found as (asked: unknown) => unknown).call(target, moved(asked, ahead)), -ahead);
      };
    },
  });
}

/** The same with all dates moved by so much. */
function moved(value: unknown, ms: number): unknown {
  if (ms === 0) return value;
  if (value instanceof Date) return new Date(value.getTime() + ms);
  if (Array.isArray(value)) return value.map((each) => moved(each, ms));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, moved(each, ms)]));
}
