import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Place, Slot, Turn } from '../ports/turn-queue.ts';
import { FairQueue } from './fair-queue.ts';

interface Call extends Turn<string> {
  readonly name: string;
  slot: Slot<string> | undefined;
  refused: string | undefined;
}

function call(accountId: string, cost = 1, extra: Partial<Turn<string>> = {}): Call {
  const made: Call = {
    name: accountId,
    accountId,
    cost,
    most: cost,
    weight: 1,
    behind: false,
    slot: undefined,
    refused: undefined,
    start: (slot) => (made.slot = slot),
    refuse: (code) => (made.refused = code),
    ...extra,
  };
  return made;
}

function queueOf(slots: number, settings: { maxWaiting?: number; maxWaitMs?: number; servers?: string[] } = {}) {
  const { maxWaiting = 10_000, maxWaitMs = 1e9, servers = ['a'] } = settings;
  return new FairQueue<string>({ serversFor: () => servers, slotsFor: () => slots, maxWaiting, maxWaitMs });
}

/** Enters a call and returns its result. */
function enter(queue: FairQueue<string>, turn: Call, now = 0): Place | undefined {
  const entered = queue.enter('m', turn, now);
  if (entered === undefined) turn.refused = 'queue_full';
  else if (entered.kind === 'slot') turn.slot = entered;
  else return entered;
  return undefined;
}

/** (Σx)² ÷ (n·Σx²): 1 if all have the same, 1/n if one has everything (Jain, Chiu, Hawe 1984). */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((a, b) => a + b, 0);
  const squares = shares.reduce((a, b) => a + b * b, 0);
  return squares === 0 ? 1 : (sum * sum) / (shares.length * squares);
}

test('an account with one call waits for one turn while another has two hundred waiting', () => {
  const queue = queueOf(1);
  const greedy = Array.from({ length: 200 }, () => call('greedy', 50));
  for (const each of greedy) enter(queue, each);
  const modest = call('modest', 50);
  const place = enter(queue, modest);
  expect(place?.position).toBe(2);
  greedy[0]!.slot!.release(50);
  const second = greedy.find((each) => each.slot && each !== greedy[0]);
  // At most one more call of the greedy account is served before.
  second?.slot?.release(50);
  expect(modest.slot).toBeDefined();
});

test('within an account, calls are served in order of arrival', () => {
  const queue = queueOf(1);
  const calls = Array.from({ length: 20 }, () => call('a'));
  for (const each of calls) enter(queue, each);
  for (const each of calls) {
    expect(each.slot).toBeDefined();
    each.slot!.release(1);
  }
});

test('a call moved to the back is served when no other waits, and then at once', () => {
  const queue = queueOf(1);
  const first = call('first');
  const back = [call('back', 1, { behind: true }), call('back', 1, { behind: true })];
  const others = [call('other', 1000), call('other', 1000)];
  for (const each of [first, ...back, ...others]) enter(queue, each);
  for (const each of [first, ...others, ...back]) {
    expect(each.slot).toBeDefined();
    each.slot!.release(each.cost);
  }
  const alone = call('back', 1, { behind: true });
  enter(queue, alone);
  expect(alone.slot).toBeDefined();
});

test('a key at the back blocks no one, not even another key of its account', () => {
  const queue = queueOf(1);
  const running = call('other');
  enter(queue, running);
  const behind = [call('team', 1, { behind: true }), call('team', 1, { behind: true })];
  const good = [call('team'), call('team')];
  const others = Array.from({ length: 6 }, () => call('other'));
  for (const each of [...behind, ...good, ...others]) enter(queue, each);
  const order: Call[] = [];
  let now: Call | undefined = running;
  while (now) {
    now.slot!.release(1);
    now = [...behind, ...good, ...others].find((each) => each.slot && !order.includes(each));
    if (now) order.push(now);
  }
  expect(order.filter((each) => good.includes(each))).toEqual(good);
  expect(order.indexOf(good[1]!)).toBeLessThan(5);
  expect(order.slice(-2)).toEqual(behind);
});

test('unused estimates are credited, and use beyond them is charged', () => {
  const queue = queueOf(1);
  const run = (real: number): string[] => {
    const order: string[] = [];
    const calls = Array.from({ length: 12 }, (_, i) => call(i % 2 ? 'honest' : 'vague', i % 2 ? 100 : 5_000));
    const blocker = call('blocker', 1);
    enter(queue, blocker);
    for (const each of calls) enter(queue, each);
    blocker.slot!.release(1);
    for (let i = 0; i < calls.length; i++) {
      const running = calls.find((each) => each.slot && !order.includes(`${calls.indexOf(each)}`))!;
      order.push(`${calls.indexOf(running)}`);
      running.slot!.release(running.accountId === 'vague' ? real : 100);
    }
    return order.map((index) => calls[Number(index)]!.accountId);
  };
  // It asked for 5,000 and used 100 like the other: they take turns.
  expect(
    run(100)
      .slice(1, 9)
      .filter((who) => who === 'vague').length,
  ).toBeGreaterThanOrEqual(3);
});

