// The rules that a store must never break, each with the race that would break it. A race is prepared once, then run many
// times at once by several processes, then checked. It runs in processes of its own (racer.ts), so it uses no test runner.
import assert from 'node:assert/strict';
import type { Account, Role } from '../../src/domain/account.ts';
import { digestOf, type StoredKey } from '../../src/domain/api-key.ts';
import type { Application } from '../../src/domain/application.ts';
import { type AuditEvent, type Author, auditEvent } from '../../src/domain/audit.ts';
import {
  type AccountId,
  type ApplicationId,
  type KeyId,
  newApplicationId,
  newInviteId,
  newPersonId,
  newRequestId,
  type PersonId,
} from '../../src/domain/id.ts';
import { openTerms } from '../../src/domain/plan.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { createAccount, setPlan, setRole } from '../../src/management/accounts/accounts.ts';
import { claimKey, decide } from '../../src/management/applications/applications.ts';
import { changeKey, createKeyFor, rotateKey } from '../../src/management/keys/keys.ts';
import { createModelName } from '../../src/management/model-names/model-names.ts';
import { closeAccount } from '../../src/management/people/people.ts';
import { createPlan, deletePlan } from '../../src/management/plans/plans.ts';
import { createRule } from '../../src/management/rules/rules.ts';
import type { ServerRules } from '../../src/management/servers/server-rules.ts';
import { changeServer, createServer } from '../../src/management/servers/servers.ts';
import { answer, appeal, lift, suspend } from '../../src/management/suspensions/suspensions.ts';
import type { Submission } from '../../src/store/ports/admission.ts';
import type { Store } from '../../src/store/ports/store.ts';

export interface Race {
  /** The rule, after "never". */
  readonly never: string;
  /** Returns the argument of all racers; it crosses processes as JSON. */
  prepare(store: Store): Promise<unknown>;
  /** One try, the `i`-th of all. A refusal, false or undefined means no success. */
  act(store: Store, given: never, i: number): Promise<unknown>;
  /** `done`: the number of successful tries. */
  check(store: Store, given: never, done: number): Promise<void>;
}

interface Typed<Given> {
  readonly never: string;
  prepare(store: Store): Promise<Given>;
  act(store: Store, given: Given, i: number): Promise<unknown>;
  check(store: Store, given: NoInfer<Given>, done: number): Promise<void> | void;
}
const race = <Given>(typed: Typed<Given>): Race => typed as unknown as Race;

/** Exactly this number of all tries succeed. */
const exactly = (count: number) => (_store: Store, _given: unknown, done: number) => assert.equal(done, count);

const serverRules: ServerRules = { kinds: [], fixed: [], isOwn: () => false, hasFiles: false, keyFile: '' };

const minute = 60_000;
let count = 0;
const name = (): string => `race ${process.pid} ${++count}`;
const by = (): Author => ({ actor: 'racer', at: Date.now() });
const event = (): AuditEvent => auditEvent(by(), 'test', 'x', null, null);
const accountOf = (store: Store, role: Role = 'member', plan?: string): Promise<Account> =>
  createAccount(store, name(), plan, by(), role);
const keyOf = async (store: Store, account: AccountId): Promise<StoredKey> =>
  (await createKeyFor(store, account, { name: 'x' }, by())).key;

async function personOf(store: Store, accountId: AccountId | null): Promise<PersonId> {
  const id = newPersonId();
  const now = new Date().toISOString();
  const person = { id, name: 'n', email: `${id.toLowerCase()}@example.org`, emailVerified: false, accountId };
  await store.signIn.db
    .insertInto('people')
    .values({ ...person, createdAt: now, updatedAt: now })
    .execute();
  return id;
}

