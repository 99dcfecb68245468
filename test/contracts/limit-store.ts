// What every store of limits guarantees, whether it answers at once or later. An adapter's test opens it and runs this.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { StoredKey } from '../../src/domain/api-key.ts';
import { Calendar, type Window } from '../../src/domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../../src/domain/id.ts';
import { type Ask, limitsOf, measures, type Standing, windowed, windowedNames } from '../../src/domain/limit.ts';
import { type Narrowing, openTerms, type Plan, type Terms } from '../../src/domain/plan.ts';
import { type Principal, principalOf } from '../../src/domain/principal.ts';
import type { SteadyMs } from '../../src/domain/time.ts';
import type { UsageBucket } from '../../src/domain/usage.ts';
import type { AccountLimits, Lease, LimitStore, Reserved } from '../../src/store/ports/limit-store.ts';

export interface LimitStoreUnderTest {
  readonly name: string;
  readonly open: (calendar: Calendar) => LimitStore;
  /** Resolves when the store has everything that was given back. */
  readonly settled: () => Promise<void>;
}

const accountId = 'acc_a' as AccountId;
const begin = Date.UTC(2026, 10, 23, 9, 30, 10);

function caller(terms: Partial<Terms>, narrowing: Narrowing = {}, id = 'key_a'): Principal {
  const plan: Plan = { ...openTerms, ...terms, name: 'p', version: 1 };
  const key = { id, lineage: id, accountId, kind: 'secret', digest: '', status: 'active' };
  const rest = { scopes: [], models: ['*'], cidr: [], allowPath: false, boundCertificate: null, expiresAt: null };
  return principalOf({ ...key, ...rest, narrowing } as unknown as StoredKey, plan, []);
}

const askOf = (promptTokens: number, completionTokens: number, spends = true, units = 0): Ask => ({
  requests: 1,
  promptTokens,
  completionTokens,
  units,
  spends,
});
const small = askOf(10, 10, true, 10);

