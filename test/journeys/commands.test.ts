// The command line: every verb works on the store of a running gate, every change leaves one audit event, and invalid input
// is refused in one sentence and changes nothing.
import { generateKeyPairSync } from 'node:crypto';
import { userInfo } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Account } from '../../src/domain/account.ts';
import type { AuditEvent } from '../../src/domain/audit.ts';
import { firstPlans, termNames } from '../../src/domain/plan.ts';
import { firstRules, type Rule } from '../../src/domain/rule.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { revokeKey } from '../../src/management/keys/keys.ts';
import { createPlan } from '../../src/management/plans/plans.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, sekisho, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

interface Shown extends Record<string, unknown> {
  readonly id: string;
  readonly name: string;
}
interface ShownKey extends Shown {
  readonly secret: string;
  readonly createdAt: string;
  readonly expiresAt: string | null;
}

const actor = `cli:${userInfo().username}`;
const dayMs = 86_400_000;
/** Every secret that a command printed. */
const secrets: string[] = [];

const run = (words: readonly string[]): ReturnType<typeof sekisho> => sekisho(words, { DATA_DIR: gate.dataDir });

/** The output of a command, which must succeed and print nothing on stderr. */
async function says(...words: readonly string[]): Promise<string> {
  const { code, out, err } = await run(words);
  expect([code, err], words.join(' ')).toEqual([0, '']);
  return out;
}

async function gives<T = Shown>(...words: readonly string[]): Promise<T> {
  const given = JSON.parse(await says(...words, '--json')) as T & { secret?: string };
  if (given.secret !== undefined) secrets.push(given.secret);
  return given;
}

/** The newest first. */
const events = (): Promise<AuditEvent[]> => gate.manage((store) => store.listAudit({ limit: 100_000 }));

type Expected = Pick<AuditEvent, 'action' | 'from' | 'to'> & { readonly subject?: string };

/** Runs something that leaves exactly one event, and returns that event. */
async function leaves<T>(event: Expected, change: () => Promise<T>): Promise<T> {
  const before = await events();
  const result = await change();
  const after = await events();
  expect(after.slice(1)).toEqual(before);
  expect(after[0]).toMatchObject({ actor, ...event });
  for (const side of ['from', 'to'] as const)
    expect(Object.keys(after[0]?.[side] ?? {}).toSorted()).toEqual(Object.keys(event[side] ?? {}).toSorted());
  return result;
}

/** Invalid words, and the message they get. */
type Refusal = readonly [words: readonly string[], sentence: RegExp];

/** Each is refused in one sentence, without a stack, and leaves no event. */
async function refuses(...refusals: readonly Refusal[]): Promise<void> {
  const before = await events();
  const waiting = refusals.values();
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (const [words, sentence] of waiting) {
        const said = words.join(' ');
        const { code, out, err } = await run(words);
        expect(out, said).toBe('');
        // Usage, missing, refused.
        expect([2, 3, 4], said).toContain(code);
        const [first = '', ...rest] = err.split('\n');
        expect(first, said).toMatch(sentence);
        expect(err, said).not.toMatch(/\n\s+at /);
        // A syntax error is followed by a hint; any other error is one sentence.
        if (first.startsWith('error: ')) expect(rest, said).toEqual(['Use --help for usage and examples.', '']);
        else expect([rest, first.at(-1)], said).toEqual([[''], '.']);
      }
    }),
  );
  expect(await events()).toEqual(before);
}

/** An account of that name with a plan of the same name, made without the command line. */
const accountWith = (name: string, terms: Readonly<Record<string, unknown>> = {}): Promise<Account> =>
  gate.manage(async (store, by) => {
    await createPlan(store, name, terms, undefined, by);
    return createAccount(store, name, name, by);
  });

const tags = (secret: string): Promise<Response> => fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': secret } });

