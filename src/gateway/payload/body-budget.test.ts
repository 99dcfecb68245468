import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyBudget, type Holder } from './body-budget.ts';

const most = 1_000_000;
const holder = (): Holder => ({ heldBytes: 0 });

/** Takes as much as the budget allows. */
function fill(budget: BodyBudget, of: Holder | undefined, source?: string): number {
  let taken = 0;
  for (let step = most; step >= 1; step = Math.floor(step / 2)) while (budget.take(step, of, source)) taken += step;
  return taken;
}

test('each holder may have half of what the others leave, so two of them never keep a third out', () => {
  const budget = new BodyBudget(() => most);
  expect(fill(budget, holder())).toBe(500_000);
  expect(fill(budget, holder())).toBe(250_000);
  expect(fill(budget, holder())).toBe(125_000);
});

test('all holders of one source together leave a quarter to the others', () => {
  const budget = new BodyBudget(() => most);
  let taken = 0;
  for (let i = 0; i < 30; i++) taken += fill(budget, i % 2 === 0 ? holder() : undefined, '192.0.2.1');
  expect(taken).toBe(750_000);
  expect(fill(budget, holder(), '192.0.2.2')).toBe(125_000);
});

test('after any sequence of taking and giving back, nothing is left over and the limit was never exceeded', () => {
  const step = fc.record({ who: fc.nat(3), from: fc.nat(2), bytes: fc.nat(400_000), back: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const budget = new BodyBudget(() => most);
      const holders = [undefined, holder(), holder(), holder()];
      const taken: [number, number, number][] = [];
      for (const { who, from, bytes, back } of steps) {
        const last = back ? taken.pop() : undefined;
        if (last) budget.give(last[0], holders[last[1]], String(last[2]));
        else if (budget.take(bytes, holders[who], String(from))) taken.push([bytes, who, from]);
        expect(taken.reduce((sum, [each]) => sum + each, 0)).toBeLessThanOrEqual(most);
      }
      for (const [bytes, who, from] of taken) budget.give(bytes, holders[who], String(from));
      for (const each of holders) expect(each?.heldBytes ?? 0).toBe(0);
      expect(budget.take(most, undefined)).toBe(true);
    }),
  );
});
