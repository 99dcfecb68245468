import { array, assert, boolean, nat, property, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { type Member, Roster } from './swap-set.ts';

test('holds exactly those who came and did not leave, in any order of coming and leaving', () => {
  assert(
    property(array(tuple(boolean(), nat(9))), (steps) => {
      const people: Member[] = Array.from({ length: 10 }, () => ({ slot: -1 }));
      const roster = new Roster<Member>();
      const there = new Set<Member>();
      for (const [comes, who] of steps) {
        const member = people[who]!;
        if (comes && !there.has(member)) {
          roster.add(member);
          there.add(member);
        } else if (!comes) {
          roster.remove(member);
          there.delete(member);
        }
      }
      expect(new Set(roster.list())).toEqual(there);
      expect(roster.size).toBe(there.size);
    }),
  );
});
