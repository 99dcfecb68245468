import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoredKey } from '../../domain/api-key.ts';
import { Calendar, type Window } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import { type Narrowing, openTerms, type Plan, type Terms, windowed, windowedNames } from '../../domain/plan.ts';
import { type Principal, principalOf } from '../../domain/principal.ts';
import { AccountUsage } from './account-usage.ts';
import { answerEstimate, type Lease, reserve, standingOf } from './limiter.ts';

function principal(terms: Partial<Terms>, narrowing: Narrowing = {}): Principal {
  const plan: Plan = { ...openTerms, ...terms, name: 'p', version: 1 };
  const key = { id: 'key_a', lineage: 'key_a', accountId: 'acc_a', kind: 'secret', digest: '', status: 'active' };
  const rest = {
    scopes: [],
    models: ['*'],
    cidr: [],
    allowPath: false,
    boundCertificate: null,
    expiresAt: null,
    narrowing,
  };
  return principalOf({ ...key, ...rest } as unknown as StoredKey, plan, []);
}

interface Booked {
  readonly at: number;
  prompt: number;
  completion: number;
  readonly lease: Lease;
  open: boolean;
}

const limits = fc.record(
  Object.fromEntries(windowedNames.map((name) => [name, fc.option(fc.integer({ min: 0, max: 4_000 }), { nil: null })])),
) as unknown as fc.Arbitrary<Partial<Terms>>;

type Step =
  | { readonly do: 'ask'; readonly prompt: number; readonly completion: number }
  | { readonly do: 'settle'; readonly which: number; readonly prompt: number; readonly completion: number }
  | { readonly do: 'cancel'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('ask' as const), prompt: fc.nat(600), completion: fc.nat(600) }),
    fc.record({ do: fc.constant('settle' as const), which: fc.nat(99), prompt: fc.nat(900), completion: fc.nat(900) }),
    fc.record({ do: fc.constant('cancel' as const), which: fc.nat(99) }),
    // Seconds, minutes, hours, and over the ends of days and months.
    fc.record({
      do: fc.constant('pass' as const),
      ms: fc.oneof(fc.nat(50_000), fc.nat(3_000_000), fc.nat(40_000_000), fc.nat(2_000_000_000)),
    }),
  ),
  { minLength: 5, maxLength: 120 },
);

test('every window counts what the calls that began in it hold or used; nothing is let through beyond a limit; what is refused changes nothing', () => {
  const zone = fc.constantFrom('UTC', 'Asia/Tokyo', 'Asia/Kolkata', 'America/New_York', 'Australia/Lord_Howe');
  fc.assert(
    fc.property(
      steps,
      limits,
      zone,
      fc.option(fc.integer({ min: 1, max: 4 }), { nil: null }),
      (list, terms, timeZone, most) => {
        const caller = principal({ ...terms, concurrentRequests: most });
        const calendar = new Calendar(timeZone);
        const usage = new AccountUsage();
        const booked: Booked[] = [];
        let now = Date.UTC(2026, 10, 23, 9, 30);
        const spanOf = (window: Window) => calendar[window](now);
        const model = (window: Window, measure: string): number => {
          const { startsAt, endsAt } = spanOf(window);
          const inside = booked.filter(({ at }) => at >= startsAt && at < endsAt);
          if (measure === 'requests') return inside.length;
          return inside.reduce(
            (sum, { prompt, completion }) =>
              sum + (measure === 'completionTokens' ? 0 : prompt) + (measure === 'promptTokens' ? 0 : completion),
            0,
          );
        };
        const check = (): void => {
          const standing = standingOf(caller, usage, false, calendar, now);
          for (const { measure, window } of caller.limits)
            expect(standing.account.windows[window].used(measure), `${measure} ${window}`).toBe(model(window, measure));
          expect(standing.account.running).toBe(booked.filter(({ open }) => open).length);
        };
        for (const step of list) {
          const open = booked.filter((each) => each.open);
          if (step.do === 'pass') now += step.ms;
          else if (step.do === 'ask') {
            const ask = { promptTokens: step.prompt, completionTokens: step.completion, spends: true };
            const room = windowedNames.every((name) => {
              const limit = (terms as Record<string, number | null>)[name] ?? null;
              const { measure, window } = windowed[name];
              if (limit === null) return true;
              const need =
                measure === 'requests'
                  ? 1
                  : (measure === 'completionTokens' ? 0 : step.prompt) +
                    (measure === 'promptTokens' ? 0 : step.completion);
              const used = model(window, measure);
              return need === 0 || (used < limit && used + Math.min(need, limit) <= limit);
            });
            const crowded = most !== null && open.length >= most;
            let lease: Lease | undefined;
            try {
              lease = reserve(caller, standingOf(caller, usage, false, calendar, now), ask, now);
            } catch (error) {
              expect(error).toBeInstanceOf(GatewayError);
              expect((error as GatewayError).retryAfterSeconds).toBeGreaterThan(0);
            }
            expect(lease !== undefined).toBe(room && !crowded);
            if (lease) booked.push({ at: now, prompt: step.prompt, completion: step.completion, lease, open: true });
          } else if (open.length > 0) {
            const one = open[step.which % open.length]!;
            one.open = false;
            if (step.do === 'settle') {
              one.lease.settle(step.prompt, step.completion);
              one.lease.settle(0, 0);
              one.lease.cancel();
              one.prompt = step.prompt;
              one.completion = step.completion;
            } else {
              one.lease.cancel();
              one.lease.settle(1, 1);
              booked.splice(booked.indexOf(one), 1);
            }
          }
          check();
        }
        for (const { lease } of booked) lease.settle(0, 0);
        expect(usage.account.running).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});

test('a key that narrows its plan is held to both, and never gets more than the plan', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 60 }), (ofPlan, ofKey) => {
      const [narrowed, plain] = [
        principal({ requestsPerDay: ofPlan }, { requestsPerDay: ofKey }),
        principal({ requestsPerDay: ofPlan }),
      ];
      const through = (caller: Principal): number => {
        const [usage, calendar] = [new AccountUsage(), new Calendar('UTC')];
        let count = 0;
        for (let i = 0; i < 70; i++)
          try {
            reserve(
              caller,
              standingOf(caller, usage, false, calendar, 0),
              { promptTokens: 0, completionTokens: 0, spends: false },
              0,
            );
            count++;
          } catch {
            // Refused.
          }
        return count;
      };
      expect(through(plain)).toBe(ofPlan);
      expect(through(narrowed)).toBe(Math.min(ofPlan, ofKey));
    }),
  );
});

test('an answer is expected to be what was asked for, else the longest of the last ones, within the plan', () => {
  const key = new AccountUsage().key('key_a' as Principal['lineage']);
  expect(answerEstimate(70, key, 8_192)).toBe(70);
  expect(answerEstimate(70_000, key, 8_192)).toBe(8_192);
  expect(answerEstimate(undefined, key, 8_192)).toBe(8_192);
  key.noteAnswer(300);
  key.noteAnswer(2_000);
  expect(answerEstimate(undefined, key, 8_192)).toBe(2_000);
  expect(answerEstimate(undefined, key, 1_000)).toBe(1_000);
  for (let i = 0; i < 32; i++) key.noteAnswer(40);
  expect(answerEstimate(undefined, key, 8_192)).toBe(40);
});