describe('sekisho plan', () => {
  test('lists and shows the first plans with every term, as a table and as JSON', async () => {
    const [plans, first, table, trial] = await Promise.all([
      gives<Shown[]>('plan', 'list'),
      gives('plan', 'show', 'default'),
      says('plan', 'list'),
      says('plan', 'show', 'trial'),
    ]);
    expect(plans.map(({ name }) => name)).toEqual(['default', 'trial', 'trusted']);
    expect(Object.keys(first)).toEqual(['name', 'version', ...termNames]);
    expect(first).toEqual(firstPlans[0]);
    expect(table).toMatch(/^name +version +requestsPerMinute .*\ndefault +1 +120 .*\ntrial .*\ntrusted /);
    expect(trial).toMatch(/^name +trial\nversion +1\nrequestsPerMinute +20\n/);
  });

  test('creates a plan, unlimited but for the given terms or like another, counts its versions, and deletes it', async () => {
    const open = await gives('plan', 'create', 'open');
    expect(open).toMatchObject({ version: 1, tokensPerDay: null, queueWeight: 1, models: ['*'] });
    expect(open['scopes']).toContain('models:delete');
    const to = {
      ...firstPlans[2],
      name: 'night',
      queueWeight: 2.5,
      models: ['gemma3:*', 'llama3'],
      tokensPerDay: 500_000,
    };
    const terms = ['queueWeight=2.5', 'models=gemma3:*, llama3', 'tokensPerDay=500_000'];
    const made = await leaves({ action: 'plan.create', subject: 'night', from: null, to }, () =>
      gives('plan', 'create', 'night', '--like', 'trial', ...terms),
    );
    expect(made).toEqual(to);

    const change = { from: { version: 1, tokensPerDay: 500_000 }, to: { version: 2, tokensPerDay: null } };
    await leaves({ action: 'plan.set', subject: 'night', ...change }, () =>
      gives('plan', 'set', 'night', 'tokensPerDay=none', 'maxKeys=1'),
    );
    const again = { from: { version: 2, scopes: to.scopes }, to: { version: 3, scopes: ['metadata'] } };
    await leaves({ action: 'plan.set', subject: 'night', ...again }, () =>
      gives('plan', 'set', 'night', 'scopes=metadata'),
    );
    const counted = { requestsPerHour: 600, tokensPerWeek: 9_000_000 };
    const wider = {
      from: { version: 3, requestsPerHour: null, tokensPerWeek: null },
      to: { version: 4, ...counted },
    };
    await leaves({ action: 'plan.set', subject: 'night', ...wider }, () =>
      gives('plan', 'set', 'night', 'requestsPerHour=600', 'tokensPerWeek=9000000'),
    );
    // The table has a column for each limit that at least one plan sets.
    expect(await says('plan', 'list')).toMatch(
      /^name +version +requestsPerMinute +requestsPerHour +tokensPerMinute +tokensPerDay +tokensPerWeek +tokensPerMonth /,
    );
    const last = { ...to, version: 4, ...counted, tokensPerDay: null, scopes: ['metadata'] };
    expect(await gives('plan', 'show', 'night')).toEqual(last);
    const said = await leaves({ action: 'plan.delete', subject: 'night', from: last, to: null }, () =>
      says('plan', 'delete', 'night', '--yes'),
    );
    expect(said).toBe('The plan night is deleted.\n');
    expect(await gate.manage((store) => store.findPlan('night'))).toBeUndefined();
  });

  test('a plan in use cannot be deleted, and neither can "default"', async () => {
    await accountWith('in-use');
    await refuses(
      [
        ['plan', 'delete', 'in-use', '--yes'],
        /^Some accounts still have the plan "in-use"; give them another plan first\.$/,
      ],
      [['plan', 'delete', 'default', '--yes'], /^The plan "default" is for new accounts and cannot be deleted/],
      [['plan', 'delete', 'nothing'], /^There is no plan "nothing"; the plans are default, /],
    );
    await gives('account', 'set', 'in-use', '--plan', 'trial');
    await says('plan', 'delete', 'in-use', '--yes');
  });

  test('refuses invalid plans', () =>
    refuses(
      [['plan', 'create', 'Night Shift'], /^The name of a plan has lowercase letters/],
      [['plan', 'create', 'trial'], /^The plan "trial" already exists/],
      [['plan', 'create', 'x', '--like', 'nothing'], /^There is no plan "nothing"/],
      [['plan', 'create', 'x', 'tokensPerFortnight=5'], /^There is no term "tokensPerFortnight"; the terms are /],
      [['plan', 'create', 'x', 'tokensPerDay='], /^tokensPerDay must be a whole number from 0 to 10\^15, or none/],
      [['plan', 'create', 'x', 'queueWeight=0'], /^queueWeight must be a number from 0\.01 to 1000/],
      [['plan', 'create', 'x', 'models=a b'], /not a model name/],
      [['plan', 'create', 'x', 'scopes=everything'], /^Unknown scope "everything"; the scopes are /],
      [
        ['plan', 'create', 'x', 'minKeepAliveSeconds=9', 'maxKeepAliveSeconds=8'],
        /^minKeepAliveSeconds must not exceed max/i,
      ],
      [['plan', 'set', 'trial'], /^error: missing required argument/],
      [['plan', 'create', 'x', '--nonsense'], /^error: unknown option '--nonsense'/],
    ));
});