/** Exactly two operators who can sign in. */
async function twoOperators(store: Store): Promise<AccountId[]> {
  const found = (await store.listAccounts()).filter(({ role, closedAt }) => role === 'operator' && closedAt === null);
  const ids: AccountId[] = [];
  for (const { id } of found) if (await store.findPersonOf(id)) ids.push(id);
  while (ids.length < 2) {
    const { id } = await accountOf(store, 'operator');
    await personOf(store, id);
    ids.push(id);
  }
  return ids;
}

function submission(personId: PersonId | null = null, more: Partial<Submission> = {}): Submission {
  const id = newApplicationId(Date.now());
  const application: Application = {
    id,
    name: 'n',
    email: `${id.toLowerCase()}@example.org`,
    confirmedAt: null,
    purpose: 'p',
    models: [],
    wantedPlan: null,
    personId,
    language: null,
    status: 'pending',
    claimDigest: digestOf('claim'),
    createdAt: Date.now(),
    decidedAt: null,
    decidedBy: null,
    decision: null,
    accountId: null,
    claimedAt: null,
    held: null,
  };
  return {
    application,
    mailbox: application.email,
    source: '',
    passwordHash: null,
    confirmBy: null,
    person: undefined,
    invite: undefined,
    isNamed: false,
    link: undefined,
    bounds: { waiting: 1_000, unconfirmed: 1_000, fromSource: 1_000, fromSourceForMailbox: 1_000 },
    events: [event()],
    ...more,
  };
}

const submitted = async (store: Store, asked: Submission): Promise<true | undefined> =>
  (await store.submitApplication(asked)) === undefined ? true : undefined;

async function applied(store: Store, personId: PersonId | null = null): Promise<ApplicationId> {
  const asked = submission(personId);
  assert.equal(await store.submitApplication(asked), undefined);
  return asked.application.id;
}

const linked = async (store: Store, purpose: 'setup' | 'password' | 'confirm', subject: string, beside?: number) => {
  const digest = digestOf(`${name()} ${Math.random()}`);
  const at = Date.now();
  const stored = await store.insertLink(
    { digest, purpose, subject, createdAt: at, expiresAt: at + 60 * minute },
    event(),
    beside,
  );
  return stored ? digest : undefined;
};

const plansKeys = (never: string, most: number, expiresIn: number | null) =>
  race({
    never,
    prepare: async (store) => {
      const plan = name().replaceAll(' ', '-');
      await createPlan(store, plan, { maxKeys: most }, undefined, by());
      return (await accountOf(store, 'member', plan)).id;
    },
    act: (store, account, i) =>
      createKeyFor(
        store,
        account,
        expiresIn === null ? { name: `k${i}` } : { name: `k${i}`, expiresAt: Date.now() + expiresIn },
        by(),
      ),
    check: async (store, account, done) => {
      // Keys for an hour have a limit of their own, five.
      const which = expiresIn === null ? 'lasting' : 'passing';
      const expected = expiresIn === null ? most : 5;
      assert.deepEqual([done, await store.countKeys(account, Date.now(), which)], [expected, expected]);
    },
  });

