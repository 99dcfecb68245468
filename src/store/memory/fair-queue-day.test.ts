import { expect, test } from 'vitest';
import type { Slot } from '../ports/turn-queue.ts';
import { FairQueue } from './fair-queue.ts';

// A day of fifty accounts against two slots, on a simulated clock: three scripts that send without a pause, twenty people
// who work with it, and twenty-seven who ask now and then. One token takes a hundredth of a second.
const dayMs = 86_400_000;
const msPerToken = 10;
const slots = 2;

/** Its own random generator, so that the day is the same every time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Person {
  readonly id: string;
  /** Calls that it keeps waiting; 0 for one that asks by the hour. */
  readonly depth: number;
  readonly perHour: number;
  readonly tokens: number;
  got: number;
  readonly waitsMs: number[];
  unserved: number;
}

test('in a day of fifty accounts on two slots, light users wait little, and heavy ones share the rest', () => {
  const random = generator(20_261_123);
  const people: Person[] = Array.from({ length: 50 }, (_, i) => ({
    id: `p${i}`,
    depth: i < 3 ? 40 : 0,
    perHour: i < 3 ? 0 : i < 23 ? 12 : 2,
    tokens: i < 3 ? 200 + 400 * i : 100 + Math.floor(random() * 500),
    got: 0,
    waitsMs: [],
    unserved: 0,
  }));
  const queue = new FairQueue<string>({
    serversFor: () => ['gpu'],
    slotsFor: () => slots,
    maxWaiting: 1_000,
    maxWaitMs: Number.POSITIVE_INFINITY,
  });
  const events: { at: number; run: () => void }[] = [];
  let now = 0;
  let busy = 0;
  let waiting = 0;
  let idleWhileWaited = 0;
  const at = (time: number, run: () => void): void => {
    let low = 0;
    let high = events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (events[middle]!.at <= time) low = middle + 1;
      else high = middle;
    }
    events.splice(low, 0, { at: time, run });
  };
  const ask = (person: Person): void => {
    const real = Math.max(1, Math.round(person.tokens * (0.5 + random())));
    const asked = now;
    const begin = (slot: Slot<string>): void => {
      busy++;
      person.waitsMs.push(now - asked);
      person.unserved--;
      at(now + real * msPerToken, () => {
        busy--;
        person.got += real;
        if (person.depth > 0) ask(person);
        slot.release(real);
      });
    };
    person.unserved++;
    const turn = {
      accountId: person.id,
      // Estimates are far from the actual use.
      cost: person.tokens * 3,
      most: person.tokens * 3,
      weight: 1,
      behind: false,
      start: (slot: Slot<string>) => {
        waiting--;
        begin(slot);
      },
      refuse: () => expect.unreachable('nobody is refused'),
    };
    waiting++;
    const entered = queue.enter('m', turn, now);
    if (entered?.kind === 'slot') turn.start(entered);
    else expect(entered).toBeDefined();
  };
  for (const person of people) {
    for (let i = 0; i < person.depth; i++) at(0, () => ask(person));
    if (person.perHour === 0) continue;
    const gap = (): number => (-Math.log(1 - random()) * 3_600_000) / person.perHour;
    for (let time = gap(); time < dayMs - 600_000; time += gap()) at(time, () => ask(person));
  }
  for (let next = events.shift(); next && next.at < dayMs; next = events.shift()) {
    now = next.at;
    next.run();
    if (waiting > 0 && busy < slots) idleWhileWaited++;
  }

  const scripts = people.slice(0, 3);
  const others = people.slice(3);
  // Capacity was never idle while a call waited, and the scripts took all that was left.
  expect(idleWhileWaited).toBe(0);
  const spent = people.reduce((sum, { got }) => sum + got, 0);
  expect(spent * msPerToken).toBeGreaterThan(0.99 * slots * dayMs);
  // No starvation: everyone who had asked was served.
  expect(others.every(({ unserved }) => unserved === 0)).toBe(true);
  // The three scripts got the same, though their calls cost 200, 600 and 1,000 tokens.
  const sum = scripts.reduce((total, { got }) => total + got, 0);
  const squares = scripts.reduce((total, { got }) => total + got * got, 0);
  expect((sum * sum) / (3 * squares)).toBeGreaterThanOrEqual(0.95);
  // An occasional caller waits for a few answers, although 120 calls of the scripts are always queued.
  const waits = others.flatMap(({ waitsMs }) => waitsMs).toSorted((a, b) => a - b);
  const longestAnswerMs = 1_000 * 1.5 * msPerToken;
  expect(waits[Math.floor(waits.length * 0.5)]!).toBeLessThan(longestAnswerMs);
  expect(waits[Math.floor(waits.length * 0.99)]!).toBeLessThan(5 * longestAnswerMs);
  const scriptWaits = scripts.flatMap(({ waitsMs }) => waitsMs).toSorted((a, b) => a - b);
  expect(scriptWaits[Math.floor(scriptWaits.length / 2)]!).toBeGreaterThan(5 * longestAnswerMs);
});