describe('sekisho account', () => {
  test('creates, shows and lists accounts, and changes an account’s plan', async () => {
    const made = await leaves(
      {
        action: 'account.create',
        subject: expect.stringMatching(/^acc_/),
        from: null,
        to: { name: '山田', plan: 'default', role: 'member', unlimited: false },
      },
      () => gives('account', 'create', ' 山田 '),
    );
    expect(made).toMatchObject({ name: '山田', plan: 'default', keys: 0, inForce: [] });
    await leaves(
      {
        action: 'account.create',
        subject: expect.stringMatching(/^acc_/),
        from: null,
        to: { name: 'tried', plan: 'trial', role: 'member', unlimited: false },
      },
      () => gives('account', 'create', 'tried', '--plan', 'trial'),
    );
    for (const [named, from, to] of [
      ['山田', 'default', 'trusted'],
      [made.id, 'trusted', 'trial'],
    ] as const) {
      const event = { action: 'account.plan', subject: made.id, from: { plan: from }, to: { plan: to } };
      const set = await leaves(event, () => gives('account', 'set', named, '--plan', to));
      expect(set).toMatchObject({ id: made.id, plan: to });
    }
    await gate.key({ account: '山田' });
    const [byName, byId, all, table] = await Promise.all([
      gives('account', 'show', '山田'),
      gives('account', 'show', made.id),
      gives<Shown[]>('account', 'list'),
      says('account', 'list'),
    ]);
    expect(byName).toMatchObject({ id: made.id, plan: 'trial', keys: 1 });
    expect(byId).toEqual(byName);
    expect(all[0]).toMatchObject({ name: 'operator', plan: null });
    expect(all).toContainEqual(byName);
    expect(table).toMatch(/^id +name +plan .*\n(.*\n)*acc_\w+ +山田 +trial /);
  });

  test('refuses invalid accounts', () =>
    refuses(
      [['account', 'create', 'operator'], /^The account "operator" already exists\.$/],
      [['account', 'create', ' '], /^The name of an account must have 1 to 200 characters\.$/],
      [['account', 'create', 'x', '--plan', 'nothing'], /^There is no plan "nothing"/],
      [['account', 'set', 'operator', '--plan', 'trial'], /^The operator's own account has no plan/],
      [['account', 'show', 'nobody'], /^There is no account "nobody"\.$/],
    ));
});

describe('sekisho key', () => {
  test('creates, shows, lists, rotates and revokes, each with its event, and shows a secret once', async () => {
    await accountWith('keys', { tokensPerDay: '1000' });
    const words = ['--name', 'laptop', '--account', 'keys', '--scopes', 'inference,metadata', '--models', 'gemma3:*'];
    const before = await events();
    const made = await gives<ShownKey>(
      'key',
      'create',
      ...words,
      '--cidr',
      '127.0.0.0/8',
      '--limit',
      'tokensPerDay=900',
    );
    const { secret, ...shown } = made;
    const [created, ...rest] = await events();
    expect(rest).toEqual(before);
    expect(created).toMatchObject({ actor, action: 'key.create', subject: made.id, from: null, to: shown });
    expect(shown).toMatchObject({
      limits: { tokensPerDay: 900 },
      scopes: ['inference:chat', 'inference:audio', 'metadata'],
    });
    expect(await gives('key', 'show', made.id)).toEqual(shown);
    expect((await tags(secret)).status).toBe(200);

    const successor = { successor: expect.stringMatching(/^key_/), endsAt: expect.any(String) };
    const rotation = { action: 'key.rotate', subject: made.id, from: null, to: successor };
    const next = await leaves(rotation, () => gives<ShownKey>('key', 'rotate', made.id, '--grace', '1h'));
    expect(next).toMatchObject({
      rotatedFrom: made.id,
      name: 'laptop',
      limits: { tokensPerDay: 900 },
      cidr: ['127.0.0.0/8'],
    });
    expect((await events())[0]?.to).toMatchObject({ successor: next.id });
    expect([(await tags(secret)).status, (await tags(next.secret)).status]).toEqual([200, 200]);

    const revocation = { action: 'key.revoke', from: { status: 'active' }, to: { status: 'revoked' } };
    await leaves({ ...revocation, subject: next.id }, () => gives('key', 'revoke', next.id, '--yes'));
    await eventually(async () => expect((await tags(next.secret)).status).toBe(401));
    const twice = await events();
    expect(await gives('key', 'revoke', next.id, '--yes')).toMatchObject({ status: 'revoked' });
    expect(await events()).toEqual(twice);

    const list = await gives<Shown[]>('key', 'list');
    expect(list.filter(({ account }) => account === made['account']).map(({ id }) => id)).toEqual([made.id, next.id]);
    const said = await says('key', 'create', '--name', 'by hand', '--account', 'keys');
    secrets.push(...(/sekisho_\w+/.exec(said) ?? []));
    expect(said).toMatch(/\nThe secret is shown only once\./);
    expect(await says('key', 'list')).toMatch(/^id +name +accountName +status .*\n/);
  });

  test('creates the account for a new name, with an event of its own', async () => {
    const before = await events();
    const { id } = await gives('key', 'create', '--name', 'first', '--account', 'newcomer');
    const after = await events();
    expect(after.slice(2)).toEqual(before);
    // Two events of the same moment have no order.
    expect(after.slice(0, 2).toSorted((a, b) => (a.action < b.action ? -1 : 1))).toMatchObject([
      {
        actor,
        action: 'account.create',
        subject: expect.stringMatching(/^acc_/),
        to: { name: 'newcomer', plan: 'default' },
      },
      { actor, action: 'key.create', subject: id },
    ]);
  });

  test('gives a key no more scopes than its plan has', async () => {
    await accountWith('readers', { scopes: 'metadata,inference:embed,cloud' });
    const { scopes } = await gives('key', 'create', '--name', 'x', '--account', 'readers');
    expect(scopes).toEqual(['inference:embed', 'metadata']);
    const asked = await gives('key', 'create', '--name', 'x', '--account', 'readers', '--scopes', 'cloud');
    expect(asked['scopes']).toEqual(['cloud']);
    await refuses([
      ['key', 'create', '--name', 'x', '--account', 'readers', '--scopes', 'inference,metadata'],
      /^The plan readers does not allow inference:chat, inference:audio; it allows inference:embed, metadata, cloud\.$/,
    ]);
  });

  test('lets a key live no longer than its plan allows', async () => {
    await accountWith('brief', { maxKeyDays: '14' });
    const lives = ({ createdAt, expiresAt }: ShownKey): number => Date.parse(expiresAt ?? '') - Date.parse(createdAt);
    const words = ['key', 'create', '--name', 'x', '--account', 'brief'];
    expect(lives(await gives<ShownKey>(...words))).toBe(14 * dayMs);
    const shorter = await gives<ShownKey>(...words, '--expires', '3d');
    expect(Math.round(lives(shorter) / dayMs)).toBe(3);
    await refuses([[...words, '--expires', '15d'], /^The plan brief allows keys for at most 14 days\.$/]);
    // Rotating does not extend it either.
    const next = await gives<ShownKey>('key', 'rotate', shorter.id, '--grace', '6d');
    expect(next.expiresAt).toBe(shorter.expiresAt);
    expect(await gives('key', 'show', shorter.id)).toMatchObject({ expiresAt: shorter.expiresAt });
  });

  test('makes no more working keys than the plan allows; revoked ones do not count', async () => {
    await accountWith('few', { maxKeys: '2' });
    const words = ['key', 'create', '--name', 'x', '--account', 'few'];
    const { id } = await gate.key({ account: 'few' });
    await gives(...words);
    await refuses([words, /^few has 2 active keys, and the plan few allows 2\. Revoke one first\.$/]);
    await gives('key', 'revoke', id, '--yes');
    expect(await gives(...words)).toMatchObject({ status: 'active' });
  });

  const count = async (secret: string): Promise<[status: number, account: number, key: number]> => {
    const { status, headers } = await tags(secret);
    const left = (label: string): number =>
      Number(new RegExp(`(?:^|, )"${label}";r=(\\d+)`).exec(headers.get('ratelimit') ?? '')?.[1]);
    return [status, left('requests-day'), left('key-requests-day')];
  };
  const chat = (secret: string): Promise<Response> =>
    post(`${gate.url}/api/generate`, secret, { model: 'gemma3:270m', prompt: 'x', stream: false });

  test('--limit narrows the plan for that key alone, and widens nothing', async () => {
    await accountWith('narrow', { requestsPerDay: '7' });
    const words = ['key', 'create', '--name', 'x', '--account', 'narrow'];
    const wide = await gives<ShownKey>(...words, '--limit', 'requestsPerDay=100', 'concurrentRequests=9');
    const narrow = await gives<ShownKey>(...words, '--limit', 'requestsPerDay=2');
    expect(wide['limits']).toEqual({ requestsPerDay: 100, concurrentRequests: 9 });
    expect(await count(narrow.secret)).toEqual([200, 6, 1]);
    expect((await chat(narrow.secret)).status).toBe(200);
    expect(await (await chat(narrow.secret)).json()).toMatchObject({
      error: expect.stringMatching(/^This API key may use 2/),
    });
    expect(await count(wide.secret)).toEqual([200, 4, 99]);
    for (let i = 0; i < 4; i++) expect((await chat(wide.secret)).status).toBe(200);
    expect(await (await chat(wide.secret)).json()).toMatchObject({
      error: expect.stringMatching(/^This account may use 7/),
    });
  });

  test('a rotated key continues with its usage of the day, however often it is rotated', async () => {
    await accountWith('rotating', { requestsPerDay: '100' });
    const words = ['key', 'create', '--name', 'x', '--account', 'rotating', '--limit', 'requestsPerDay=6'];
    let key = await gives<ShownKey>(...words);
    for (const round of [1, 2, 3]) {
      expect(await count(key.secret)).toEqual([200, 100 - round, 6 - round]);
      key = await gives<ShownKey>('key', 'rotate', key.id, '--yes');
    }
    expect(await count(key.secret)).toEqual([200, 96, 2]);
    const fresh = await gives<ShownKey>(...words);
    expect(await count(fresh.secret)).toEqual([200, 95, 5]);
  });

  test('refuses invalid keys', async () => {
    await accountWith('plain');
    const { id } = await gate.key({ account: 'plain' });
    await gate.manage((store, by) => revokeKey(store, id, by));
    const words = ['key', 'create', '--name', 'x', '--account', 'plain'];
    await refuses(
      [['key', 'create'], /^error: required option '--name <name>' not specified/],
      [[...words, '--limit', 'nonsense=1'], /^There is no term "nonsense"/],
      [[...words, '--limit', 'maxKeys=1'], /^maxKeys is a term of plans; a key cannot have it\.$/],
      [[...words, '--limit', 'tokensPerDay=none'], /^tokensPerDay needs a number: a key can only restrict its plan\.$/],
      [
        ['key', 'create', '--name', 'x', '--limit', 'tokensPerDay=1'],
        /^operator has no plan that a key could restrict/,
      ],
      [[...words, '--expires', 'soon'], /^error: option '--expires <when>' argument 'soon' is invalid\. Use a date/],
      [[...words, '--scopes', ','], /^A key needs at least one scope\.$/],
      [[...words, '--scopes', 'everything'], /^Unknown scope "everything"; the scopes are inference:chat, /],
      [[...words, '--cidr', '10.0.0.0/99'], /^"10\.0\.0\.0\/99" is not an address block such as /],
      [[...words, '--models', 'a b'], /^"a b" is not a model name\.$/],
      [[...words, '--expires', '2001-01-01'], /^The expiry date is in the past\.$/],
      [[...words, '--public-key', 'ssh-ed25519 AAAA'], /^That is not an ed25519 public key; use the line in /],
      [[...words, '--nonsense'], /^error: unknown option '--nonsense'/],
      [['key', 'create', '--name', ''], /^The name of a key must have 1 to 200 characters\.$/],
      [['key', 'show', 'key_nothing'], /^There is no key key_nothing\.$/],
      [['key', 'rotate', id, '--yes'], /is no longer active; create a new key instead\.$/],
    );
  });
});

describe('sekisho rule', () => {
  test('lists, shows, creates, changes and deletes, each change with its event', async () => {
    const [list, table] = await Promise.all([gives<Rule[]>('rule', 'list'), says('rule', 'list')]);
    expect(list).toEqual(firstRules.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
    expect(table).toMatch(/\nguessed-secret +failedAuthentications +key +3600 +50 +warn /);
    const fields = ['measure=tokens', 'per=account', 'windowSeconds=3600', 'threshold=100000', 'step=suspend'];
    const rule = {
      name: 'trial-hour',
      measure: 'tokens',
      per: 'account',
      windowSeconds: 3600,
      threshold: 100_000,
      step: 'suspend',
      durationSeconds: 3600,
      plans: ['trial', 'default'],
      shadow: true,
      enabled: true,
    };
    const subject = 'trial-hour';
    const made = await leaves({ action: 'rule.create', subject, from: null, to: rule }, () =>
      gives('rule', 'create', subject, ...fields, 'durationSeconds=3600', 'plans=trial,default', 'shadow=on'),
    );
    expect(made).toEqual(rule);
    const change = { from: { shadow: true, plans: rule.plans }, to: { shadow: false, plans: null } };
    await leaves({ action: 'rule.set', subject, ...change }, () =>
      gives('rule', 'set', subject, 'shadow=off', 'plans=none', 'threshold=100000'),
    );
    const last = { ...rule, shadow: false, plans: null };
    expect(await gives('rule', 'show', subject)).toEqual(last);
    await leaves({ action: 'rule.delete', subject, from: last, to: null }, () =>
      says('rule', 'delete', subject, '--yes'),
    );
    expect(await gate.manage((store) => store.listRules())).toHaveLength(firstRules.length);
  });

  test('refuses invalid rules', () => {
    const fields = ['measure=tokens', 'per=key', 'windowSeconds=60', 'threshold=1'];
    return refuses(
      [['rule', 'create', 'busy-hour', ...fields, 'step=warn'], /^The rule "busy-hour" already exists\.$/],
      [['rule', 'create', 'x', ...fields], /^A rule needs step\.$/],
      [['rule', 'create', 'x', ...fields, 'step=slow'], /^The step slow needs durationSeconds\.$/],
      [
        ['rule', 'create', 'x', ...fields, 'step=kick'],
        /^step must be one of warn, slow, back, suspend, review, revoke\.$/,
      ],
      [['rule', 'create', 'x', ...fields, 'step=warn', 'plans=nothing'], /^There is no plan "nothing"\.$/],
      [['rule', 'set', 'busy-hour', 'threshold=0'], /^threshold must be a whole number from 1 to /],
      [['rule', 'set', 'busy-hour', 'limit=3'], /^A rule has no field "limit"; its fields are measure, /],
      [['rule', 'set', 'nothing', 'threshold=3'], /^There is no rule "nothing"; the rules are busy-hour, /],
      [['rule', 'delete', 'nothing'], /^There is no rule "nothing"/],
    );
  });
});

describe('sekisho suspension', () => {
  test('takes a step that holds within a second; an appeal is written, answered, and lifts it', async () => {
    const account = await accountWith('loud');
    const { secret } = await gate.key({ account: 'loud' });
    expect((await tags(secret)).status).toBe(200);
    const before = await events();
    const words = ['--reason', ' うるさい ', '--for', '12h'];
    const taken = await gives('suspension', 'create', 'loud', ...words);
    const [event, ...rest] = await events();
    expect(rest).toEqual(before);
    expect(event).toMatchObject({ actor, action: 'suspension.suspend', subject: account.id, from: null, to: taken });
    expect(taken).toMatchObject({ account: account.id, key: null, step: 'suspend', reason: 'うるさい', rule: null });
    await eventually(async () => expect((await tags(secret)).status).toBe(403));

    const [ofLoud, shown, loud, table] = await Promise.all([
      gives('suspension', 'list', '--account', 'loud'),
      gives('suspension', 'show', taken.id),
      gives('account', 'show', 'loud'),
      says('suspension', 'list'),
    ]);
    expect(ofLoud).toEqual([
      { ...taken, accountName: 'loud', keyName: null, liftedByName: null, answeredByName: null },
    ]);
    expect(shown).toEqual(taken);
    expect(loud).toMatchObject({ inForce: [{ id: taken.id, step: 'suspend' }] });
    expect(table).toContain(taken.id);

    const at = expect.any(String);
    const subject = taken.id;
    const appeal = { from: { appeal: null, appealedAt: null }, to: { appeal: 'mended', appealedAt: at } };
    await leaves({ action: 'suspension.appeal', subject, ...appeal }, () =>
      gives('suspension', 'appeal', subject, '--text', 'mended'),
    );
    const answer = {
      from: { answer: null, answeredAt: null, answeredBy: null, liftedAt: null, liftedBy: null },
      to: { answer: 'thanks', answeredAt: at, answeredBy: actor, liftedAt: at, liftedBy: actor },
    };
    await leaves({ action: 'suspension.answer', subject, ...answer }, () =>
      gives('suspension', 'answer', subject, '--text', 'thanks', '--lift'),
    );
    await eventually(async () => expect((await tags(secret)).status).toBe(200));
    const [open, all] = await Promise.all([
      gives('suspension', 'list', '--account', 'loud'),
      gives('suspension', 'list', '--all', '--account', 'loud'),
    ]);
    expect(open).toEqual([]);
    expect(all).toMatchObject([{ id: subject, appeal: 'mended', answer: 'thanks', liftedBy: actor }]);
    await refuses(
      [['suspension', 'appeal', subject, '--text', 'again'], /^There is already an appeal against sus_\w+\.$/],
      [['suspension', 'answer', subject, '--text', 'x'], /^The appeal against sus_\w+ has already been answered\.$/],
      [['suspension', 'lift', subject], /^sus_\w+ has already been lifted\.$/],
    );
  });

  test('affects one key alone, and is lifted', async () => {
    await accountWith('half');
    const [hit, other] = [await gate.key({ account: 'half' }), await gate.key({ account: 'half' })];
    const taken = await gives('suspension', 'create', hit.id, '--step', 'review', '--reason', 'a look');
    expect((await events())[0]).toMatchObject({ action: 'suspension.review', subject: hit.id, to: { key: hit.id } });
    await eventually(async () => expect((await tags(hit.secret)).status).toBe(403));
    expect((await tags(other.secret)).status).toBe(200);
    const lifting = { from: { liftedAt: null, liftedBy: null }, to: { liftedAt: expect.any(String), liftedBy: actor } };
    await leaves({ action: 'suspension.lift', subject: taken.id, ...lifting }, () =>
      gives('suspension', 'lift', taken.id),
    );
    await eventually(async () => expect((await tags(hit.secret)).status).toBe(200));
  });

  test('refuses invalid suspensions', () => {
    const reason = ['--reason', 'x'];
    return refuses(
      [['suspension', 'create', 'nobody', ...reason], /^There is no account "nobody"\.$/],
      [['suspension', 'create', 'operator', ...reason], /^The operator's own account cannot be suspended/],
      [['suspension', 'create', 'operator', '--reason', ' '], /^The reason must have 1 to 2,000 characters\.$/],
      [['suspension', 'create', 'half', ...reason, '--step', 'revoke'], /^error: .*Use one of warn, slow, back, /],
      [['suspension', 'create', 'half', ...reason, '--for', '0s'], /^That end is in the past\.$/],
      [
        ['suspension', 'create', 'half', ...reason, '--step', 'review', '--for', '1h'],
        /^A review lasts until it is lifted; use suspend for a limited time\.$/,
      ],
      [['suspension', 'lift', 'sus_nothing'], /^There is no suspension sus_nothing\.$/],
    );
  });
});

describe('sekisho usage', () => {
  test('prints the newest rows, or sums over a period', async () => {
    await accountWith('user');
    const { id, secret } = await gate.key({ name: 'bell', account: 'user' });
    // A name made before names were validated so strictly.
    await gate.manage(async ({ signIn: { db } }) => {
      await db.updateTable('keys').set({ name: 'bell\u0007' }).where('id', '=', id).execute();
    });
    const body = { model: 'gemma3:270m', prompt: 'x', stream: false };
    for (let i = 0; i < 3; i++) await (await post(`${gate.url}/api/generate`, secret, body)).text();
    await gate.ledger(3);
    const find = async (...words: readonly string[]): Promise<unknown> =>
      (await gives<Shown[]>('usage', '--by', 'key', ...words)).find(({ key }) => key === id);
    const [newest, row, all, lately, before, table] = await Promise.all([
      gives<Shown[]>('usage', '--limit', '2'),
      says('usage', '--limit', '1'),
      find(),
      find('--since', '2h'),
      find('--since', '9d', '--until', '2d'),
      says('usage', '--by', 'key'),
    ]);
    expect(newest).toHaveLength(2);
    expect(newest).toMatchObject(
      Array.from({ length: 2 }, () => ({ keyId: id, operation: 'generate', source: 'exact' })),
    );
    expect(row).toMatch(/^at +account +key .*\n\S+ +user +bell\? +generate +gemma3:270m +completed /);
    const sum = {
      key: id,
      name: 'bell\u0007',
      requests: 3,
      refused: 0,
      failed: 0,
      completionTokens: 3 * fake.pieces.length,
    };
    expect(all).toMatchObject(sum);
    expect(lately).toEqual(all);
    expect(before).toBeUndefined();
    // A name with a terminal bell does not ring it.
    expect(table).toContain('bell?');
  });

  test('refuses invalid questions', () =>
    refuses(
      [['usage', '--by', 'mood'], /^error: .*Allowed choices are key, account, model, hour, day, month\./],
      [['usage', '--by', 'key', '--since', 'lately'], /^error: .*Use a date such as 2027-01-31/],
      [['nonsense'], /^error: unknown command 'nonsense'/],
    ));
});

describe('sekisho audit', () => {
  test('prints who changed what, from what, to what and when; all, some, or of one subject', async () => {
    const all = await events();
    const iso = (some: readonly AuditEvent[]): unknown[] =>
      some.map((event) => ({
        ...event,
        at: new Date(event.at).toISOString(),
        names: expect.any(Object) as object,
      }));
    const [newest, three, ofOne, table, none] = await Promise.all([
      gives('audit'),
      gives('audit', '--limit', '3'),
      gives('audit', '--subject', 'night'),
      says('audit', '--subject', 'night'),
      says('audit', '--subject', 'nothing'),
    ]);
    expect(newest).toEqual(iso(all.slice(0, 50)));
    expect(three).toEqual(iso(all.slice(0, 3)));
    const night = all.filter(({ subject }) => subject === 'night');
    expect(night.map(({ action }) => action)).toEqual([
      'plan.delete',
      'plan.set',
      'plan.set',
      'plan.set',
      'plan.create',
    ]);
    expect(ofOne).toEqual(iso(night));
    expect(table).toMatch(/^at +actor +action +subject +from +to\n\S+ +cli:\S+ +plan\.delete /);
    expect(none).toBe('There are no changes yet.\n');
  });

  test('holds no secret and no digest, and neither does any list', async () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    const point = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url');
    const wire = Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), point]).toString(
      'base64',
    );
    await gives('key', 'create', '--name', 'signs', '--public-key', `ssh-ed25519 ${wire} me@laptop`);
    const keys = await gate.manage((store) => store.listKeys());
    expect(secrets.length).toBeGreaterThan(8);
    expect(keys.length).toBeGreaterThan(secrets.length);
    const printed = await Promise.all([
      events().then((all) => JSON.stringify(all)),
      says('audit', '--limit', '10000'),
      says('key', 'list', '--json'),
      says('key', 'show', keys[0]!.id),
    ]);
    for (const text of printed) {
      // `sekisho_<id>_<secret and checksum>`: the id may be shown, the rest may not.
      for (const secret of secrets) expect(text).not.toContain(secret.slice(21));
      for (const { digest } of keys) expect(text).not.toContain(digest);
      expect(text).not.toContain(wire);
    }
    expect(printed[0]).toContain(keys.at(-1)!.id);
  });
});