const keyRaces: readonly Race[] = [
  plansKeys('more keys than a plan allows', 3, null),
  plansKeys('more keys for an hour than an account may have', 3, 30 * minute),
  race({
    never: 'two successors of one key',
    prepare: async (store) => (await keyOf(store, (await accountOf(store)).id)).id,
    act: (store, key) => rotateKey(store, key, minute, by()),
    check: async (store, key, done) => {
      const { accountId } = (await store.findKey(key))!;
      assert.deepEqual([done, (await store.listKeys(accountId)).length], [1, 2]);
    },
  }),
  race({
    never: 'a revoked key that works again, or two revocations of it',
    prepare: async (store) => (await keyOf(store, (await accountOf(store)).id)).id,
    act: (store, key, i) =>
      i % 2 === 0
        ? store.revokeKey(key, Date.now(), auditEvent(by(), 'key.revoke', key, null, null))
        : changeKey(store, key, { name: `n${i}` }, by()),
    check: async (store, key) => {
      const events = await store.listAudit({ subject: key, limit: 100 });
      const revoked = events.filter(({ action }) => action === 'key.revoke');
      assert.deepEqual([(await store.findKey(key))?.status, revoked.length], ['revoked', 1]);
    },
  }),
  race({
    never: 'a working key of a closed account',
    prepare: async (store) => (await accountOf(store)).id,
    act: (store, account, i) =>
      i === 3 ? closeAccount(store, account, by()) : createKeyFor(store, account, { name: 'x' }, by()),
    check: async (store, account) => assert.equal(await store.countKeys(account, Date.now()), 0),
  }),
  race({
    never: 'a key that may more than the role of its account',
    prepare: async (store) => {
      await twoOperators(store);
      return (await accountOf(store, 'operator')).id;
    },
    act: (store, account, i) =>
      i === 3
        ? setRole(store, account, 'member', by())
        : createKeyFor(store, account, { name: 'x', scopes: ['management'] }, by()),
    check: async (store, account) => {
      const keys = (await store.listKeys(account)).filter(({ status }) => status === 'active');
      assert.deepEqual(
        keys.filter(({ scopes }) => scopes.some((scope) => scope.startsWith('management'))),
        [],
      );
    },
  }),
];

const accountRaces: readonly Race[] = [
  race({
    never: 'no operator after roles are taken away',
    prepare: twoOperators,
    act: (store, ids, i) => setRole(store, ids[i % 2]!, 'member', by()),
    check: async (store, ids) => {
      const roles = await Promise.all(ids.map(async (id) => (await store.findAccount(id))?.role));
      assert.equal(roles.filter((role) => role === 'operator').length, 1);
    },
  }),
  race({
    never: 'no operator after accounts are closed',
    prepare: twoOperators,
    act: async (store, ids, i) => {
      await closeAccount(store, ids[i % 2]!, by());
      return true;
    },
    check: exactly(1),
  }),
  race({
    never: 'two accounts of one name, or of names that look alike',
    prepare: async () => Promise.resolve(name()),
    act: (store, base, i) => createAccount(store, i % 2 === 0 ? `${base} o` : `${base} 0`, undefined, by()),
    check: exactly(1),
  }),
  race({
    never: 'two people who sign in to one account',
    prepare: async (store) => {
      const { id } = await accountOf(store);
      const links = [await linked(store, 'setup', id, 2), await linked(store, 'setup', id, 2)];
      return links.map((digest) => digest!);
    },
    act: async (store, links, i) => {
      const id = newPersonId();
      const person = { id, name: 'n', email: `${id.toLowerCase()}@example.org`, emailVerified: false };
      const against = await store.setUpPerson({
        digest: links[i % 2]!,
        at: Date.now(),
        person: { ...person, passwordHash: null, language: null },
        event,
      });
      return against === undefined;
    },
    check: exactly(1),
  }),
  race({
    never: 'an account whose plan is missing',
    prepare: async (store) => {
      const plan = name().replaceAll(' ', '-');
      await createPlan(store, plan, {}, undefined, by());
      return { plan, account: (await accountOf(store)).id };
    },
    act: (store, { plan, account }, i) =>
      i % 2 === 0 ? deletePlan(store, plan, by()) : setPlan(store, account, plan, by()),
    check: async (store, { plan, account }) => {
      const taken = (await store.findAccount(account))?.plan === plan;
      assert.equal((await store.findPlan(plan)) !== undefined, taken);
    },
  }),
  race({
    never: 'an edit of a plan over a newer version',
    prepare: async (store) => {
      const plan = name().replaceAll(' ', '-');
      await createPlan(store, plan, {}, undefined, by());
      return plan;
    },
    act: (store, plan, i) => store.putPlan({ ...openTerms, maxKeys: i, name: plan, version: 2 }, event()),
    check: async (store, plan, done) => assert.deepEqual([done, (await store.findPlan(plan))?.version], [1, 2]),
  }),
  race({
    never: 'a lost edit of the registration',
    prepare: async (store) => (await store.readRegistration()).maxPending,
    act: (store) =>
      store.atomically(async (within) => {
        const before = await within.readRegistration();
        await within.writeRegistration({ ...before, maxPending: before.maxPending + 1 }, event());
        return true;
      }),
    check: async (store, before, done) => assert.equal((await store.readRegistration()).maxPending, before + done),
  }),
];

