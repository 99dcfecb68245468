// What every queue in front of the models guarantees, whether it answers at once or later. An adapter's test opens it and
// runs this. src/store/memory/fair-queue.test.ts checks how fairly the memory queue shares.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Place, QueueSettings, Slot, Turn, TurnQueue } from '../../src/store/ports/turn-queue.ts';

export interface TurnQueueUnderTest {
  readonly name: string;
  readonly open: (settings: QueueSettings<string>) => TurnQueue<string>;
  /** Resolves when everything given back, and its consequences, have arrived. */
  readonly settled: () => Promise<void>;
}

interface Call extends Turn<string> {
  slot: Slot<string> | undefined;
  place: Place | undefined;
  refused: string | undefined;
  /** How often it was started or refused. */
  ends: number;
}

function call(accountId: string, cost = 1, extra: Partial<Turn<string>> = {}): Call {
  const made: Call = {
    accountId,
    cost,
    most: cost,
    weight: 1,
    behind: false,
    slot: undefined,
    place: undefined,
    refused: undefined,
    ends: 0,
    start: (slot) => {
      made.slot = slot;
      made.ends++;
    },
    refuse: (code) => {
      made.refused = code;
      made.ends++;
    },
    ...extra,
  };
  return made;
}

export function turnQueueContract({ name, open, settled }: TurnQueueUnderTest): void {
  const queueOf = (slots: number, more: Partial<QueueSettings<string>> = {}): TurnQueue<string> =>
    open({ serversFor: () => ['a'], slotsFor: () => slots, maxWaiting: 10_000, maxWaitMs: 1e9, ...more });

  async function enter(queue: TurnQueue<string>, turn: Call, now = 0): Promise<void> {
    const entered = await queue.enter('m', turn, now);
    if (entered === undefined) turn.refused = 'queue_full';
    else if (entered.kind === 'place') turn.place = entered;
    else turn.slot = entered;
  }

  const enterAll = async (queue: TurnQueue<string>, turns: readonly Call[]): Promise<void> => {
    for (const turn of turns) await enter(queue, turn);
  };

  describe(`turns in ${name}`, () => {
    test('no more calls have a turn than there are slots, however many come at once, and each slot is passed on', async () => {
      const queue = queueOf(3);
      const calls = Array.from({ length: 40 }, (_, i) => call(`a${i % 4}`));
      await Promise.all(calls.map((each) => enter(queue, each)));
      for (let ended = 0; ended < calls.length; ended++) {
        await settled();
        const held = calls.filter(({ slot }) => slot);
        expect(held).toHaveLength(Math.min(3, calls.length - ended));
        held[0]!.slot!.release(1);
        calls.splice(calls.indexOf(held[0]!), 1, call('gone'));
      }
      await settled();
      queue.sweep(1);
      expect(queue.snapshot()).toEqual([]);
    });

    test('within an account, calls are served in order of arrival', async () => {
      const queue = queueOf(1);
      const calls = Array.from({ length: 12 }, () => call('a'));
      await enterAll(queue, calls);
      for (const each of calls) {
        await settled();
        expect(each.slot).toBeDefined();
        each.slot!.release(1);
      }
    });

    test('an account with many waiting calls does not keep another from the turn after next', async () => {
      const queue = queueOf(1);
      const greedy = Array.from({ length: 50 }, () => call('greedy', 50));
      await enterAll(queue, greedy);
      const modest = call('modest', 50);
      await enter(queue, modest);
      expect(modest.place!.position).toBe(2);
      expect(modest.place!.look()).toEqual({ position: 2, leftMs: undefined });
      expect(greedy.at(-1)!.place!.look().position).toBe(50);
      greedy[0]!.slot!.release(50);
      await settled();
      greedy[1]!.slot?.release(50);
      await settled();
      expect(modest.slot).toBeDefined();
    });

    test('a call waits only for servers in its reach, and passes calls that wait for others', async () => {
      const queue = queueOf(1, { serversFor: (_, { reach = ['a', 'b'] }) => reach });
      const [only, all] = [['a'], ['a', 'b']];
      const [first, waits] = [call('a', 1, { reach: only }), call('a', 1, { reach: only })];
      await enterAll(queue, [first, waits]);
      const [passes, next] = [call('b', 1, { reach: all }), call('c', 1, { reach: all })];
      await enterAll(queue, [passes, next]);
      await settled();
      expect([first, waits, passes, next].map(({ slot }) => slot?.server)).toEqual(['a', undefined, 'b', undefined]);
      passes.slot!.release(1);
      await settled();
      expect([waits, next].map(({ slot }) => slot?.server)).toEqual([undefined, 'b']);
      first.slot!.release(1);
      await settled();
      expect(waits.slot?.server).toBe('a');
      for (const { slot } of [waits, next]) slot!.release(1);
      await settled();
      queue.sweep(1);
      expect(queue.snapshot()).toEqual([]);
    });

    test('a call does not hold up another one of its account that other servers can serve', async () => {
      const queue = queueOf(1, { serversFor: (_, { reach = ['a', 'b'] }) => reach });
      const [only, all] = [['a'], ['a', 'b']];
      const [first, waits, passes] = [only, only, all].map((reach) => call('a', 1, { reach })) as [Call, Call, Call];
      await enterAll(queue, [first, waits, passes]);
      await settled();
      expect([first, waits, passes].map(({ slot }) => slot?.server)).toEqual(['a', undefined, 'b']);
      first.slot!.release(1);
      await settled();
      expect(waits.slot?.server).toBe('a');
      for (const { slot } of [waits, passes]) slot!.release(1);
      await settled();
    });

    test('a call that leaves gives its place back: the next one has the turn, and the one that left is never started', async () => {
      const queue = queueOf(1);
      const [first, leaver, next] = [call('a'), call('b'), call('c')];
      await enterAll(queue, [first, leaver, next]);
      leaver.place!.leave();
      leaver.place!.leave();
      first.slot!.release(1);
      await settled();
      expect([leaver.slot, leaver.refused]).toEqual([undefined, undefined]);
      expect(next.slot).toBeDefined();
    });

    test('a call that leaves in the very moment of its turn holds nothing', async () => {
      const queue = queueOf(1);
      const [first, leaver, next] = [call('a'), call('b'), call('c')];
      await enterAll(queue, [first, leaver, next]);
      first.slot!.release(1);
      leaver.place!.leave();
      // If the turn came before the call left, the call releases it itself.
      leaver.slot?.release(0);
      await settled();
      expect(next.slot).toBeDefined();
      next.slot!.release(1);
      await settled();
      queue.sweep(1);
      expect(queue.snapshot()).toEqual([]);
    });

    test('a slot is released once', async () => {
      const queue = queueOf(1);
      const calls = [call('a'), call('b'), call('c')];
      await enterAll(queue, calls);
      calls[0]!.slot!.release(1);
      calls[0]!.slot!.release(1);
      await settled();
      expect(calls.filter(({ slot }) => slot)).toHaveLength(2);
      calls[0]!.slot!.release(1);
      await settled();
      expect(queue.snapshot()).toMatchObject([{ running: 1, waiting: 1 }]);
    });

    test('a full queue takes no more, except that the account with the most waiting gives its last place to one with fewer', async () => {
      const queue = queueOf(1, { maxWaiting: 3 });
      const greedy = Array.from({ length: 5 }, () => call('greedy'));
      await enterAll(queue, greedy);
      expect(greedy.map(({ refused }) => refused)).toEqual([undefined, undefined, undefined, undefined, 'queue_full']);
      const modest = call('modest');
      await enter(queue, modest);
      await settled();
      expect([modest.place !== undefined, greedy[3]!.refused]).toEqual([true, 'queue_full']);
    });

    test('a call that waits too long is refused and leaves no place behind', async () => {
      const queue = queueOf(1, { maxWaitMs: 100 });
      const [first, early, late] = [call('a'), call('b'), call('c')];
      await enter(queue, first, 0);
      await enter(queue, early, 0);
      await enter(queue, late, 60);
      queue.sweep(100);
      await settled();
      expect([early.refused, late.refused]).toEqual(['queue_timeout', undefined]);
      first.slot!.release(1);
      await settled();
      expect(late.slot).toBeDefined();
    });

    test('accounts that always have calls waiting get tokens by their weight', async () => {
      const queue = queueOf(1);
      const got = new Map([
        ['light', 0],
        ['heavy', 0],
      ]);
      const waiting: Call[] = [];
      const send = async (who: string): Promise<void> => {
        const turn = call(who, who === 'light' ? 100 : 400, { weight: who === 'light' ? 1 : 3 });
        waiting.push(turn);
        await enter(queue, turn);
      };
      for (let i = 0; i < 3; i++) for (const who of got.keys()) await send(who);
      for (let turns = 0; turns < 400; turns++) {
        await settled();
        const [served] = waiting.splice(
          waiting.findIndex(({ slot }) => slot),
          1,
        );
        const { accountId, cost, slot } = served!;
        got.set(accountId, got.get(accountId)! + cost);
        await send(accountId);
        slot!.release(cost);
      }
      const share = got.get('heavy')! / got.get('light')!;
      expect(share).toBeGreaterThan(2.7);
      expect(share).toBeLessThan(3.3);
    });

    test('for any sequence of events: never more than the slots, none lost, and each call is told once', async () => {
      await fc.assert(fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 12 }), run), {
        numRuns: 80,
      });
    });
  });

  async function run(list: readonly Step[], slots: number, maxWaiting: number): Promise<void> {
    const queue = queueOf(slots, { maxWaiting, maxWaitMs: 40 });
    const all: Call[] = [];
    let there: Call[] = [];
    const drop = (gone: Call): void => {
      there = there.filter((each) => each !== gone);
    };
    let now = 0;
    for (const step of list) {
      now++;
      const held = there.filter(({ slot }) => slot);
      const waits = there.filter(({ slot, place }) => place && !slot);
      if (step.do === 'enter') {
        const turn = call(`w${step.who}`, step.cost, { weight: 1 + (step.who % 3) });
        all.push(turn);
        there.push(turn);
        await enter(queue, turn, now);
      } else if (step.do === 'release' && held.length > 0) {
        const one = held[step.which % held.length]!;
        one.slot!.release(step.real);
        one.slot!.release(step.real);
        drop(one);
      } else if (step.do === 'leave' && waits.length > 0) {
        const one = waits[step.which % waits.length]!;
        one.place!.leave();
        drop(one);
      } else if (step.do === 'sweep') queue.sweep(now);
      await settled();
      there = there.filter(({ refused }) => refused === undefined);
      const running = there.filter(({ slot }) => slot).length;
      expect(running).toBeLessThanOrEqual(slots);
      // No call waits while a slot is free.
      if (there.length > running) expect(running).toBe(slots);
      const [lane] = queue.snapshot();
      expect([lane?.running ?? 0, lane?.waiting ?? 0]).toEqual([running, there.length - running]);
    }
    for (let round = 0; round < 1_000 && there.some(({ slot }) => slot); round++) {
      const one = there.find(({ slot }) => slot)!;
      one.slot!.release(1);
      drop(one);
      await settled();
    }
    expect(there).toEqual([]);
    expect(all.filter(({ ends }) => ends > 1)).toEqual([]);
  }
}

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
  { minLength: 1, maxLength: 100 },
);