export function limitStoreContract({ name, open, settled }: LimitStoreUnderTest): void {
  let asked = 0;
  const account = async (
    calendar = new Calendar('UTC'),
    recorded: readonly UsageBucket[] = [],
    at: SteadyMs = begin,
  ): Promise<AccountLimits> => open(calendar).open(accountId, recorded, at);
  const reserve = async (
    limits: AccountLimits,
    who: Principal,
    ask: Ask,
    at: SteadyMs = begin,
    slowed = false,
  ): Promise<Reserved> => limits.of(who.lineage).reserve(`req_${++asked}` as RequestId, ask, who, at, slowed);
  const look = async (limits: AccountLimits, who: Principal, at: SteadyMs = begin): Promise<Standing> =>
    limits.of(who.lineage).look(who, at, false);
  const used = async (limits: AccountLimits, who: Principal, at: SteadyMs = begin): Promise<number[]> => {
    const standing = await look(limits, who, at);
    return who.limits.map((limit) => standing.used(limit));
  };
  /** What is known before a body is read. */
  const glanced = async (limits: AccountLimits, who: Principal, at: SteadyMs): Promise<number[]> => {
    const standing = await limits.of(who.lineage).glance(who, at, false);
    return who.limits.map((limit) => standing.used(limit));
  };
  const leases = (all: readonly Reserved[]): Lease[] => all.filter((each) => each.kind === 'lease');

  describe(`limits in ${name}`, () => {
    test.each(windowedNames)('%s lets through exactly as much as it says, however many ask at once', async (limit) => {
      const { measure } = windowed[limit];
      const need = measures[measure].of(small);
      const who = caller({ [limit]: 7 * need + need / 2 });
      const limits = await account();
      const all = await Promise.all(Array.from({ length: 50 }, () => reserve(limits, who, small)));
      expect(leases(all)).toHaveLength(7);
      expect(all.filter(({ kind }) => kind === 'full')).toHaveLength(43);
      expect(await used(limits, who)).toEqual([7 * need]);
    });

    test('no more calls run than allowed, in the account and in each key, however many ask at once', async () => {
      const limits = await account();
      const [wide, narrow] = [
        caller({ concurrentRequests: 5 }, {}, 'key_wide'),
        caller({ concurrentRequests: 5 }, { concurrentRequests: 2 }, 'key_narrow'),
      ];
      const ofNarrow = await Promise.all(Array.from({ length: 20 }, () => reserve(limits, narrow, small)));
      expect(leases(ofNarrow)).toHaveLength(2);
      expect(ofNarrow.find(({ kind }) => kind === 'crowded')).toMatchObject({ on: 'key' });
      const ofWide = await Promise.all(Array.from({ length: 20 }, () => reserve(limits, wide, small)));
      expect(leases(ofWide)).toHaveLength(3);
      expect(ofWide.find(({ kind }) => kind === 'crowded')).toMatchObject({ on: 'account' });
      // A model list runs beside them.
      expect((await reserve(limits, wide, askOf(0, 0, false))).kind).toBe('lease');
    });

    test('a call takes from all of its limits or from none', async () => {
      const who = caller(
        { requestsPerMinute: 10, tokensPerDay: 1_000, promptTokensPerMonth: 15 },
        { requestsPerDay: 5 },
      );
      const limits = await account();
      expect((await reserve(limits, who, small)).kind).toBe('lease');
      const before = await used(limits, who);
      // The limit that is checked last has room for half of it.
      const refused = await reserve(limits, who, small);
      expect(refused).toMatchObject({ kind: 'full', limit: { label: 'prompt-tokens-month' } });
      expect(await used(limits, who)).toEqual(before);
      expect((await look(limits, who)).running('account')).toBe(1);
    });

    test('before a body is read, a full limit is shown as it is now', async () => {
      const who = caller({ requestsPerMinute: 2, tokensPerDay: 1_000 });
      const limits = await account();
      const [first] = leases([await reserve(limits, who, small)]);
      await reserve(limits, who, small);
      expect(await glanced(limits, who, begin)).toEqual([2, 40]);
      first!.cancel();
      await settled();
      expect(await glanced(limits, who, begin)).toEqual([1, 20]);
    });

    test('the result of a reservation reports the limits including what it took', async () => {
      const who = caller({ requestsPerMinute: 3 });
      const limits = await account();
      const first = await reserve(limits, who, small);
      expect(first.standing.used(who.limits[0]!)).toBe(1);
      expect(first.standing.endsAt(who.limits[0]!)).toBe(Date.UTC(2026, 10, 23, 9, 31));
      expect(first.standing.running('account')).toBe(1);
    });

    test('a lease is settled or cancelled once, whichever comes first', async () => {
      const who = caller({ requestsPerDay: 10, tokensPerDay: 1_000, concurrentRequests: 2 });
      const limits = await account();
      const [settles, cancels] = leases([await reserve(limits, who, small), await reserve(limits, who, small)]);
      expect(limits.held).toBe(2);
      settles!.settle({ requests: 1, promptTokens: 3, completionTokens: 4, units: 0 });
      settles!.settle({ requests: 1, promptTokens: 500, completionTokens: 500, units: 0 });
      settles!.cancel();
      cancels!.cancel();
      cancels!.cancel();
      cancels!.settle({ requests: 1, promptTokens: 500, completionTokens: 500, units: 0 });
      await settled();
      expect(limits.held).toBe(0);
      expect(await used(limits, who)).toEqual([1, 7]);
      expect((await look(limits, who)).running('account')).toBe(0);
      expect((await look(limits, who)).running('key')).toBe(0);
    });

    test("listeners are told of a call's end when its room can be taken", async () => {
      const who = caller({ concurrentRequests: 1 });
      const limits = await account();
      const [first] = leases([await reserve(limits, who, small)]);
      const told = new Promise<Reserved>((resolve) => {
        limits.onEnd = () => void reserve(limits, who, small).then(resolve);
      });
      expect((await reserve(limits, who, small)).kind).toBe('crowded');
      first!.cancel();
      expect((await told).kind).toBe('lease');
    });

    test('a call larger than a whole limit is let through when nothing else was used in its window', async () => {
      const who = caller({ tokensPerDay: 100 });
      const limits = await account();
      expect((await reserve(limits, who, askOf(400, 400))).kind).toBe('lease');
      expect((await reserve(limits, who, askOf(1, 0))).kind).toBe('full');
    });

    test('a slowed caller has a quarter of each limit per minute, and all of the others', async () => {
      const who = caller({ requestsPerMinute: 8, requestsPerDay: 8 });
      const limits = await account();
      const all: Reserved[] = [];
      for (let i = 0; i < 4; i++) all.push(await reserve(limits, who, small, begin, true));
      expect(leases(all)).toHaveLength(2);
      expect(leases(await Promise.all(Array.from({ length: 9 }, () => reserve(limits, who, small))))).toHaveLength(6);
    });

    test('usage in the ledger counts in its windows, on the account and on the key', async () => {
      const bucket = (minutesAgo: number, keyId: string, promptTokens: number): UsageBucket => ({
        at: begin - minutesAgo * 60_000,
        accountId,
        keyId: keyId as KeyId,
        requests: 1,
        refusals: 0,
        promptTokens,
        completionTokens: 1,
        units: 2,
      });
      const recorded = [bucket(60 * 24 * 2, 'key_a', 1_000), bucket(45, 'key_b', 100), bucket(0, 'key_a', 10)];
      const limits = await account(new Calendar('UTC'), recorded);
      const terms = {
        promptTokensPerMinute: 9e9,
        promptTokensPerDay: 9e9,
        tokensPerWeek: 9e9,
        promptTokensPerMonth: 9e9,
        unitsPerDay: 9e9,
        unitsPerMonth: 9e9,
      };
      const who = caller(terms, { promptTokensPerDay: 9e9 });
      expect(Object.fromEntries((await used(limits, who)).map((value, i) => [who.limits[i]!.label, value]))).toEqual({
        // `begin` is a Monday, so what was used two days ago was used last week.
        'tokens-week': 112,
        'prompt-tokens-minute': 10,
        'prompt-tokens-day': 110,
        'key-prompt-tokens-day': 10,
        'prompt-tokens-month': 1_110,
        'units-day': 4,
        'units-month': 6,
      });
    });

    test('a key that narrows its plan is held to both, and never gets more than the plan', async () => {
      const list = askOf(0, 0, false);
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 60 }), async (ofPlan, ofKey) => {
          const through = async (who: Principal): Promise<number> => {
            const limits = await account();
            return leases(await Promise.all(Array.from({ length: 70 }, () => reserve(limits, who, list)))).length;
          };
          expect(await through(caller({ requestsPerDay: ofPlan }))).toBe(ofPlan);
          const narrowed = caller({ requestsPerDay: ofPlan }, { requestsPerDay: ofKey });
          expect(await through(narrowed)).toBe(Math.min(ofPlan, ofKey));
        }),
        { numRuns: 30 },
      );
    });

    test('every window counts what its calls hold or used; nothing exceeds a limit; a refusal changes nothing', async () => {
      await fc.assert(
        fc.asyncProperty(steps, drawnTerms, zones, mostAtOnce, (list, terms, zone, most) =>
          compare(list, terms, zone, most),
        ),
        { numRuns: 150 },
      );
    });
  });

  interface Booked {
    readonly at: SteadyMs;
    prompt: number;
    completion: number;
    units: number;
    readonly lease: Lease;
    open: boolean;
  }

  /** The store beside a model of it, which keeps every call and adds up again. */
  async function compare(
    list: readonly Step[],
    terms: Partial<Terms>,
    zone: string,
    most: number | null,
  ): Promise<void> {
    const who = caller({ ...terms, concurrentRequests: most });
    const calendar = new Calendar(zone);
    const limits = await account(calendar, [], begin);
    const booked: Booked[] = [];
    let now = begin;
    const model = (window: Window, of: (typeof measures)[keyof typeof measures]['of']): number => {
      const { startsAt, endsAt } = calendar[window](now);
      return booked
        .filter(({ at }) => at >= startsAt && at < endsAt)
        .reduce((sum, { prompt, completion, units }) => sum + of(askOf(prompt, completion, true, units)), 0);
    };
    for (const step of list) {
      const running = booked.filter((each) => each.open);
      if (step.do === 'pass') now += step.ms;
      else if (step.do === 'ask') {
        const ask = askOf(step.prompt, step.completion, true, step.units);
        const room = limitsOf({ account: terms, key: {} }).every(({ measure, window, most: limit }) => {
          const need = measures[measure].of(ask);
          const before = model(window, measures[measure].of);
          return need === 0 || (before < limit && before + Math.min(need, limit) <= limit);
        });
        const crowded = most !== null && running.length >= most;
        const reserved = await reserve(limits, who, ask, now);
        expect(reserved.kind).toBe(crowded ? 'crowded' : room ? 'lease' : 'full');
        if (reserved.kind === 'lease')
          booked.push({
            at: now,
            prompt: step.prompt,
            completion: step.completion,
            units: step.units,
            lease: reserved,
            open: true,
          });
      } else if (running.length > 0) {
        const one = running[step.which % running.length]!;
        one.open = false;
        if (step.do === 'settle') {
          one.lease.settle({
            requests: 1,
            promptTokens: step.prompt,
            completionTokens: step.completion,
            units: step.units,
          });
          one.prompt = step.prompt;
          one.completion = step.completion;
          one.units = step.units;
        } else {
          one.lease.cancel();
          booked.splice(booked.indexOf(one), 1);
        }
        await settled();
      }
      const standing = await look(limits, who, now);
      for (const limit of who.limits)
        expect(standing.used(limit), limit.label).toBe(model(limit.window, measures[limit.measure].of));
      expect(standing.running('account')).toBe(booked.filter((each) => each.open).length);
    }
    for (const { lease } of booked) lease.cancel();
    await settled();
    expect((await look(limits, who, now)).running('account')).toBe(0);
  }
}