const admissionRaces: readonly Race[] = [
  race({
    never: 'an invitation used twice',
    prepare: async (store) => {
      const digest = digestOf(name());
      const at = Date.now();
      const invite = { id: newInviteId(at), digest, email: null, plan: null, createdAt: at, expiresAt: at + minute };
      await store.insertInvite({ ...invite, usedAt: null }, event());
      return digest;
    },
    act: (store, invite) => submitted(store, submission(null, { invite })),
    check: exactly(1),
  }),
  race({
    never: 'more applications waiting than there may be',
    prepare: async (store) => (await store.countPending()) + 3,
    act: (store, waiting) => {
      const asked = submission();
      return submitted(store, { ...asked, bounds: { ...asked.bounds, waiting } });
    },
    check: async (store, most) => assert.equal(await store.countPending(), most),
  }),
  race({
    never: 'more unconfirmed applications for one mailbox from one network than there may be',
    prepare: () => Promise.resolve(name()),
    act: (store, mailbox) => {
      const asked = submission(null, { mailbox, source: '192.0.2.0/24', confirmBy: Date.now() + minute });
      return submitted(store, { ...asked, bounds: { ...asked.bounds, fromSourceForMailbox: 2 } });
    },
    check: exactly(2),
  }),
  race({
    never: 'two applications of one person that wait',
    prepare: (store) => personOf(store, null),
    act: (store, person) => submitted(store, submission(person)),
    check: exactly(1),
  }),
  race({
    never: 'two people whose address is the same confirmed one',
    prepare: async (store) => {
      const email = `${name().replaceAll(' ', '-')}@example.org`;
      const links: string[] = [];
      for (let i = 0; i < 2; i++) {
        const asked = submission(null, { confirmBy: Date.now() + minute, passwordHash: 'hash' });
        await store.submitApplication({ ...asked, application: { ...asked.application, email }, mailbox: email });
        links.push((await linked(store, 'confirm', asked.application.id))!);
      }
      return { email, links };
    },
    act: async (store, { links }, i) => {
      const asked = { digest: links[i % 2]!, at: Date.now(), personId: newPersonId(), waiting: null, event };
      return typeof (await store.confirmApplication(asked)) === 'object';
    },
    check: exactly(1),
  }),
  race({
    never: 'a decision made twice',
    prepare: (store) => applied(store),
    act: (store, id, i) => decide(store, id, i % 2 === 0 ? 'approved' : 'rejected', { decision: null }, by()),
    check: async (store, id, done) => {
      const events = await store.listAudit({ subject: id, limit: 100 });
      const decisions = events.filter(({ action }) => /\.(approved|rejected)$/.test(action));
      assert.deepEqual([done, decisions.length], [1, 1]);
    },
  }),
  race({
    never: 'two accounts for one person',
    prepare: async (store) => {
      const person = await personOf(store, null);
      const first = await applied(store, person);
      await store.signIn.db.updateTable('applications').set({ person_id: null }).where('id', '=', first).execute();
      const second = await applied(store, person);
      await store.signIn.db.updateTable('applications').set({ person_id: person }).where('id', '=', first).execute();
      return [first, second];
    },
    act: (store, ids, i) => decide(store, ids[i % 2]!, 'approved', { decision: null }, by()),
    check: exactly(1),
  }),
  race({
    never: 'two keys for one claim',
    prepare: async (store) => {
      const id = await applied(store);
      await decide(store, id, 'approved', { decision: null }, by());
      return id;
    },
    act: async (store, id) => (await claimKey(store, id, 'claim', by())).made !== undefined,
    check: async (store, id, done) => {
      const { accountId } = (await store.findApplication(id))!;
      assert.deepEqual([done, (await store.listKeys(accountId!)).length], [1, 1]);
    },
  }),
];