describe('an invalid command', () => {
  test.each([
    [['plan', 'create', 'x', 'foo'], /name=value/],
    [['key', 'create', '--name', 'a', '--limit', 'foo'], /name=value/],
    [['rule', 'set', 'heavy-hour', 'foo'], /name=value/],
    [['rule', 'create', 'newrule', 'name=heavy-hour', 'measure=tokens'], /one name/],
    [['rule', 'set', 'heavy-hour', 'name=other'], /cannot be renamed/],
    [['usage', '--limit', 'abc'], /whole number/],
    [['audit', '--limit', '0'], /whole number/],
    [['usage', '--by', 'key', '--outcome', 'broken'], /Allowed choices/],
    [['plan', 'delete', 'trial'], /^The plan trial will be deleted\. This cannot be undone\. Add --yes/],
  ])('%j is refused in one sentence and changes nothing', async (words, sentence) => {
    const before = await events();
    const { code, out, err } = await run(words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(sentence);
    expect(err).not.toMatch(/\n\s+at /);
    expect(await events()).toEqual(before);
  });

  test('a refused key makes no account', async () => {
    const { code } = await run(['key', 'create', '--name', 'a', '--account', 'never-made', '--scopes', 'cloud']);
    expect(code).toBe(2);
    expect(await gate.manage((store) => store.findAccount('never-made'))).toBeUndefined();
  });
});