const zones = fc.constantFrom('UTC', 'Asia/Tokyo', 'Asia/Kolkata', 'America/New_York', 'Australia/Lord_Howe');
const mostAtOnce = fc.option(fc.integer({ min: 1, max: 4 }), { nil: null });
const drawnTerms = fc.record(
  Object.fromEntries(windowedNames.map((name) => [name, fc.option(fc.integer({ min: 0, max: 4_000 }), { nil: null })])),
) as unknown as fc.Arbitrary<Partial<Terms>>;

type Step =
  | { readonly do: 'ask'; readonly prompt: number; readonly completion: number; readonly units: number }
  | {
      readonly do: 'settle';
      readonly which: number;
      readonly prompt: number;
      readonly completion: number;
      readonly units: number;
    }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('ask' as const), prompt: fc.nat(600), completion: fc.nat(600), units: fc.nat(600) }),
    fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(99),
      prompt: fc.nat(900),
      completion: fc.nat(900),
      units: fc.nat(900),
    }),
    fc.record({ do: fc.constant('cancel' as const), which: fc.nat(99) }),
    // Seconds, minutes, hours, and across the ends of days, weeks and months.
    fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(fc.nat(50_000), fc.nat(3_000_000), fc.nat(40_000_000), fc.nat(2_000_000_000)),
    }),
  ),
  { minLength: 5, maxLength: 100 },
);