const signInRaces: readonly Race[] = [
  race({
    never: 'a one-time link used twice',
    prepare: async (store) => (await linked(store, 'password', name()))!,
    act: (store, digest) => store.useLink(digest, 'password', Date.now()),
    check: exactly(1),
  }),
  race({
    never: 'more links to one password than there may be',
    prepare: () => Promise.resolve(name()),
    act: (store, subject) => linked(store, 'password', subject, 3),
    check: exactly(3),
  }),
  race({
    never: 'a code or a challenge used twice',
    prepare: () => Promise.resolve(name()),
    act: (store, id) => store.claimOnce(id, Date.now() + minute),
    check: exactly(1),
  }),
  race({
    never: 'a password changed twice from the same one',
    prepare: async (store) => {
      const personId = await personOf(store, null);
      await store.renewPassword({ personId, hash: 'old', keepPasskeys: false });
      return personId;
    },
    act: (store, personId, i) => store.renewPassword({ personId, hash: `new ${i}`, from: 'old', keepPasskeys: true }),
    check: exactly(1),
  }),
  race({
    never: 'one identity at a provider that opens two people',
    prepare: () => Promise.resolve(name()),
    act: (store, subject) => {
      const id = newPersonId();
      const person = { id, name: 'n', email: `${id.toLowerCase()}@example.org`, emailVerified: true, language: null };
      return store.insertVouched(person, { issuer: 'https://issuer.example', subject }, event());
    },
    check: exactly(1),
  }),
  race({
    never: 'more passkeys than a person may have',
    prepare: async (store) => {
      const personId = await personOf(store, null);
      const session = `session of ${personId}`;
      const at = new Date().toISOString();
      const expiresAt = new Date(Date.now() + minute).toISOString();
      await store.signIn.db
        .insertInto('sessions')
        .values({ id: session, token: session, userId: personId, expiresAt, createdAt: at, updatedAt: at })
        .execute();
      return { personId, session };
    },
    act: async (store, { personId, session }) => {
      const id = `${name()} passkey`;
      const facts = { counter: 0, deviceType: 'singleDevice', backedUp: false, transports: [], aaguid: '' };
      const passkey = {
        id,
        personId,
        name: 'n',
        credentialId: id,
        publicKey: new Uint8Array(1),
        createdAt: 1,
        lastUsedAt: null,
        ...facts,
      };
      return (await store.insertPasskey(passkey, session, 3)) === 'added';
    },
    check: exactly(3),
  }),
];

