import { expect, test } from 'vitest';
import type { StoredKey } from '../../domain/api-key.ts';
import { Calendar } from '../../domain/calendar.ts';
import type { AccountId } from '../../domain/id.ts';
import { openTerms, type Plan } from '../../domain/plan.ts';
import { type Principal, principalOf } from '../../domain/principal.ts';
import { type Rule, readRule } from '../../domain/rule.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { Clocks } from '../../domain/time.ts';
import { MemoryLimits } from '../../store/memory/limit-store.ts';
import type { AccountUsage } from './account-usage.ts';
import { AccountUsages } from './account-usages.ts';
import { Ladder, type LadderStore } from './ladder.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const start = Date.UTC(2026, 10, 26, 12);
const accountId = 'acc_a' as AccountId;

/**
 * The usage of accounts, and a ladder, on a clock of their own, over a store that keeps suspensions and has no rows.
 */
async function ladderWith(fields: Readonly<Record<string, unknown>>, ...others: readonly Rule[]) {
  const time = { now: start };
  const clocks: Clocks = {
    wall: () => time.now,
    steady: () => time.now,
    toSteady: (at) => Number(at),
    toWall: (at) => Number(at),
    wasSet: false,
  };
  let steps: Suspension[] = [];
  const rule: Rule = readRule({ name: 'rule', per: 'key', windowSeconds: 3_600, threshold: 10, ...fields });
  const store: Parameters<Parameters<LadderStore['atomically']>[0]>[0] = {
    insertSuspension: (step) => Promise.resolve(void (steps = [step, ...steps])),
    latestSteps: () => Promise.resolve(steps),
    countSuspensions: (_account, _key, since) =>
      failing.at === 'escalation'
        ? Promise.reject(new Error('away'))
        : Promise.resolve(steps.filter(({ step, createdAt }) => step === 'suspend' && createdAt >= since).length),
    listKeys: () => Promise.resolve([]),
    revokeKey: () => Promise.resolve(true),
  };
  /** Where the store fails. */
  const failing: { at?: 'escalation' | 'answer' | undefined } = {};
  const atomically: LadderStore['atomically'] = async (work) => {
    const before = steps;
    const result = await work(store).catch((error: unknown) => {
      steps = before;
      throw error;
    });
    if (failing.at === 'answer') throw new Error('away');
    return result;
  };
  const failures: unknown[] = [];
  /** What happens as soon as a step is stored. */
  const told = { step: (): void => undefined };
  const ladder = new Ladder({
    store: { latestSteps: store.latestSteps, atomically },
    clocks,
    sums: { gates: 1, sum: () => Promise.reject(new Error('a single gate knows')) },
    onStep: () => Promise.resolve(told.step()),
    onError: (error) => failures.push(error),
  });
  ladder.setRules([rule, ...others]);
  const accountUsages = await AccountUsages.open(
    {
      usageByMinute: () => Promise.resolve([]),
      usageByQuarter: () => Promise.resolve([]),
      findKey: () => Promise.resolve(undefined),
      latestSteps: () => Promise.resolve(steps),
    },
    new MemoryLimits(new Calendar('UTC')),
    clocks,
    (usage, history) => ladder.begin(usage, history),
  );
  const plan: Plan = { ...openTerms, name: 'p', version: 1 };
  const key = { id: 'key_a', lineage: 'key_a', accountId, kind: 'secret', digest: '', status: 'active' };
  const rest = { scopes: [], models: ['*'], cidr: [], expiresAt: null, narrowing: {} };
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const read = (): Principal => principalOf({ ...key, ...rest } as unknown as StoredKey, plan, steps, time.now);
  return {
    time,
    told,
    read,
    accountUsages,
    steps: () => steps,
    failing,
    failures,
    rule,
    /** Something that the caller did, as the store has it now. */
    note: async (what: (caller: Principal, usage: AccountUsage) => void): Promise<void> => {
      what(read(), await accountUsages.of(accountId));
      await settled();
    },
    lift: (): void => {
      steps = steps.map((step) => ({ ...step, liftedAt: step.liftedAt ?? time.now, liftedBy: 'operator' }));
      time.now += 1_000;
    },
    ladder,
  };
}

