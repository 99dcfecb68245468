// What every store guarantees for a decision: what it reads stays valid until its writes are done, so each of many
// concurrent decisions sees the results of the earlier ones; and a failed decision leaves nothing.
import { describe, expect, test } from 'vitest';
import type { Account, Role } from '../../src/domain/account.ts';
import { digestOf } from '../../src/domain/api-key.ts';
import type { Application } from '../../src/domain/application.ts';
import { auditEvent } from '../../src/domain/audit.ts';
import { type AccountId, newApplicationId, type PersonId } from '../../src/domain/id.ts';
import { unlimited } from '../../src/domain/plan.ts';
import { changeAccount, createAccount, openAccount, setPlan, setRole } from '../../src/management/accounts/accounts.ts';
import { claimKey, decide, setRegistration } from '../../src/management/applications/applications.ts';
import { apply } from '../../src/management/applications/apply.ts';
import { changeKey, createKey, createKeyFor, rotateKey } from '../../src/management/keys/keys.ts';
import { openSmtpMailer } from '../../src/management/mail/smtp.ts';
import { linkCodes } from '../../src/management/people/link-codes.ts';
import { draftLink } from '../../src/management/people/one-time-links.ts';
import { closeAccount, confirmAddress, setUp } from '../../src/management/people/people.ts';
import { changePlan, createPlan, deletePlan } from '../../src/management/plans/plans.ts';
import { createRule } from '../../src/management/rules/rules.ts';
import { answer, appeal, lift, suspend } from '../../src/management/suspensions/suspensions.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { author } from '../gate.ts';
import { type Database, storesOf } from './store.ts';

const minute = 60_000;
const event = () => auditEvent(author(), 'test', 'x', null, null);

/** Runs them all at once; returns how many succeeded. */
async function race<T>(work: readonly (() => Promise<T>)[]): Promise<number> {
  const ends = await Promise.allSettled(work.map((each) => each()));
  for (const end of ends) if (end.status === 'rejected') expect(end.reason).toHaveProperty('kind');
  return ends.filter(({ status }) => status === 'fulfilled').length;
}

const times = <T>(count: number, work: (i: number) => Promise<T>): (() => Promise<T>)[] =>
  Array.from({ length: count }, (_, i) => () => work(i));

