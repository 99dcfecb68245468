// The policies that the choice is compared with. Each knows which servers have the model and how many calls it has sent them,
// and goes on to its next server where the slots of the first are taken.
import type { Machine } from './machine.ts';
import type { Random } from './random.ts';

export type Policy = (having: readonly Machine[], model: string) => readonly Machine[];

export const random =
  (numbers: Random): Policy =>
  (having) => {
    const left = [...having];
    for (let at = left.length - 1; at > 0; at--) {
      const other = numbers.below(at + 1);
      [left[at], left[other]] = [left[other] as Machine, left[at] as Machine];
    }
    return left;
  };

export function roundRobin(): Policy {
  const turns = new Map<string, number>();
  return (having, model) => {
    const turn = turns.get(model) ?? 0;
    turns.set(model, turn + 1);
    const at = turn % having.length;
    return [...having.slice(at), ...having.slice(0, at)];
  };
}

export const leastConnections = (): Policy => (having) => having.toSorted((a, b) => a.inFlight - b.inFlight);
