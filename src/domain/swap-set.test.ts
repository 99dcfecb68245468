import { array, assert, boolean, nat, property, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { type Member, SwapSet } from './swap-set.ts';

test('holds exactly the members that were added and not removed, in any order', () => {
  assert(
    property(array(tuple(boolean(), nat(9))), (steps) => {
      const people: Member[] = Array.from({ length: 10 }, () => ({ slot: -1 }));
      const set = new SwapSet<Member>();
      const there = new Set<Member>();
      for (const [comes, who] of steps) {
        const member = people[who]!;
        if (comes && !there.has(member)) {
          set.add(member);
          there.add(member);
        } else if (!comes) {
          set.remove(member);
          there.delete(member);
        }
      }
      expect(new Set(set.list())).toEqual(there);
      expect(set.size).toBe(there.size);
    }),
  );
});
