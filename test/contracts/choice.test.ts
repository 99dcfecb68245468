// The choice of a server over simulated hours: time to the first token beside other policies. Time is computed, so nothing depends
// on the machine that runs it. `node bench/choice/run.ts` simulates a whole day.
import { describe, expect, test } from 'vitest';
import { type DayResult, policyNames, type Scale, simulate, wholeDay } from '../../bench/choice/day.ts';

/** In the middle of the day, when three times as many calls come as at night. */
const hours: Scale = { ...wholeDay, hours: 3 };

describe.each([1, 2, 3])('over 20 servers and 50 models (seed %i)', (seed) => {
  const results = new Map<string, DayResult>();
  const of = (name: (typeof policyNames)[number]): DayResult => {
    let result = results.get(name);
    if (!result) results.set(name, (result = simulate(name, { ...hours, seed })));
    return result;
  };

  test('the 95th percentile of the time to the first token is at least 30 % below that of every other policy', () => {
    const own = of('earliest answer').p95Ms;
    for (const name of policyNames.slice(0, -1)) expect(own, name).toBeLessThan(0.7 * of(name).p95Ms);
  });

  test('no call is left out, and no account and no model waits much longer than it would with the fewest calls', () => {
    const own = of('earliest answer');
    const other = of('least connections');
    expect([own.unserved, own.calls]).toEqual([0, other.calls]);
    expect(own.worstAccountMs).toBeLessThan(other.worstAccountMs);
    expect(own.worstModelMs).toBeLessThan(other.worstModelMs);
  });

  test('models are loaded far less often', () => {
    expect(of('earliest answer').loads).toBeLessThan(of('least connections').loads / 4);
  });
});
