// The contract of the store about usage rights: plans, accounts, rules, suspensions, the audit log, and the sums that limits
// and reports use. One suite for every database, as store.ts; called from the same tests.
import { describe, expect, test } from 'vitest';
import type { Account } from '../../src/domain/account.ts';
import { generateKey, type StoredKey } from '../../src/domain/api-key.ts';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { type AccountId, type KeyId, newRequestId, newSuspensionId, type SuspensionId } from '../../src/domain/id.ts';
import { firstPlans, openTerms, type Plan, type Unlimited, unlimited } from '../../src/domain/plan.ts';
import { firstRules, type Rule } from '../../src/domain/rule.ts';
import { inForce, type Suspension } from '../../src/domain/suspension.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import type { AuditFilter } from '../../src/store/ports/audit.ts';
import type { ChangedAccounts } from '../../src/store/ports/change-feed.ts';
import type { Store } from '../../src/store/ports/store.ts';
import type { ReportBy } from '../../src/store/ports/usage.ts';
import { type Database, storesOf } from './store.ts';

export function policyContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  let ticks = 1_700_000_000_000;
  const event = (action = 'test.act', subject = 'test'): AuditEvent =>
    auditEvent({ actor: 'test', at: ++ticks }, action, subject, null, { ticks });
  const plan = (extra: Partial<Plan> = {}): Plan => ({ ...openTerms, name: 'night', version: 1, ...extra });
  const account = (store: Store, called = 'alice', planName: string | Unlimited = 'default'): Promise<Account> =>
    store.ensureAccount(called, planName, event());
  const newKey = (accountId: AccountId, extra: Partial<StoredKey> = {}): StoredKey => {
    const { id, digest } = generateKey();
    return {
      id,
      accountId,
      name: 'laptop',
      kind: 'secret',
      digest,
      status: 'active',
      scopes: ['inference:chat'],
      models: ['*'],
      cidr: [],
      allowPath: false,
      boundCertificate: null,
      createdAt: ++ticks,
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
      rotatedFrom: null,
      lineage: id,
      narrowing: {},
      ofPage: false,
      ...extra,
    };
  };
  const step = (accountId: AccountId, extra: Partial<Suspension> = {}): Suspension => ({
    id: newSuspensionId(++ticks),
    accountId,
    keyId: null,
    step: 'suspend',
    rule: null,
    reason: '使いすぎ',
    evidence: null,
    shadow: false,
    createdAt: ticks,
    endsAt: null,
    liftedAt: null,
    liftedBy: null,
    appeal: null,
    appealedAt: null,
    answer: null,
    answeredAt: null,
    answeredBy: null,
    ...extra,
  });
  const hourMs = 3_600_000;
  const hour = 400_000;
  const row = (at: number, extra: Partial<UsageRecord> = {}): UsageRecord => ({
    id: newRequestId(at),
    at,
    keyId: 'key_x' as KeyId,
    accountId: 'acc_x' as AccountId,
    operation: 'chat',
    model: 'gemma3:270m',
    upstream: 'http://x',
    outcome: 'completed',
    status: 200,
    code: null,
    streamed: true,
    promptTokens: 3,
    completionTokens: 5,
    source: 'exact',
    bytesIn: 1,
    bytesOut: 2,
    firstByteMs: null,
    durationMs: 4,
    queuedMs: 0,
    address: '::1',
    repeats: 1,
    cacheReadTokens: 2,
    cacheWriteTokens: 1,
    reasoningTokens: 4,
    askedModel: null,
    fallbackFor: null,
    ...extra,
  });
  const nothing = {
    promptTokens: 0,
    completionTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    source: 'none',
  } as const;
  /** One row of each kind, in that hour. */
  const kinds = (at: number, extra: Partial<UsageRecord> = {}): UsageRecord[] => [
    row(at, extra),
    row(at, { ...extra, outcome: 'failed', source: 'estimated' }),
    row(at, { ...extra, ...nothing, outcome: 'upstream_error' }),
    row(at, { ...extra, outcome: 'ended', source: 'estimated' }),
    row(at, { ...extra, outcome: 'interrupted', source: 'estimated' }),
    row(at, { ...extra, outcome: 'client_closed', source: 'estimated' }),
    row(at, { ...extra, ...nothing, outcome: 'client_closed', upstream: null }),
    row(at, { ...extra, ...nothing, outcome: 'refused', upstream: null }),
  ];
  const sums = {
    requests: 8,
    refused: 2,
    failed: 4,
    promptTokens: 15,
    completionTokens: 25,
    estimated: 4,
    cacheReadTokens: 10,
    cacheWriteTokens: 5,
    reasoningTokens: 20,
  };
  const groups = ['key', 'account', 'model', 'quarter'] as const satisfies readonly ReportBy[];
  const reports = (store: Store): Promise<unknown[]> =>
    Promise.all(groups.map((by) => store.reportUsage(by, 0, Number.MAX_SAFE_INTEGER)));

  describe(`plans and accounts on ${name}`, () => {
    test(
      'start with the first plans and the first rules',
      withStores(async (mine) => {
        const byName = (one: { name: string }, two: { name: string }): number => (one.name < two.name ? -1 : 1);
        expect(await mine.listPlans()).toEqual(firstPlans.toSorted(byName));
        expect(await mine.listRules()).toEqual(firstRules.toSorted(byName));
        expect(await mine.listAudit({ limit: 10 })).toEqual([]);
      }),
    );
    test(
      'a plan is returned exactly as stored, to another process too, with an event for each change',
      withStores(async (mine, other) => {
        const first = plan({ tokensPerDay: 1e15, queueWeight: 0.01, models: ['ノート:*', "it's"], maxKeys: 0 });
        const second = { ...first, version: 2, tokensPerDay: null };
        const [created, changed] = [event('plan.create', 'night'), event('plan.set', 'night')];
        expect(await mine.putPlan(first, created)).toBe(true);
        expect(await other.findPlan('night')).toEqual(first);
        expect(await other.putPlan(second, changed)).toBe(true);
        expect(await mine.findPlan('night')).toEqual(second);
        expect(await mine.findPlan('nothing')).toBeUndefined();
        expect(await mine.listAudit({ subject: 'night', limit: 10 })).toEqual([changed, created]);
      }),
    );
    test(
      'of two writers of the same version, one is refused, changes nothing and leaves no event',
      withStores(async (mine, other) => {
        expect(await mine.putPlan(plan(), event())).toBe(true);
        expect(await other.putPlan(plan({ tokensPerDay: 1 }), event('lost'))).toBe(false);
        expect(await mine.putPlan(plan({ version: 2, tokensPerDay: 2 }), event())).toBe(true);
        expect(await other.putPlan(plan({ version: 2, tokensPerDay: 3 }), event('lost'))).toBe(false);
        expect(await other.putPlan(plan({ version: 4 }), event('lost'))).toBe(false);
        expect(await other.putPlan(plan({ name: 'none', version: 2 }), event('lost'))).toBe(false);
        expect(await mine.findPlan('night')).toMatchObject({ version: 2, tokensPerDay: 2 });
        expect((await mine.listAudit({ limit: 10 })).map(({ action }) => action)).not.toContain('lost');
      }),
    );
    test(
      'a plan in use is not deleted, and an unused one is',
      withStores(async (mine, other) => {
        await mine.putPlan(plan(), event());
        const { id } = await account(mine, 'alice', 'night');
        expect(await other.deletePlan('night', event('lost'))).toBe(false);
        expect(await other.findPlan('night')).toBeDefined();
        await mine.changeAccount(id, { plan: 'trusted' }, event());
        expect(await other.deletePlan('night', event('plan.delete'))).toBe(true);
        expect(await mine.findPlan('night')).toBeUndefined();
        expect(await mine.deletePlan('night', event('lost'))).toBe(false);
        const actions = (await mine.listAudit({ limit: 10 })).map(({ action }) => action);
        expect(actions).toEqual(['plan.delete', 'test.act', 'test.act', 'test.act']);
      }),
    );
    test(
      'an account keeps the plan it was made with until it gets another',
      withStores(async (mine, other) => {
        const made = await account(mine, 'alice', 'trial');
        expect(made).toMatchObject({ name: 'alice', plan: 'trial', createdAt: ticks });
        expect(await account(other, 'alice', 'trusted')).toEqual(made);
        expect(await account(other, 'operator', unlimited)).toMatchObject({ plan: unlimited });
        const given = event('account.plan', made.id);
        await other.changeAccount(made.id, { plan: 'trusted' }, given);
        for (const named of [made.id, 'alice'])
          expect(await mine.findAccount(named)).toEqual({ ...made, plan: 'trusted' });
        expect(await mine.findAccount("' or 1=1")).toBeUndefined();
        expect((await mine.listAccounts()).map((each) => each.name)).toEqual(['alice', 'operator']);
        expect((await mine.listAudit({ subject: made.id, limit: 10 }))[0]).toEqual(given);
      }),
    );
  });

  describe(`a caller on ${name}`, () => {
    test(
      'is found with key, account, plan and the suspensions possibly in force, by id and by public key',
      withStores(async (mine, other) => {
        const alice = await account(mine);
        const bob = await account(mine, 'bob');
        const [plain, signer] = [
          newKey(alice.id, { narrowing: { tokensPerDay: 5 } }),
          newKey(alice.id, { kind: 'signature' }),
        ];
        await mine.insertKey(plain, event());
        await mine.insertKey(signer, event());
        const now = ++ticks;
        const open = [
          step(alice.id),
          step(alice.id, { keyId: plain.id, step: 'slow', endsAt: now + 1 }),
          step(alice.id, { keyId: signer.id, step: 'warn', endsAt: now + 1 }),
        ];
        const over = step(alice.id, { endsAt: now });
        const lifted = step(alice.id, { liftedAt: now - 5, liftedBy: 'test' });
        const shadow = step(alice.id, { shadow: true });
        for (const each of [...open, over, lifted, shadow, step(bob.id)]) await mine.insertSuspension(each, event());
        for (const found of [
          await other.findCaller(plain.id, now),
          await other.findCallerByDigest(signer.digest, now),
          await mine.findCaller(signer.id, now),
          // What a caller without a key has.
          await other.findOwner(alice.id, now),
          await mine.findOwner(alice.name, now),
        ]) {
          expect(found).toMatchObject({ account: alice, plan: firstPlans[0] });
          // A shadow one may be among them: it is not in force.
          expect(found?.suspensions.filter((each) => inForce(each, now))).toEqual(open);
          expect(found?.suspensions).not.toContainEqual(over);
          expect(found?.suspensions).not.toContainEqual(lifted);
        }
        expect((await mine.findCaller(plain.id, now))?.key).toEqual(plain);
        expect(
          (await mine.findCaller(plain.id, now + 1))?.suspensions.filter((each) => inForce(each, now + 1)),
        ).toEqual(open.slice(0, 1));
        expect(await mine.findCallerByDigest(plain.digest, now)).toBeUndefined();
        expect(await mine.findCaller('key_nothing' as KeyId, now)).toBeUndefined();
        expect(await mine.findOwner('nobody', now)).toBeUndefined();
      }),
    );
    test(
      'sees a changed plan at once, and has no plan if its account has none',
      withStores(async (mine, other) => {
        const alice = await account(mine);
        const operator = await account(mine, 'operator', unlimited);
        const [hers, own] = [newKey(alice.id), newKey(operator.id)];
        await mine.insertKey(hers, event());
        await mine.insertKey(own, event());
        expect(await mine.findCaller(own.id, 1)).toMatchObject({ account: operator, plan: unlimited });
        expect((await mine.findCaller(hers.id, 1))?.plan).toMatchObject({ version: 1 });
        const next = { ...(firstPlans[0] as Plan), version: 2, tokensPerDay: 1 };
        await other.putPlan(next, event());
        expect((await mine.findCaller(hers.id, 1))?.plan).toEqual(next);
        await other.changeAccount(alice.id, { plan: 'trial' }, event());
        expect((await mine.findCaller(hers.id, 1))?.plan).toMatchObject({ name: 'trial' });
      }),
    );
    test(
      'with a plan missing from the store is an error, not a caller without limits',
      withStores(async (mine, other) => {
        const alice = await account(mine, 'alice', 'never-made');
        const [plain, signer] = [newKey(alice.id), newKey(alice.id, { kind: 'signature' })];
        await mine.insertKey(plain, event());
        await mine.insertKey(signer, event());
        await expect(mine.findCaller(plain.id, 1)).rejects.toThrow(/never-made/);
        await expect(other.findCallerByDigest(signer.digest, 1)).rejects.toThrow(/never-made/);
      }),
    );
  });

  describe(`rules and steps on ${name}`, () => {
    test(
      'a rule is made, replaced and deleted, each with its event, and visible to another process',
      withStores(async (mine, other) => {
        const rule: Rule = { ...(firstRules[0] as Rule), name: 'a-rule', plans: ['trial'], shadow: true };
        await mine.putRule(rule, event('rule.create', 'a-rule'));
        expect((await other.listRules())[0]).toEqual(rule);
        await other.putRule({ ...rule, enabled: false, plans: null }, event('rule.set', 'a-rule'));
        expect((await mine.listRules())[0]).toEqual({ ...rule, enabled: false, plans: null });
        expect(await mine.deleteRule('a-rule', event('rule.delete', 'a-rule'))).toBe(true);
        expect(await other.deleteRule('a-rule', event('lost', 'a-rule'))).toBe(false);
        expect(await other.listRules()).toHaveLength(firstRules.length);
        const actions = (await mine.listAudit({ subject: 'a-rule', limit: 10 })).map(({ action }) => action);
        expect(actions).toEqual(['rule.delete', 'rule.set', 'rule.create']);
      }),
    );
    test(
      'a suspension is returned exactly as stored, and only its lifting, appeal and answer can change',
      withStores(async (mine, other) => {
        const { id } = await account(mine);
        const taken = step(id, { keyId: 'key_x' as KeyId, rule: 'busy-hour', evidence: { count: 7 }, endsAt: ++ticks });
        await mine.insertSuspension(taken, event());
        expect(await other.findSuspension(taken.id)).toEqual(taken);
        expect(await other.findSuspension('sus_nothing' as SuspensionId)).toBeUndefined();
        const told = { appeal: '直しました', appealedAt: 1, answer: 'ok', answeredAt: 2, answeredBy: 'b' };
        const after = { ...taken, ...told, liftedAt: 3, liftedBy: 'c' };
        await other.updateSuspension(
          { ...after, reason: 'another', step: 'warn', endsAt: null, createdAt: 1 },
          event(),
        );
        expect(await mine.findSuspension(taken.id)).toEqual(after);
      }),
    );
    test(
      'suspensions are listed newest first, all or of one account, and only effective ones are counted',
      withStores(async (mine, other) => {
        const [alice, bob] = [await account(mine), await account(mine, 'bob')];
        const key = 'key_x' as KeyId;
        const since = ++ticks;
        const taken = [
          step(alice.id, { createdAt: since - 1 }),
          step(alice.id, { createdAt: since }),
          step(alice.id, { keyId: key, step: 'review' }),
          step(alice.id, { keyId: key, liftedAt: 1, liftedBy: 'test' }),
          step(alice.id, { keyId: key, shadow: true }),
          step(alice.id, { step: 'slow' }),
          step(alice.id, { step: 'revoke' }),
          step(bob.id),
        ];
        for (const each of taken) await mine.insertSuspension(each, event());
        expect(await other.listSuspensions({ limit: 100 })).toEqual(taken.toReversed());
        expect(await other.listSuspensions({ limit: 2 })).toEqual(taken.toReversed().slice(0, 2));
        const before = taken[3]!.id;
        expect(await other.listSuspensions({ before, limit: 2 })).toEqual([taken[2], taken[1]]);
        expect(await other.listSuspensions({ accountId: bob.id, limit: 100 })).toEqual(taken.slice(-1));
        expect(await other.countSuspensions(alice.id, null, since)).toBe(3);
        expect(await other.countSuspensions(alice.id, key, since)).toBe(2);
        expect(await other.countSuspensions(alice.id, null, 0)).toBe(4);
      }),
    );
    test(
      'what is in force and the last step of each rule are found, however many steps are newer',
      withStores(async (mine, other) => {
        const [alice, bob] = [await account(mine), await account(mine, 'bob')];
        const [first, second] = ['key_x' as KeyId, 'key_y' as KeyId];
        const inForceNow = step(alice.id, { keyId: first });
        const warned = step(alice.id, { step: 'warn', rule: 'warns', endsAt: ++ticks });
        const slowed = step(alice.id, { step: 'slow', rule: 'slows', keyId: second, endsAt: ++ticks });
        const of = { step: 'warn', rule: 'warns', shadow: true } as const;
        const newer = Array.from({ length: 300 }, (_, i) =>
          step(alice.id, { ...of, keyId: i % 2 === 0 ? first : null }),
        );
        for (const each of [inForceNow, warned, slowed, ...newer, step(bob.id, { rule: 'slows' })])
          await mine.insertSuspension(each, event());
        const now = ++ticks;
        const open = await other.openSuspensions(alice.id, now);
        expect(open.filter((each) => inForce(each, now))).toEqual([inForceNow]);
        expect(await other.listSuspensions({ accountId: alice.id, inForceAt: now, limit: 1 })).toEqual([inForceNow]);
        expect(await other.listSuspensions({ accountId: alice.id, unshadowed: true, limit: 9 })).toEqual([
          slowed,
          warned,
          inForceNow,
        ]);
        expect(await other.latestSteps(alice.id)).toEqual([newer[299], newer[298], slowed, warned]);
      }),
    );
    test(
      'a suspension of a missing account is not stored, nor is its event',
      withStores(async (mine) => {
        await expect(mine.insertSuspension(step('acc_nothing' as AccountId), event())).rejects.toThrow();
        expect(await mine.listSuspensions({ limit: 10 })).toEqual([]);
        expect(await mine.listAudit({ limit: 10 })).toEqual([]);
      }),
    );
    test(
      'the audit log returns events exactly, newest first, all or of one subject',
      withStores(async (mine, other) => {
        const { id } = await account(mine);
        const before = { plan: '計画', deep: { list: [1, null, 'x'] } };
        const events = [
          auditEvent({ actor: 'cli:me', at: ++ticks }, 'a', 'one', null, before),
          auditEvent({ actor: 'cli:me', at: ++ticks }, 'b', 'two', before, null),
          auditEvent({ actor: 'rule:x', at: ++ticks }, 'c', 'one', { same: 1, x: 1 }, { same: 1, x: 2 }),
        ];
        for (const each of events) await mine.changeAccount(id, { plan: 'trial' }, each);
        expect(await other.listAudit({ limit: 3 })).toEqual(events.toReversed());
        expect(await other.listAudit({ subject: 'one', limit: 10 })).toEqual([events[2], events[0]]);
        expect(await other.listAudit({ subject: 'one', limit: 1 })).toEqual([events[2]]);
        expect(await other.listAudit({ subject: 'one', before: events[2]!.id, limit: 9 })).toEqual([events[0]]);
        expect(events[2]).toMatchObject({ from: { x: 1 }, to: { x: 2 } });
        expect(events[2]?.from).not.toHaveProperty('same');
      }),
    );
    test(
      'the audit log is searched by subject, actor, action, words and time, page by page, each event once',
      withStores(async (mine, other) => {
        const start = ticks + 1;
        const events: AuditEvent[] = [];
        for (let i = 0; i < 40; i++) {
          const author = { actor: i % 2 === 0 ? 'cli:me' : `person:usr_${i % 3}`, at: ++ticks };
          const action = i % 4 === 0 ? 'key.create' : i % 4 === 1 ? 'key.revoke' : 'plan.set';
          events.push(auditEvent(author, action, `thing-${i % 5}`, null, { note: `Größe "${i}" 計画` }));
        }
        for (const each of events) await mine.insertAudit(each);
        const all = async (filter: AuditFilter, look = 1_000): Promise<string[]> => {
          const found: string[] = [];
          let before: string | undefined;
          do {
            const page = await other.searchAudit(filter, 3, before, look);
            expect(page.events.length).toBeLessThanOrEqual(3);
            found.push(...page.events.map(({ id }) => id));
            before = page.next;
          } while (before !== undefined);
          return found;
        };
        const those = (is: (event: AuditEvent, i: number) => boolean): string[] =>
          events
            .filter(is)
            .map(({ id }) => id)
            .toReversed();
        const cases: readonly [AuditFilter, string[]][] = [
          [{}, those(() => true)],
          [{ subjects: ['thing-1', 'thing-3', 'no'] }, those(({ subject }) => /[13]$/.test(subject))],
          [{ actors: ['person:usr_1', 'cli:me'] }, those(({ actor }) => /me|_1$/.test(actor))],
          [{ action: 'key.revoke' }, those(({ action }) => action === 'key.revoke')],
          [{ action: 'key' }, those(({ action }) => action.startsWith('key.'))],
          [{ action: 'ke' }, []],
          [{ text: 'gröSSe "7"' }, []],
          [{ text: 'GRÖßE "7"' }, those((_, i) => i === 7)],
          [{ text: 'revoke' }, those(({ action }) => action === 'key.revoke')],
          [{ subjects: ['thing-0'], actors: ['cli:me'], action: 'plan', text: '計画' }, those((_, i) => i % 20 === 10)],
          [{ since: start + 10, until: start + 20 }, those((_, i) => i >= 10 && i < 20)],
          [{ since: start + 30, actors: ['cli:me'] }, those((_, i) => i >= 30 && i % 2 === 0)],
          [{ until: 8.64e15 }, those(() => true)],
          [{ since: -1 }, those(() => true)],
          [{ subjects: [] }, []],
        ];
        for (const [filter, ids] of cases) {
          expect(await all(filter), JSON.stringify(filter)).toEqual(ids);
          // A page that may read one row only finds the same, in more pages.
          expect(await all(filter, 1), JSON.stringify(filter)).toEqual(ids);
        }
        expect(await other.auditActions()).toEqual(['key.create', 'key.revoke', 'plan.set']);
        expect(await other.findAudit(events[7]!.id)).toEqual(events[7]);
        expect(await other.findAudit('aud_nothing')).toBeUndefined();
      }),
    );
    test(
      'a change is not made when its event cannot be written',
      withStores(async (mine) => {
        const alice = await account(mine);
        const key = newKey(alice.id);
        await mine.insertKey(key, event());
        const taken = step(alice.id);
        await mine.insertSuspension(taken, event());
        const [used] = await mine.listAudit({ limit: 1 });
        const twice = { ...event(), id: used!.id };
        for (const change of [
          () => mine.ensureAccount('bob', 'default', twice),
          () => mine.changeAccount(alice.id, { plan: 'trusted' }, twice),
          () => mine.putPlan(plan(), twice),
          () => mine.putPlan({ ...(firstPlans[0] as Plan), version: 2 }, twice),
          () => mine.deletePlan('trial', twice),
          () => mine.putRule({ ...(firstRules[0] as Rule), enabled: false }, twice),
          () => mine.deleteRule('busy-hour', twice),
          () => mine.insertSuspension(step(alice.id), twice),
          () => mine.updateSuspension({ ...taken, liftedAt: 1, liftedBy: 'x' }, twice),
          () => mine.insertKey(newKey(alice.id), twice),
          () => mine.revokeKey(key.id, 1, twice),
          () => mine.rotateKey(key.id, newKey(alice.id), 1, twice),
        ])
          await expect(change(), String(change)).rejects.toThrow();
        expect(await mine.listAccounts()).toEqual([alice]);
        expect((await mine.listPlans()).map(({ name: of, version }) => [of, version])).toEqual([
          ['default', 1],
          ['trial', 1],
          ['trusted', 1],
        ]);
        expect((await mine.listRules()).every(({ enabled }) => enabled)).toBe(true);
        expect(await mine.listRules()).toHaveLength(firstRules.length);
        expect(await mine.listSuspensions({ limit: 10 })).toEqual([taken]);
        expect(await mine.listKeys()).toEqual([key]);
      }),
    );
    test(
      'revoking a key leaves one event, however often it is requested',
      withStores(async (mine, other) => {
        const alice = await account(mine);
        const bob = await account(mine, 'bob');
        const [key, theirs] = [newKey(alice.id), newKey(bob.id)];
        await mine.insertKey(key, event());
        await mine.insertKey(theirs, event());
        expect(await mine.revokeKey(key.id, 5, event('key.revoke', key.id))).toBe(true);
        expect(await other.revokeKey(key.id, 6, event('key.revoke', key.id))).toBe(true);
        expect(await mine.listAudit({ subject: key.id, limit: 10 })).toHaveLength(1);
        expect((await other.listKeys(bob.id)).map(({ id }) => id)).toEqual([theirs.id]);
      }),
    );
  });

  describe(`sums of the ledger on ${name}`, () => {
    test(
      'equal the sums of the rows, by key, account, model and quarter hour',
      withStores(async (mine, other) => {
        const alice = await account(mine);
        const key = newKey(alice.id);
        await mine.insertKey(key, event());
        await mine.appendUsage(kinds(hour * hourMs, { keyId: key.id, accountId: alice.id }));
        await other.appendUsage(kinds(hour * hourMs + hourMs - 1, { model: null }));
        await mine.appendUsage(kinds((hour + 1) * hourMs));
        const twice = (of: typeof sums): typeof sums =>
          Object.fromEntries(Object.entries(of).map(([figure, value]) => [figure, 2 * value])) as typeof sums;
        const all = (by: ReportBy) => other.reportUsage(by, hour * hourMs, (hour + 2) * hourMs);
        expect(await all('key')).toEqual([
          { group: 'key_x', name: null, ...twice(sums) },
          { group: key.id, name: 'laptop', ...sums },
        ]);
        expect(await all('account')).toEqual([
          { group: 'acc_x', name: null, ...twice(sums) },
          { group: alice.id, name: 'alice', ...sums },
        ]);
        expect(await all('model')).toEqual([
          { group: 'gemma3:270m', name: null, ...twice(sums) },
          { group: '', name: null, ...sums },
        ]);
        expect(await all('quarter')).toEqual([
          { group: String(4 * hour), name: null, ...sums },
          { group: String(4 * hour + 3), name: null, ...sums },
          { group: String(4 * hour + 4), name: null, ...sums },
        ]);
        expect(await mine.reportUsage('model', (hour + 1) * hourMs, (hour + 2) * hourMs)).toEqual([
          { group: 'gemma3:270m', name: null, ...sums },
        ]);
        expect(await mine.reportUsage('quarter', (hour + 2) * hourMs, (hour + 9) * hourMs)).toEqual([]);
        expect(await mine.reportUsage('quarter', hour * hourMs, (hour + 2) * hourMs, { accountId: alice.id })).toEqual([
          { group: String(4 * hour), name: null, ...sums },
        ]);
        const whole = [hour * hourMs, (hour + 2) * hourMs] as const;
        const ofModel = await mine.reportUsage('account', ...whole, { model: 'gemma3:270m' });
        expect(ofModel.map(({ group }) => group)).toContain(alice.id);
        expect(await mine.reportUsage('account', ...whole, { model: 'another' })).toEqual([]);
        expect(await mine.reportUsage('model', ...whole, { keyId: 'key_another' as KeyId })).toEqual([]);
      }),
    );
    test(
      'count a row once, whichever processes write it, however often and in however many batches',
      withStores(async (mine, other) => {
        const rows = Array.from({ length: 150 }, (_, i) => kinds((hour + (i % 3)) * hourMs + i)).flat();
        await mine.appendUsage(rows);
        const wanted = await reports(mine);
        expect(await mine.reportUsage('account', hour * hourMs, (hour + 3) * hourMs)).toMatchObject([
          { requests: 1200, refused: 300 },
        ]);
        await mine.appendUsage(rows);
        await other.appendUsage(rows.slice(300, 900));
        await other.appendUsage([...rows.slice(0, 3), ...rows.slice(0, 3)]);
        expect(await reports(mine)).toEqual(wanted);
        const fresh = row(hour * hourMs, { model: 'new' });
        await other.appendUsage([rows[0] as UsageRecord, fresh, fresh, rows[7] as UsageRecord]);
        await mine.appendUsage([fresh]);
        expect(await mine.reportUsage('model', hour * hourMs, (hour + 3) * hourMs)).toMatchObject([
          { group: 'gemma3:270m', requests: 1200 },
          { group: 'new', requests: 1, promptTokens: 3, completionTokens: 5 },
        ]);
      }),
    );
    test(
      'say when rows of an account came from a journal, to every process',
      withStores(async (mine, other) => {
        const [one, two, three] = ['acc_1', 'acc_2', 'acc_3'] as AccountId[] as [AccountId, AccountId, AccountId];
        await mine.noteRecovered(new Set());
        expect(await other.recoveries()).toEqual(new Map());
        const seen: (ChangedAccounts | undefined)[] = [];
        const feed = other.changeFeed({ onFailure: () => undefined, onRecovery: () => undefined });
        await feed.subscribe({ what: 'count', run: (_, accounts) => Promise.resolve(void seen.push(accounts)) });
        await mine.noteRecovered(new Set([one, two]));
        await feed.look();
        expect(seen.slice(1).every((accounts) => accounts === 'all' || accounts?.has(one))).toBe(true);
        expect(seen.length).toBeGreaterThan(1);
        const [markOfOne = 0] = (await mine.recoveries(new Set([one]))).values();
        let last = 0;
        for (const each of [mine, other, mine]) {
          await each.noteRecovered(new Set([two]));
          const [mark = 0] = (await mine.recoveries(new Set([two, three]))).values();
          expect(mark).toBeGreaterThan(last);
          last = mark;
        }
        expect(await mine.recoveries()).toEqual(
          new Map([
            [one, markOfOne],
            [two, last],
          ]),
        );
        expect(await mine.recoveries(new Set())).toEqual(new Map());
        const many = new Set(Array.from({ length: 1_200 }, (_, i) => `acc_m${i}` as AccountId));
        await mine.noteRecovered(many);
        expect([...(await other.recoveries(many)).keys()]).toEqual(expect.arrayContaining([...many]));
      }),
    );
    test('mark what came from a journal higher than a database that was replaced had marked it', async () => {
      const whose = 'acc_1' as AccountId;
      const marked = async (times: number): Promise<number> => {
        let mark = 0;
        await storesOf(create)(async (mine) => {
          for (let i = 0; i < times; i++) await mine.noteRecovered(new Set([whose]));
          mark = (await mine.recoveries()).get(whose) ?? 0;
        })();
        return mark;
      };
      const before = await marked(3);
      while (Date.now() <= before) await new Promise((resolve) => setTimeout(resolve, 1));
      expect(await marked(1)).toBeGreaterThan(before);
    });
    test(
      'contain nothing of a batch that failed',
      withStores(async (mine) => {
        const wrong = { ...row(hour * hourMs), operation: null as unknown as string };
        await expect(mine.appendUsage([...kinds(hour * hourMs), wrong])).rejects.toThrow();
        expect(await mine.reportUsage('quarter', 0, (hour + 1) * hourMs)).toEqual([]);
        await mine.appendUsage(kinds(hour * hourMs));
        expect(await mine.reportUsage('quarter', 0, (hour + 1) * hourMs)).toEqual([
          { group: String(4 * hour), name: null, ...sums },
        ]);
      }),
    );
    test(
      'count a row as often as its `repeats` says, and its tokens once',
      withStores(async (mine, other) => {
        const at = hour * hourMs;
        const rows = kinds(at, { repeats: 7 });
        await mine.appendUsage(rows);
        await other.appendUsage(rows);
        const counted = { ...sums, requests: 56, refused: 14, failed: 28, estimated: 28 };
        for (const by of groups)
          expect(await other.reportUsage(by, hour * hourMs, (hour + 1) * hourMs)).toMatchObject([counted]);
        const bucket = { at, requests: 42, refusals: 7, promptTokens: 15, completionTokens: 25 };
        expect(await other.usageByMinute(at)).toMatchObject([bucket]);
        expect(await other.usageByQuarter('acc_x' as AccountId, hour * hourMs, (hour + 1) * hourMs)).toMatchObject([
          bucket,
        ]);
      }),
    );
    test(
      'hold no caller responsible for a refusal for lack of capacity or a fault of the gateway or model server',
      withStores(async (mine, other) => {
        const at = hour * hourMs;
        const refused = (code: UsageRecord['code']): UsageRecord =>
          row(at, { ...nothing, outcome: 'refused', upstream: null, code });
        await mine.appendUsage(
          (
            [
              'queue_full',
              'queue_timeout',
              'draining',
              'ledger_unavailable',
              'rate_limited',
              'invalid_request',
              null,
            ] as const
          ).map(refused),
        );
        const bucket = { at, requests: 0, refusals: 3 };
        expect(await other.usageByMinute(at)).toMatchObject([bucket]);
        expect(await other.usageByQuarter('acc_x' as AccountId, at, at + hourMs)).toMatchObject([bucket]);
        expect(await other.reportUsage('key', at, at + hourMs)).toMatchObject([{ requests: 7, refused: 7 }]);
      }),
    );
    test(
      'tell by minute and by quarter hour what was admitted and what was refused',
      withStores(async (mine, other) => {
        const at = hour * hourMs;
        const bucket = {
          accountId: 'acc_x',
          keyId: 'key_x',
          requests: 6,
          refusals: 1,
          promptTokens: 15,
          completionTokens: 25,
          units: 0,
        };
        const cost = { unit: 'seconds', units: 3 };
        const units = 3 * kinds(at).length;
        await mine.appendUsage(kinds(at - 1));
        await mine.appendUsage(kinds(at));
        await mine.appendUsage(kinds(at + 59_999, { keyId: 'key_y' as KeyId, cost }));
        await mine.appendUsage(kinds(at + 60_000, { model: null }));
        await mine.appendUsage(kinds(at + 60_000, { accountId: 'acc_y' as AccountId, keyId: 'key_z' as KeyId }));
        const ordered = <T extends { at: number; keyId: string }>(found: readonly T[]): T[] =>
          found.toSorted((a, b) => a.at - b.at || (a.keyId < b.keyId ? -1 : 1));
        expect(ordered(await other.usageByMinute(at))).toEqual([
          { ...bucket, at },
          { ...bucket, at, keyId: 'key_y', units },
          { ...bucket, at: at + 60_000 },
          { ...bucket, at: at + 60_000, accountId: 'acc_y', keyId: 'key_z' },
        ]);
        expect(await other.usageByMinute(at + 60_001)).toEqual([]);
        expect(
          ordered(await other.usageByQuarter('acc_x' as AccountId, (hour - 1) * hourMs, (hour + 1) * hourMs)),
        ).toEqual([
          { ...bucket, at: at - hourMs / 4 },
          { ...bucket, at, requests: 12, refusals: 2, promptTokens: 30, completionTokens: 50 },
          { ...bucket, at, keyId: 'key_y', units },
        ]);
        expect(await other.usageByQuarter('acc_x' as AccountId, (hour - 1) * hourMs, hour * hourMs)).toHaveLength(1);
        expect(await other.usageByQuarter('acc_nobody' as AccountId, 0, (hour + 9) * hourMs)).toEqual([]);
      }),
    );
    test(
      'stay when old rows are removed: only old ones, the oldest first, and no more than asked for',
      withStores(async (mine, other) => {
        const at = hour * hourMs;
        const rows = Array.from({ length: 10 }, (_, i) => row(at + i));
        await mine.appendUsage(rows);
        const wanted = await reports(mine);
        expect(await mine.pruneUsage(at + 6, 4)).toBe(4);
        expect((await other.listUsage(100)).map((left) => left.at)).toEqual([9, 8, 7, 6, 5, 4].map((i) => at + i));
        expect(await other.pruneUsage(at + 6, 4)).toBe(2);
        expect(await mine.pruneUsage(at + 6, 4)).toBe(0);
        expect((await mine.listUsage(100)).map((left) => left.at)).toEqual([9, 8, 7, 6].map((i) => at + i));
        expect(await reports(mine)).toEqual(wanted);
      }),
    );
  });
}