const otherRaces: readonly Race[] = [
  race({
    never: 'a creation made twice under one name',
    prepare: () => Promise.resolve(name()),
    act: async (store, asked) => {
      const claim = { keyId: 'key_x', name: asked, digest: 'd', at: Date.now(), made: null };
      return (await store.claimRepeatable(claim)) === undefined;
    },
    check: exactly(1),
  }),
  race({
    never: 'a certificate ordered by two at once',
    prepare: () => Promise.resolve(name()),
    act: async (store, lease) => (await store.takeLease(lease, name(), minute)) !== undefined,
    check: exactly(1),
  }),
  race({
    never: 'two keys for one account at an authority',
    prepare: () => Promise.resolve(`https://acme.example/${name()}`),
    act: async (store, directory) => {
      const fresh = name();
      return (await store.acmeAccount(directory, fresh)) === fresh;
    },
    check: exactly(1),
  }),
  race({
    never: 'a mail claimed by two at once',
    prepare: async (store) => {
      const id = name();
      await store.insertConsequences([{ id, kind: 'email', about: { email: 'expiring', key: 'key_x' as KeyId } }], 0);
      return id;
    },
    act: (store, id) => store.claimConsequence(id, { owner: name(), at: Date.now(), until: Date.now() + minute }),
    check: exactly(1),
  }),
  race({
    never: 'an exchange counted twice',
    prepare: async () => {
      const account = `acc_${name()}` as AccountId;
      const row = {
        keyId: 'key_x' as KeyId,
        accountId: account,
        operation: 'chat',
        model: 'm',
        upstream: 'http://x',
        outcome: 'completed',
        status: 200,
        code: null,
        streamed: false,
        promptTokens: 1,
        completionTokens: 1,
        source: 'exact',
        bytesIn: 1,
        bytesOut: 1,
        firstByteMs: 1,
        durationMs: 1,
        queuedMs: 0,
        address: '::1',
        repeats: 1,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        reasoningTokens: 0,
        askedModel: null,
        fallbackFor: null,
      } as const;
      const rows = Array.from({ length: 50 }, (_, i): UsageRecord => ({ ...row, id: newRequestId(i), at: i }));
      return Promise.resolve({ account, rows });
    },
    act: (store, { rows }) => store.appendUsage(rows),
    check: async (store, { account }) => {
      const [sum] = await store.reportUsage('account', 0, minute, { accountId: account });
      assert.deepEqual([sum?.requests, sum?.promptTokens], [50, 50]);
    },
  }),
  ...(['lift', 'appeal', 'answer'] as const).map((what) =>
    race({
      never: `two of one kind against a suspension: ${what}`,
      prepare: async (store) => {
        const ask = { whom: (await accountOf(store)).id, step: 'review', reason: 'r', endsAt: null } as const;
        const { id } = await suspend(store, ask, by());
        if (what === 'answer') await appeal(store, id, 'please', by());
        return id;
      },
      act: (store, id, i) => {
        if (what === 'lift') return lift(store, id, by());
        return what === 'appeal' ? appeal(store, id, `${i}`, by()) : answer(store, id, `${i}`, false, by());
      },
      check: exactly(1),
    }),
  ),
  race({
    never: 'a rule made twice',
    prepare: () => Promise.resolve(name().replaceAll(' ', '-')),
    act: (store, rule) => {
      const fields = { measure: 'tokens', per: 'key', windowSeconds: 60, threshold: 1, step: 'warn' };
      return createRule(store, rule, fields, by());
    },
    check: exactly(1),
  }),
  ...(['name', 'address'] as const).map((same) =>
    race({
      never: `two model servers with the same ${same}`,
      prepare: () => Promise.resolve(name().replaceAll(' ', '-')),
      act: (store, taken, i) => {
        const fields = { name: `${taken}-${i}`, address: `http://${taken}-${i}` };
        const shared = same === 'name' ? { name: taken } : { address: `http://${taken}` };
        return createServer(store, { ...fields, ...shared }, serverRules, by());
      },
      check: exactly(1),
    }),
  ),
  race({
    never: 'a change of a model server that follows no version',
    prepare: async (store) => {
      const taken = name().replaceAll(' ', '-');
      const fields = { name: taken, address: `http://${taken}`, weight: 1 };
      return (await createServer(store, fields, serverRules, by())).id;
    },
    act: (store, id, i) => changeServer(store, id, { weight: i + 2 }, serverRules, by()),
    check: async (store, id, done) => {
      assert.equal((await store.findServer(id))?.version, done + 1);
      const events = await store.listAudit({ subject: id, limit: 1_000 });
      assert.equal(events.length, done + 1);
    },
  }),
  race({
    never: 'an alias that leads to an alias',
    prepare: () => Promise.resolve(name().replaceAll(' ', '-')),
    act: (store, one, i) => {
      const two = `${one}-2`;
      return createModelName(store, i % 2 === 0 ? { name: one, target: two } : { name: two, target: one }, by());
    },
    check: exactly(1),
  }),
];

export const races: readonly Race[] = [...keyRaces, ...accountRaces, ...admissionRaces, ...signInRaces, ...otherRaces];