describe('when the queue is full', () => {
  test('the last call of the account with the most waiting makes room for an account with fewer', () => {
    const queue = queueOf(1, { maxWaiting: 5 });
    const greedy = Array.from({ length: 7 }, () => call('greedy'));
    for (const each of greedy) enter(queue, each);
    expect(greedy.map(({ refused }) => refused)).toEqual([...Array<undefined>(6).fill(undefined), 'queue_full']);
    const modest = call('modest');
    expect(enter(queue, modest)).toBeDefined();
    expect(greedy[5]!.refused).toBe('queue_full');
    expect(queue.snapshot()).toEqual([{ model: 'm', running: 1, waiting: 5, accounts: 2 }]);
  });

  test('a call at the back makes room for one that is not, and takes no other place', () => {
    const queue = queueOf(1, { maxWaiting: 4 });
    const behind = ['a', 'b', 'b', 'c'].map((who) => call(who, 1, { behind: true }));
    for (const each of [call('x'), ...behind]) enter(queue, each);
    const good = Array.from({ length: 5 }, () => call('good'));
    for (const each of good) enter(queue, each);
    expect(behind.map(({ refused }) => refused)).toEqual(Array(4).fill('queue_full'));
    expect(good.map(({ refused }) => refused !== undefined)).toEqual([false, false, false, false, true]);
    const late = call('d', 1, { behind: true });
    enter(queue, late);
    expect([late.refused, good[3]!.refused]).toEqual(['queue_full', undefined]);
  });

  test('no call makes room for an account with as many waiting', () => {
    const queue = queueOf(1, { maxWaiting: 4 });
    const calls = ['x', 'a', 'a', 'b', 'b', 'a', 'b'].map((who) => call(who));
    for (const each of calls) enter(queue, each);
    expect(calls.map(({ refused }) => refused !== undefined)).toEqual([false, false, false, false, false, true, true]);
  });
});

test('a call that waits too long is refused and leaves no place behind', () => {
  const queue = queueOf(1, { maxWaitMs: 100 });
  const [first, early, late] = [call('a'), call('b'), call('c')];
  enter(queue, first, 0);
  enter(queue, early, 0);
  enter(queue, late, 60);
  queue.sweep(100);
  expect([early.refused, late.refused]).toEqual(['queue_timeout', undefined]);
  first.slot!.release(1);
  expect(late.slot).toBeDefined();
  late.slot!.release(1);
  queue.sweep(101);
  expect(queue.snapshot()).toEqual([]);
});

test('each server has its slots, and one that is not serving gets none', () => {
  const servers = ['a', 'b'];
  const queue = queueOf(2, { servers });
  const calls = Array.from({ length: 6 }, (_, i) => call(`c${i}`));
  for (const each of calls) enter(queue, each);
  const held = calls.flatMap(({ slot }) => slot?.server ?? []);
  expect(held.toSorted()).toEqual(['a', 'a', 'b', 'b']);
  servers.pop();
  for (const each of calls) if (each.slot?.server === 'b') each.slot.release(1);
  expect(calls.filter(({ slot }) => slot)).toHaveLength(4);
  for (const each of calls.slice(0, 4)) if (each.slot?.server === 'a') each.slot.release(1);
  expect(calls.every(({ slot }) => slot)).toBe(true);
});

type Step =
  | { readonly do: 'enter'; readonly who: number; readonly cost: number }
  | { readonly do: 'release'; readonly which: number; readonly real: number }
  | { readonly do: 'leave'; readonly which: number }
  | { readonly do: 'sweep' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('enter' as const), who: fc.nat(5), cost: fc.integer({ min: 1, max: 5_000 }) }),
    fc.record({ do: fc.constant('release' as const), which: fc.nat(1000), real: fc.nat(10_000) }),
    fc.record({ do: fc.constant('leave' as const), which: fc.nat(1000) }),
    fc.record({ do: fc.constant('sweep' as const) }),
  ),
  { minLength: 1, maxLength: 150 },
);

