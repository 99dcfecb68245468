// Deals out a figure among gates. The shares of all of them are the figure, whatever their number.
import { createHash } from 'node:crypto';

/** How much of `most` belongs to the gate: it is dealt out in an order of the gates that differs with `what`. 0 for an unknown gate. */
export function shareOf(gates: readonly string[], gate: string, what: string, most: number): number {
  const order = gates
    .map((name) => ({ name, key: createHash('sha256').update(`${what}\0${name}`).digest('hex') }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const rank = order.findIndex(({ name }) => name === gate);
  return rank < 0 ? 0 : Math.max(0, Math.ceil((most - rank) / gates.length));
}