export function decisionsContract(kind: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  let count = 0;
  const personOf = async (store: Store, accountId: AccountId | null): Promise<PersonId> => {
    const id = `usr_d${++count}` as PersonId;
    const now = new Date().toISOString();
    const stamps = { createdAt: now, updatedAt: now };
    const person = { id, name: 'n', email: `${id}@example.org`, emailVerified: 0, accountId, ...stamps };
    await store.signIn.db.insertInto('people').values(person).execute();
    const expiresAt = new Date(Date.now() + minute).toISOString();
    const session = { id: `session of ${id}`, token: id, userId: id, expiresAt, ...stamps };
    await store.signIn.db.insertInto('sessions').values(session).execute();
    return id;
  };
  const accountOf = (store: Store, role: Role = 'member', plan?: string): Promise<Account> =>
    createAccount(store, `account ${++count}`, plan, author(), role);
  const waiting = async (store: Store, personId: PersonId | null): Promise<Application> => {
    const application: Application = {
      id: newApplicationId(Date.now()),
      name: 'n',
      email: `a${++count}@example.org`,
      confirmedAt: null,
      purpose: 'p',
      models: [],
      wantedPlan: null,
      personId,
      language: null,
      status: 'pending',
      claimDigest: digestOf('claim'),
      createdAt: 1,
      decidedAt: null,
      decidedBy: null,
      decision: null,
      accountId: null,
      claimedAt: null,
      held: null,
    };
    await store.submitApplication({
      application,
      mailbox: application.email,
      source: '',
      passwordHash: null,
      confirmBy: null,
      person: undefined,
      invite: undefined,
      isNamed: false,
      link: undefined,
      bounds: { waiting: 1000, unconfirmed: 0, fromSource: 0, fromSourceForMailbox: 0 },
      events: [event()],
    });
    return application;
  };
  const working = async (store: Store, { id }: Account): Promise<number> => store.countKeys(id, Date.now());

  describe(`a decision on ${kind}`, () => {
    test(
      'sees the results of earlier ones, and overwrites none',
      withStores(async (store, other) => {
        const once = () =>
          store.atomically(async (within) => {
            const before = await within.readRegistration();
            await within.writeRegistration({ ...before, maxPending: before.maxPending + 1 }, event());
          });
        await Promise.all(Array.from({ length: 50 }, once));
        expect((await other.readRegistration()).maxPending).toBe(250);
      }),
    );

    test(
      'leaves nothing when it fails, at any depth, and others continue',
      withStores(async (store, other) => {
        const failing = store.atomically(async (within) => {
          await within.ensureAccount('gone', 'default', event());
          await within.atomically((deeper) => createKey(deeper, { name: 'gone', account: 'gone' }, author()));
          throw new Error('no');
        });
        const going = createAccount(store, 'there', undefined, author());
        await expect(failing).rejects.toThrow('no');
        await going;
        expect((await other.listAccounts()).map(({ name }) => name)).toEqual(['there']);
        expect(await other.listKeys()).toEqual([]);
        expect(await other.listAudit({ limit: 10 })).toHaveLength(1);
      }),
    );

    test(
      'that would wait for itself fails instead of blocking',
      withStores(async (store) => {
        const outside = store.atomically(() => store.readRegistration());
        await expect(outside).rejects.toThrow('the store that it was given');
        expect((await store.readRegistration()).mode).toBe('closed');
      }),
    );

    test(
      'is undone when one of its steps failed with a reason, even if the work continues',
      withStores(async (store, other) => {
        const first = await waiting(store, null);
        const full = store.atomically(async (within) => {
          await within.ensureAccount('gone', 'default', event());
          const application = { ...first, id: newApplicationId(Date.now()) };
          const bounds = { waiting: 0, unconfirmed: 0, fromSource: 0, fromSourceForMailbox: 0 };
          const none = { passwordHash: null, confirmBy: null, person: undefined, invite: undefined, link: undefined };
          const asked = { application, mailbox: '', source: '', isNamed: false, bounds, events: [], ...none };
          expect(await within.submitApplication(asked)).toBe('full');
        });
        await expect(full).rejects.toThrow('failed, but the decision continued');
        expect(await other.listAccounts()).toEqual([]);
        expect(await other.countPending()).toBe(1);
      }),
    );

    test(
      'by a rule about a new person is stored with their application, or neither is stored',
      withStores(async (store) => {
        const applying = (): Promise<unknown> =>
          apply(
            {
              store,
              mailer: openSmtpMailer({
                server: () => ({ smtpUrl: '', from: '', gate: 'Gate' }),
                onError: () => undefined,
              }),
              portal: new URL('http://x'),
              codes: linkCodes('s'),
              wake: () => undefined,
            } as never,
            { name: 'n', email: `n${++count}@example.org`, purpose: 'p', password: 'quite a good one' },
            undefined,
            '192.0.2.1',
            author(),
          );
        const open = { ...(await store.readRegistration()), mode: 'open', plan: 'not there' } as const;
        await store.writeRegistration(open, event());
        await expect(applying()).rejects.toThrow('not there');
        expect(await store.listApplications({ limit: 9 })).toEqual([]);
        expect(await store.signIn.db.selectFrom('people').select('id').execute()).toEqual([]);
        // The link of an email lets the applicant try again.
        const { id } = await waiting(store, null);
        const { stored, url } = draftLink(new URL('http://x'), 'confirm', id, author());
        await store.insertLink(stored, event());
        const code = url.slice(url.indexOf('#') + 1);
        await expect(confirmAddress({ store }, code, author())).rejects.toThrow('not there');
        await store.writeRegistration({ ...open, plan: 'default' }, event());
        expect(await confirmAddress({ store }, code, author())).toMatchObject({ status: 'approved' });
        await applying();
        expect(await store.listAccounts()).toHaveLength(2);
      }),
    );

    test(
      'about keys stays within the plan, however many are made at once',
      withStores(async (store) => {
        await createPlan(store, 'one', { maxKeys: 1 }, undefined, author());
        const account = await accountOf(store, 'member', 'one');
        const made = await race(times(10, (i) => createKeyFor(store, account.id, { name: `k${i}` }, author())));
        expect([made, await working(store, account)]).toEqual([1, 1]);
      }),
    );

    test(
      'about short-lived keys stays within the plan when their expiry is moved',
      withStores(async (store) => {
        await createPlan(store, 'one', { maxKeys: 1 }, undefined, author());
        const account = await accountOf(store, 'member', 'one');
        const ends = times(9, () =>
          createKeyFor(store, account.id, { name: 'x', expiresAt: Date.now() + 30 * minute }, author()),
        );
        expect(await race(ends)).toBe(5);
        const keys = await store.listKeys(account.id);
        const later = { expiresAt: Date.now() + 48 * 60 * minute };
        expect(
          await race(
            keys.map(
              ({ id }) =>
                () =>
                  changeKey(store, id, later, author()),
            ),
          ),
        ).toBe(1);
        expect(await working(store, account)).toBe(1);
        // A lasting key cannot make room by becoming a short-lived one when those are all in use.
        await race(
          times(9, () => createKeyFor(store, account.id, { name: 'x', expiresAt: Date.now() + minute }, author())),
        );
        const lasting = (await store.listKeys(account.id)).find(({ expiresAt }) => expiresAt === later.expiresAt);
        const soon = changeKey(store, lasting!.id, { expiresAt: lasting!.createdAt + minute }, author());
        await expect(soon).rejects.toThrow('one-hour keys');
      }),
    );

    test(
      'about signing in to an account leaves it to one person, in any order',
      withStores(async (store) => {
        const at = Date.now();
        const tools = { store } as unknown as Parameters<typeof setUp>[0];
        const byLink = async (accountId: AccountId): Promise<() => Promise<unknown>> => {
          const { stored, url } = draftLink(new URL('http://x'), 'setup', accountId, author());
          await store.insertLink(stored, event());
          const asked = { code: url.slice(url.indexOf('#') + 1), name: 'n', password: 'quite a good one' };
          return () => setUp(tools, { ...asked, email: `s${++count}@example.org` }, author());
        };
        // Applied by email, and approved before the email was opened.
        const byEmail = async (): Promise<[AccountId, () => Promise<unknown>]> => {
          const application = await waiting(store, null);
          const { stored, url } = draftLink(new URL('http://x'), 'confirm', application.id, author());
          await store.insertLink(stored, event());
          await store.signIn.db
            .updateTable('applications')
            .set({ confirm_by: at + minute, password: 'hash' })
            .where('id', '=', application.id)
            .execute();
          const { accountId } = await decide(store, application.id, 'approved', { decision: null }, author());
          return [accountId!, () => confirmAddress(tools, url.slice(url.indexOf('#') + 1), author())];
        };
        for (const order of [[0, 1], [1, 0], 'at once'] as const) {
          const [accountId, email] = await byEmail();
          const link = await byLink(accountId);
          const both = [email, link];
          if (order === 'at once') expect(await race(both)).toBe(1);
          else {
            await both[order[0]]!();
            await expect(both[order[1]]!()).rejects.toThrow(/has a person who signs in/);
          }
          const { db } = store.signIn;
          const there = await db.selectFrom('people').select('id').where('accountId', '=', accountId).execute();
          expect(there).toHaveLength(1);
        }
        // The database enforces it too.
        const { id } = await accountOf(store);
        await personOf(store, id);
        await expect(personOf(store, id)).rejects.toThrow();
      }),
    );

    test(
      'about a key’s successor is made once',
      withStores(async (store) => {
        const account = await accountOf(store);
        const { key } = await createKeyFor(store, account.id, { name: 'x' }, author());
        expect(await race(times(5, () => rotateKey(store, key.id, minute, author())))).toBe(1);
        expect(await store.listKeys(account.id)).toHaveLength(2);
      }),
    );

    test(
      'never leaves a gate without an operator',
      withStores(async (store) => {
        const operators = [await accountOf(store, 'operator'), await accountOf(store, 'operator')];
        for (const { id } of operators) await personOf(store, id);
        expect(
          await race(
            operators.map(
              ({ id }) =>
                () =>
                  setRole(store, id, 'member', author()),
            ),
          ),
        ).toBe(1);
        expect(await store.countAccounts('operator')).toBe(1);
        const more = [await accountOf(store, 'operator'), await accountOf(store, 'operator')];
        for (const { id } of more) await personOf(store, id);
        const all = (await store.listAccounts()).filter(({ role }) => role === 'operator');
        expect(
          await race(
            all.map(
              ({ id }) =>
                () =>
                  closeAccount(store, id, author()),
            ),
          ),
        ).toBe(2);
        expect(await store.countAccounts('operator')).toBe(1);
      }),
    );

    test(
      'about an account and its name is made once',
      withStores(async (store) => {
        expect(await race(times(5, () => createAccount(store, 'same', undefined, author(), 'operator')))).toBe(1);
        const [made] = await store.listAccounts();
        expect(made).toMatchObject({ role: 'operator', plan: unlimited });
        expect(await race(times(3, () => closeAccount(store, made!.id, author())))).toBe(1);
        await expect(createKeyFor(store, made!.id, { name: 'x' }, author())).rejects.toThrow('closed');
        await expect(setPlan(store, made!.id, 'trial', author())).rejects.toThrow('closed');
        expect(await store.listKeys()).toEqual([]);
      }),
    );

    test(
      'about an application makes one account, and a person gets one account for several applications',
      withStores(async (store) => {
        const application = await waiting(store, null);
        const say = (status: 'approved' | 'rejected', id: string = application.id) =>
          decide(store, id, status, { decision: null }, author());
        expect(await race([() => say('approved'), () => say('rejected'), () => say('approved')])).toBe(1);
        const { status } = (await store.findApplication(application.id))!;
        const claims = await Promise.all(
          times(5, () => claimKey(store, application.id, 'claim', author())).map((f) => f()),
        );
        const approved = status === 'approved' ? 1 : 0;
        expect(claims.filter(({ made }) => made !== undefined)).toHaveLength(approved);
        expect(await store.listAccounts()).toHaveLength(approved);
        const another = await waiting(store, null);
        expect(await race(times(3, () => say('approved', another.id)))).toBe(1);
        const later = await Promise.all(times(5, () => claimKey(store, another.id, 'claim', author())).map((f) => f()));
        expect(later.filter(({ made }) => made !== undefined)).toHaveLength(1);
        const person = await personOf(store, null);
        const [first, second] = [await waiting(store, person), await waiting(store, person)];
        expect(await race([() => say('approved', first.id), () => say('approved', second.id)])).toBe(1);
        expect(await store.listAccounts()).toHaveLength(approved + 2);
      }),
    );

    test(
      'about a suspension is made once: lifting it, appealing against it, answering the appeal',
      withStores(async (store) => {
        const { id: whom } = await accountOf(store);
        const ask = { whom, step: 'review', reason: 'r', endsAt: null } as const;
        const { id } = await suspend(store, ask, author());
        expect(await race(times(4, (i) => appeal(store, id, `${i}`, author())))).toBe(1);
        expect(await race(times(4, (i) => answer(store, id, `${i}`, false, author())))).toBe(1);
        expect(await race(times(4, () => lift(store, id, author())))).toBe(1);
        const fields = { measure: 'tokens', per: 'key', windowSeconds: 60, threshold: 1, step: 'warn' };
        expect(await race(times(4, () => createRule(store, 'mine', fields, author())))).toBe(1);
      }),
    );

    test(
      'about registration and plans keeps concurrent changes to other fields',
      withStores(async (store) => {
        await race([
          () => setRegistration(store, { mode: 'open' }, author()),
          () => setRegistration(store, { maxPending: 5 }, author()),
          () => setRegistration(store, { domains: ['a.example'] }, author()),
        ]);
        const wanted = { mode: 'open', maxPending: 5, domains: ['a.example'] };
        expect(await store.readRegistration()).toMatchObject(wanted);
        await createPlan(store, 'night', {}, undefined, author());
        await race(times(5, (i) => changePlan(store, 'night', { maxKeys: i }, author())));
        expect((await store.findPlan('night'))?.version).toBe(6);
        const account = await accountOf(store);
        const done = await race<unknown>([
          () => deletePlan(store, 'night', author()),
          () => setPlan(store, account.id, 'night', author()),
        ]);
        expect(done).toBe(1);
      }),
    );
  });

  describe(`an account without limits on ${kind}`, () => {
    test(
      'is an explicit operator; when the role ends, it has a plan, fewer scopes and no sessions at once',
      withStores(async (store, other) => {
        const account = await accountOf(store, 'operator');
        expect(account).toMatchObject({ plan: unlimited });
        const person = await personOf(store, account.id);
        await personOf(store, (await accountOf(store, 'operator')).id);
        const scopes = (...asked: string[]) => createKeyFor(store, account.id, { name: 'x', scopes: asked }, author());
        const wide = (await scopes('management', 'models:delete')).key;
        const narrow = (await scopes('management:write')).key;
        expect(await store.sessionStands(`session of ${person}`, person, Date.now())).toBe(true);
        expect(await other.findCaller(wide.id, 1)).toMatchObject({ plan: unlimited });
        await setRole(store, account.id, 'auditor', author());
        expect(await other.findAccount(account.id)).toMatchObject({ role: 'auditor', plan: 'default' });
        expect(await other.findCaller(wide.id, 1)).toMatchObject({ plan: { name: 'default' } });
        expect((await other.findKey(wide.id))?.scopes).toEqual(['models:delete', 'management:read']);
        expect((await other.findKey(narrow.id))?.status).toBe('revoked');
        expect(await store.sessionStands(`session of ${person}`, person, Date.now())).toBe(false);
        const ask = { whom: account.id, step: 'suspend', reason: 'r', endsAt: Date.now() + minute } as const;
        await suspend(store, ask, author());
        expect((await other.findCaller(wide.id, Date.now()))?.suspensions).toHaveLength(1);
        // A named plan is taken instead, and a missing one changes nothing at all.
        const next = await accountOf(store, 'operator');
        await expect(changeAccount(store, next.id, { role: 'member', plan: 'nope' }, author())).rejects.toThrow('nope');
        expect(await other.findAccount(next.id)).toEqual(next);
        await changeAccount(store, next.id, { role: 'member', plan: 'trial' }, author());
        expect(await other.findAccount(next.id)).toMatchObject({ role: 'member', plan: 'trial' });
      }),
    );

    test(
      'is never a member or an auditor, and no account lacks a plan by omission',
      withStores(async (store) => {
        const member = await accountOf(store);
        for (const role of ['member', 'auditor'] as const) {
          await expect(openAccount(store, `${role} x`, unlimited, author(), {}, role)).rejects.toThrow('operator');
          const change = { role, plan: unlimited } as const;
          await expect(store.changeAccount(member.id, change, event())).rejects.toThrow('operator');
        }
        await store.signIn.db.updateTable('accounts').set({ plan: null }).where('id', '=', member.id).execute();
        await expect(store.findAccount(member.id)).rejects.toThrow('no plan');
      }),
    );

    test(
      'cannot be reached by a name that looks like another account’s id',
      withStores(async (store) => {
        const member = await accountOf(store);
        await expect(createAccount(store, member.id, undefined, author())).rejects.toThrow('looks like an ID');
        await store.ensureAccount(`${member.id}x`, 'default', event());
        expect(await store.findAccount(`${member.id}x`)).toBeUndefined();
      }),
    );
  });
}