test('guesses at a key are counted over the whole window, even when its account does nothing else for hours', async () => {
  const measure = 'failedAuthentications';
  const fields = { measure, windowSeconds: 86_400, step: 'suspend', durationSeconds: 3_600 };
  const { time, accountUsages, note, steps, ladder } = await ladderWith(fields);
  for (let guesses = 0; guesses < 10; guesses++) {
    await note((caller, usage) => ladder.noteFailure(caller, usage));
    time.now += hourMs;
    accountUsages.sweep();
  }
  expect(steps()).toMatchObject([{ step: 'suspend', evidence: { measure, count: 10 } }]);
  // Counts that have left the window keep no usage in memory.
  const before = await accountUsages.of(accountId);
  time.now += 30 * hourMs;
  accountUsages.sweep();
  expect(await accountUsages.of(accountId)).not.toBe(before);
});

test.each([
  ['suspend', 3_600],
  ['review', null],
  ['revoke', null],
])('a lifted step %s is taken again for later calls, and only for those', async (step, seconds) => {
  const gate = await ladderWith({
    measure: 'requests',
    windowSeconds: 86_400,
    step,
    durationSeconds: seconds,
    per: 'account',
  });
  const call = (): Promise<void> => gate.note((caller, usage) => gate.ladder.noteUse(caller, usage, 1));
  for (let calls = 0; calls < 15; calls++) {
    gate.time.now += 1_000;
    await call();
  }
  expect(gate.steps()).toHaveLength(1);
  gate.lift();
  for (let calls = 0; calls < 9; calls++) await call();
  expect(gate.steps()).toHaveLength(1);
  await call();
  expect(gate.steps()).toHaveLength(2);
});

const perDay = { measure: 'requests', windowSeconds: 86_400, step: 'suspend', durationSeconds: 3_600, per: 'account' };

test('a step that is lifted while it is still being told is taken again for later calls', async () => {
  const gate = await ladderWith(perDay);
  let caller = gate.read();
  gate.told.step = () => {
    gate.lift();
    caller = gate.read();
    gate.time.now += 1_000;
  };
  for (let calls = 0; calls < 20; calls++) await gate.note((_, usage) => gate.ladder.noteUse(caller, usage, 1));
  expect(gate.steps()).toHaveLength(2);
});

type Tested = Awaited<ReturnType<typeof ladderWith>>;

async function spend(gate: Tested, count: number): Promise<void> {
  for (let call = 0; call < count; call++) {
    gate.time.now += 1_000;
    await gate.note((caller, usage) => gate.ladder.noteUse(caller, usage, 1));
  }
}

test('a step and the step that it leads to are taken together, or both later', async () => {
  const again = { name: 'again', measure: 'suspensions', per: 'account', windowSeconds: 86_400, threshold: 1 };
  const gate = await ladderWith(perDay, readRule({ ...again, step: 'review' }));
  gate.failing.at = 'escalation';
  await spend(gate, 10);
  expect(gate.failures).toHaveLength(1);
  expect(gate.steps()).toEqual([]);
  gate.failing.at = undefined;
  await spend(gate, 1);
  expect(gate.steps().map(({ step }) => step)).toEqual(['review', 'suspend']);
  expect(gate.failures).toHaveLength(1);
});

test('a step whose answer the store owed is not taken again for the calls that caused it', async () => {
  const gate = await ladderWith(perDay);
  gate.failing.at = 'answer';
  await spend(gate, 10);
  expect(gate.failures).toHaveLength(1);
  gate.failing.at = undefined;
  gate.time.now += 2 * hourMs;
  await spend(gate, 10);
  expect(gate.steps()).toHaveLength(1);
  await spend(gate, 1);
  expect(gate.steps()).toHaveLength(2);
});

test('a lifted step is taken again for later calls also after its rule was changed', async () => {
  const gate = await ladderWith({ ...perDay, step: 'review', durationSeconds: null });
  await spend(gate, 10);
  gate.ladder.setRules([{ ...gate.rule, threshold: 5 }]);
  await spend(gate, 1);
  gate.lift();
  await spend(gate, 4);
  expect(gate.steps()).toHaveLength(1);
  await spend(gate, 1);
  expect(gate.steps()).toHaveLength(2);
});