test('for any sequence of events: never more than the slots, never a free slot while a call waits, none lost', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 12 }), (list, slots, maxWaiting) => {
      const queue = queueOf(slots, { maxWaiting, maxWaitMs: 40 });
      const open: { turn: Call; place: Place | undefined }[] = [];
      let now = 0;
      for (const step of list) {
        now++;
        const running = open.filter(({ turn }) => turn.slot);
        const waiting = open.filter(({ turn, place }) => place && !turn.slot && !turn.refused);
        if (step.do === 'enter') {
          const turn = call(`w${step.who}`, step.cost, { weight: 1 + (step.who % 3) });
          open.push({ turn, place: enter(queue, turn, now) });
        } else if (step.do === 'release' && running.length > 0) {
          const { turn } = running[step.which % running.length]!;
          turn.slot!.release(step.real);
          // Doing it twice changes nothing.
          turn.slot!.release(step.real);
          open.splice(
            open.findIndex((each) => each.turn === turn),
            1,
          );
        } else if (step.do === 'leave' && waiting.length > 0) {
          const gone = waiting[step.which % waiting.length]!;
          gone.place!.leave();
          gone.place!.leave();
          open.splice(open.indexOf(gone), 1);
        } else if (step.do === 'sweep') queue.sweep(now);
        for (let i = open.length - 1; i >= 0; i--) if (open[i]!.turn.refused) open.splice(i, 1);
        const held = open.filter(({ turn }) => turn.slot).length;
        const waits = open.length - held;
        expect(held).toBeLessThanOrEqual(slots);
        expect(waits).toBeLessThanOrEqual(maxWaiting);
        if (waits > 0) expect(held).toBe(slots);
        const [lane] = queue.snapshot();
        expect([lane?.running ?? 0, lane?.waiting ?? 0]).toEqual([held, waits]);
      }
      for (let round = 0; round < 1000 && open.some(({ turn }) => turn.slot); round++) {
        const next = open.findIndex(({ turn }) => turn.slot);
        open.splice(next, 1)[0]!.turn.slot!.release(1);
      }
      expect(open).toEqual([]);
      queue.sweep(now + 1);
      expect(queue.snapshot()).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('accounts that always have calls waiting get tokens by their weight, whatever their calls cost', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          weight: fc.constantFrom(0.5, 1, 2, 4),
          cost: fc.integer({ min: 50, max: 2_000 }),
          // The error of its estimates: it announces this many times what it uses.
          vague: fc.constantFrom(0.2, 1, 5),
          depth: fc.integer({ min: 1, max: 30 }),
        }),
        { minLength: 2, maxLength: 12 },
      ),
      fc.integer({ min: 1, max: 3 }),
      (accounts, slots) => {
        const queue = queueOf(slots);
        const got = accounts.map(() => 0);
        const running: { turn: Call; who: number }[] = [];
        const waiting: { turn: Call; who: number }[] = [];
        const send = (who: number): void => {
          const { cost, vague, weight } = accounts[who]!;
          const turn = call(`w${who}`, Math.max(1, cost * vague), { weight });
          enter(queue, turn);
          waiting.push({ turn, who });
        };
        accounts.forEach(({ depth }, who) => {
          // One more than there are slots, so that it is backlogged even while others of its calls run.
          for (let i = 0; i < depth + slots; i++) send(who);
        });
        const largest = Math.max(...accounts.map(({ cost, weight }) => cost / weight));
        const enough = 60 * largest * accounts.length;
        for (let served = 0, spent = 0; spent < enough && served < 50_000; served++) {
          for (let i = waiting.length - 1; i >= 0; i--)
            if (waiting[i]!.turn.slot) running.push(...waiting.splice(i, 1));
          const { turn, who } = running.shift()!;
          const { cost, weight } = accounts[who]!;
          got[who] = got[who]! + cost / weight;
          spent += cost / weight;
          send(who);
          turn.slot!.release(cost);
        }
        expect(jain(got)).toBeGreaterThanOrEqual(0.95);
      },
    ),
    { numRuns: 60 },
  );
});

test('abandoning turns before they report their cost does not win more of them', () => {
  const queue = queueOf(1);
  const held = { honest: 0, leaver: 0 };
  const ask = (account: keyof typeof held): Call => {
    const turn = call(account, 8_000);
    enter(queue, turn);
    return turn;
  };
  const next = { honest: ask('honest'), leaver: ask('leaver') };
  for (let turns = 0; turns < 200; turns++) {
    const who = next.honest.slot ? 'honest' : 'leaver';
    const { slot } = next[who];
    held[who]++;
    next[who] = ask(who);
    // Both hold the model for ten seconds; one reports 500 tokens, the other has seen none of its answer.
    slot!.release(who === 'honest' ? 500 : 50, { ms: 10_000, isReported: who === 'honest' });
  }
  expect(jain(Object.values(held))).toBeGreaterThan(0.98);
});

test('each server has its own number of slots, and every turn considers the servers present at that time', () => {
  const slots: Record<string, number> = { a: 1, b: 2 };
  let servers = ['a'];
  const queue = new FairQueue<string>({
    serversFor: () => servers,
    slotsFor: (_, server) => slots[server] ?? 0,
    maxWaiting: 100,
    maxWaitMs: 1e9,
  });
  const calls = Array.from({ length: 5 }, () => call('x'));
  for (const each of calls) enter(queue, each);
  const started = (): (string | undefined)[] => calls.map(({ slot }) => slot?.server);
  expect(started()).toEqual(['a', undefined, undefined, undefined, undefined]);
  servers = ['b'];
  queue.sweep(0);
  expect(started()).toEqual(['a', 'b', 'b', undefined, undefined]);
  // A slot of a removed server is released without a successor.
  calls[0]!.slot!.release(1);
  expect(started()).toEqual(['a', 'b', 'b', undefined, undefined]);
  servers = [];
  calls[1]!.slot!.release(1);
  expect(started()).toEqual(['a', 'b', 'b', undefined, undefined]);
  servers = ['a'];
  queue.sweep(0);
  expect(started()).toEqual(['a', 'b', 'b', 'a', undefined]);
});
