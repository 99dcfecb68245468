// What every store guarantees for people, links and the outbox: single use, removal of expired rows, and closed accounts that
// leave only figures.
import { describe, expect, test } from 'vitest';
import { auditEvent, leadingTo } from '../../src/domain/audit.ts';
import type { AccountId, KeyId, PersonId } from '../../src/domain/id.ts';
import { newSuspensionId } from '../../src/domain/id.ts';
import type { Consequence } from '../../src/domain/outbox.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { createKey } from '../../src/management/keys/keys.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { author } from '../gate.ts';
import { type Database, storesOf } from './store.ts';

const event = () => auditEvent(author(), 'test', 'x', null, null);
const hour = 3_600_000;

export function peopleContract(kind: string, create: () => Promise<Database>): void {
  describe(`people on ${kind}`, () => {
    const withStores = storesOf(create);
    let count = 0;
    const person = async (store: Store, accountId: AccountId | null): Promise<PersonId> => {
      const id = `usr_${++count}` as PersonId;
      const now = new Date().toISOString();
      const row = {
        id,
        name: 'n',
        email: `${id}@example.org`,
        emailVerified: 0,
        createdAt: now,
        updatedAt: now,
        accountId,
      };
      await store.signIn.db.insertInto('people').values(row).execute();
      return id;
    };

    test(
      'a link is used once, however many requests use it at once, and never after its expiry',
      withStores(async (store, other) => {
        const link = { digest: 'd1', purpose: 'password', subject: 'usr_x', createdAt: 0, expiresAt: 1_000 } as const;
        await store.insertLink(link, event());
        expect(await store.useLink('d1', 'setup', 500)).toBeUndefined();
        expect(await store.useLink('d1', 'password', 1_000)).toBeUndefined();
        const used = await Promise.all(
          Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? store : other).useLink('d1', 'password', 500)),
        );
        expect(used.filter((subject) => subject === 'usr_x')).toHaveLength(1);
        // A new link for the same purpose replaces it.
        await store.insertLink({ ...link, digest: 'd2' }, event());
        await store.insertLink({ ...link, digest: 'd3' }, event());
        expect(await store.useLink('d2', 'password', 500)).toBeUndefined();
        expect(await store.useLink('d3', 'password', 500)).toBe('usr_x');
      }),
    );

    test(
      'the consequences of a change are stored once with its event, and not when the change fails',
      withStores(async (store, other) => {
        const told = (id: string): Consequence => ({
          id,
          kind: 'email',
          about: { email: 'expiring', key: id as KeyId },
        });
        await store.insertAudit(leadingTo(event(), [told('a'), told('b')]));
        await other.insertAudit(leadingTo(event(), [told('a')]));
        const failing = store.atomically(async (within) => {
          await within.insertAudit(leadingTo(event(), [told('c')]));
          throw new Error('no');
        });
        await expect(failing).rejects.toThrow('no');
        await store.insertConsequences([told('b'), told('d')], 7);
        const at = Date.now() + 1;
        const due = await other.dueConsequences('email', at, 9);
        expect(due.map(({ id, attempts, about }) => [id, attempts, about])).toEqual(
          ['d', 'a', 'b'].map((id) => [id, 0, told(id).about]),
        );
        expect(due[0]!.createdAt).toBe(7);
        expect(await store.dueConsequences('email', at, 1)).toHaveLength(1);
        expect((await store.listAudit({ limit: 9 })).every((each) => !('leadsTo' in each))).toBe(true);
      }),
    );

    test(
      'places are taken once, by whichever process, and are free again when their time is over',
      withStores(async (store, other) => {
        const take = (from: number, callers: number): Promise<boolean[]> =>
          Promise.all(
            Array.from({ length: callers }, (_, i) =>
              (i % 2 === 0 ? store : other).takePlace('email own x', 10, from, from + 100),
            ),
          );
        expect(await other.takePlace('email own xy', 10, 0, 1_000)).toBe(true);
        expect((await take(0, 4)).every(Boolean)).toBe(true);
        expect((await take(50, 20)).filter(Boolean)).toHaveLength(6);
        expect([await store.countPlaces('email own x', 99), await other.countPlaces('email own x', 100)]).toEqual([
          10, 6,
        ]);
        expect((await take(100, 20)).filter(Boolean)).toHaveLength(4);
      }),
    );

    test(
      'a job is claimed by one process at a time, until it is done',
      withStores(async (store, other) => {
        const about = { email: 'expiring', key: 'key_x' as KeyId } as const;
        await store.insertConsequences([{ id: 'n1', kind: 'email', about }], 0);
        const claim = (owner: string, at: number, by = store): Promise<boolean> =>
          by.claimConsequence('n1', { owner, at, until: at + 100 });
        const due = async (at: number): Promise<number> => (await other.dueConsequences('email', at, 9)).length;
        const claims = await Promise.all(
          Array.from({ length: 10 }, (_, i) => claim(`o${i}`, 1, i % 2 === 0 ? store : other)),
        );
        expect(claims.filter(Boolean)).toHaveLength(1);
        const owner = `o${claims.indexOf(true)}`;
        await store.holdConsequence('n1', { owner, at: 50, until: 150 });
        await store.holdConsequence('n1', { owner: 'another', at: 50, until: 9_999 });
        expect([await claim('late', 149), await due(149), await due(150), await claim('late', 150)]).toEqual([
          false,
          0,
          1,
          true,
        ]);
        // The previous one no longer holds it, and can neither release nor end it.
        await store.postponeConsequence('n1', owner, 0);
        await store.finishConsequence('n1', owner, 'done', 150);
        expect(await claim('next', 151)).toBe(false);
        await store.postponeConsequence('n1', 'late', 400);
        expect([await claim('next', 399), await due(399), await claim('next', 400)]).toEqual([false, 0, true]);
        // Claimed under a clock that was a year ahead.
        await store.postponeConsequence('n1', 'next', 0);
        await claim('next', 31_536_000_000);
        expect([await due(200), await claim('true', 200)]).toEqual([1, true]);
        await other.finishConsequence('n1', 'true', 'done', 300);
        await store.finishConsequence('n1', 'true', 'dead', 301);
        expect([await claim('true', 10_000), await due(10_000)]).toEqual([false, 0]);
        const { db } = store.signIn;
        expect(await db.selectFrom('outbox').select(['state', 'payload', 'attempts']).execute()).toEqual([
          { state: 'done', payload: '{}', attempts: 5 },
        ]);
      }),
    );

    test(
      'expired rows are removed, and nothing else',
      withStores(async (store) => {
        const id = await person(store, null);
        const session = (name: string, at: number) => ({
          id: name,
          token: name,
          userId: id,
          expiresAt: new Date(at).toISOString(),
          createdAt: new Date(0).toISOString(),
          updatedAt: new Date(0).toISOString(),
        });
        await store.tidyPeople(Date.now());
        await store.signIn.db
          .insertInto('sessions')
          .values([session('old', Date.now() - hour), session('new', Date.now() + hour)])
          .execute();
        expect(await store.tidyPeople(Date.now())).toBe(1);
        const left = await store.signIn.db.selectFrom('sessions').select('id').execute();
        expect(left).toEqual([{ id: 'new' }]);
      }),
    );

    test(
      'a closed account leaves its figures and no name',
      withStores(async (store) => {
        const account = await createAccount(store, 'hanako@example.org', undefined, author());
        const { key } = await createKey(store, { name: 'Hanako’s laptop', account: account.name }, author());
        const id = await person(store, account.id);
        await store.updatePerson(id, { name: 'Hanako', language: 'ja', emailVerified: true }, event());
        expect(await store.findPersonOf(account.id)).toMatchObject({
          name: 'Hanako',
          language: 'ja',
          emailVerified: true,
        });
        const step = {
          id: newSuspensionId(1),
          accountId: account.id,
          keyId: null,
          step: 'warn' as const,
          rule: null,
          reason: 'r',
          evidence: null,
          shadow: false,
          createdAt: 1,
          endsAt: null,
          liftedAt: null,
          liftedBy: null,
          appeal: 'It was Hanako',
          appealedAt: 2,
          answer: null,
          answeredAt: null,
          answeredBy: null,
        } as const;
        await store.insertSuspension(step, event());
        await store.closeAccount(account.id, 5_000, event());
        expect(await store.findPerson(id)).toBeUndefined();
        expect(await store.findKey(key.id)).toMatchObject({ status: 'revoked', name: '' });
        expect(await store.findAccount(account.id)).toMatchObject({ closedAt: 5_000, role: 'member' });
        const shown = [
          await store.findAccount(account.id),
          await store.listSuspensions({ accountId: account.id, limit: 9 }),
        ];
        expect(JSON.stringify(shown)).not.toMatch(/hanako/i);
      }),
    );

    test(
      'accounts and keys are found by any part of their name, and pattern characters match only themselves',
      withStores(async (store) => {
        for (const name of ['Alpha-One', 'alpha_two', '100% sure', 'a\\b'])
          await createAccount(store, name, undefined, author());
        const names = async (search: string): Promise<string[]> =>
          (await store.pageAccounts({ limit: 50, search })).map((account) => account.name).toSorted();
        expect(await names('ALPHA')).toEqual(['Alpha-One', 'alpha_two']);
        expect(await names('a_t')).toEqual(['alpha_two']);
        expect(await names('%')).toEqual(['100% sure']);
        expect(await names('\\')).toEqual(['a\\b']);
        expect(await names("' or 1=1")).toEqual([]);
      }),
    );
  });
}
