// What every change feed guarantees: no subscriber continues with anything older than the last poll, whichever process
// changed it.
import { describe, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import type { ChangeFeed } from '../../src/store/ports/change-feed.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { author } from '../gate.ts';
import { type Database, newKey, row, storesOf } from './store.ts';

const event = () => auditEvent(author(), 'test', 'x', null, null);

export function changesContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const write = async (store: Store, maxPending: number): Promise<void> => {
    await store.writeRegistration({ ...(await store.readRegistration()), maxPending }, event());
  };
  /** Keeps what it reads, as the planes do; fails while `fails` is set. */
  async function keeper(store: Store, feed: ChangeFeed) {
    const kept = { value: 0, runs: 0, fails: false, reads: () => Promise.resolve() };
    const unsubscribe = await feed.subscribe({
      what: 'keep',
      run: async () => {
        kept.runs++;
        if (kept.fails) throw new Error('no');
        const { maxPending } = await store.readRegistration();
        await kept.reads();
        kept.value = maxPending;
      },
    });
    return { kept, unsubscribe };
  }
  const feedOf = (store: Store, told: string[] = []): ChangeFeed =>
    store.changeFeed({
      onFailure: (what) => told.push(`- ${what}`),
      onRecovery: (what) => told.push(`+ ${what}`),
    });

  describe(`the change feed on ${name}`, () => {
    test(
      'runs a listener once at its start, once for a change of another process, and never without a change',
      withStores(async (mine, other) => {
        await write(mine, 1);
        const feed = feedOf(mine);
        const { kept, unsubscribe } = await keeper(mine, feed);
        expect(kept).toMatchObject({ value: 1, runs: 1 });
        await write(other, 2);
        await feed.look();
        await feed.look();
        expect(kept).toMatchObject({ value: 2, runs: 2 });
        unsubscribe();
        await write(other, 3);
        await feed.look();
        expect(kept).toMatchObject({ value: 2, runs: 2 });
      }),
    );

    test(
      'does not run it for rows of the ledger or the last use of a key, which other processes write all the time',
      withStores(async (mine, other) => {
        const key = await newKey(mine);
        const { id } = key;
        await mine.insertKey(key, event());
        const feed = feedOf(mine);
        const { kept } = await keeper(mine, feed);
        await other.appendUsage([row(1, { keyId: id })]);
        await other.touchKeys(new Map([[id, 5]]));
        await feed.look();
        expect(kept.runs).toBe(1);
        expect((await mine.findKey(id))?.lastUsedAt).toBe(5);
        await other.revokeKey(id, 6, event());
        await feed.look();
        expect(kept.runs).toBe(2);
      }),
    );

    test(
      'runs it for no change that another process took back',
      withStores(async (mine, other) => {
        const feed = feedOf(mine);
        const { kept } = await keeper(mine, feed);
        const failing = other.atomically(async (store) => {
          await write(store, 3);
          throw new Error('no');
        });
        await expect(failing).rejects.toThrow('no');
        await feed.look();
        expect(kept.runs).toBe(1);
      }),
    );

    test(
      'runs it for an announced change of this process',
      withStores(async (mine) => {
        const feed = feedOf(mine);
        const { kept } = await keeper(mine, feed);
        await write(mine, 5);
        await feed.announce();
        expect(kept.value).toBe(5);
      }),
    );

    test(
      'retries a failed listener until it succeeds, without another change, and delays no other',
      withStores(async (mine, other) => {
        const told: string[] = [];
        const feed = feedOf(mine, told);
        const [first, second] = [await keeper(mine, feed), await keeper(mine, feed)];
        first.kept.fails = true;
        await write(other, 7);
        await feed.look();
        await feed.look();
        expect([second.kept.value, second.kept.runs]).toEqual([7, 2]);
        expect(first.kept.value).not.toBe(7);
        first.kept.fails = false;
        await feed.look();
        await feed.look();
        expect([first.kept.value, first.kept.runs]).toEqual([7, 4]);
        expect(told).toEqual(['- keep', '+ keep']);
      }),
    );

    test(
      'does not subscribe a listener whose first run fails',
      withStores(async (mine, other) => {
        const feed = feedOf(mine);
        let runs = 0;
        const failing = feed.subscribe({ what: 'x', run: () => Promise.reject(new Error(`no ${++runs}`)) });
        await expect(failing).rejects.toThrow('no');
        await write(other, 9);
        await feed.look();
        expect(runs).toBe(1);
      }),
    );

    test(
      'leaves nothing older than a change made while a listener runs or subscribes',
      withStores(async (mine, other) => {
        const feed = feedOf(mine);
        const { kept } = await keeper(mine, feed);
        let left = 5;
        // Each run reads, and then the store changes before the run is over.
        kept.reads = async () => {
          if (left > 0) await write(left % 2 === 0 ? mine : other, 100 + --left);
        };
        await write(other, 50);
        for (let i = 0; i < 10; i++) await (i % 2 === 0 ? feed.announce() : feed.look());
        expect([left, kept.value]).toEqual([0, 100]);
        const late = feed.subscribe({ what: 'late', run: () => write(other, 200) });
        await late;
        await feed.look();
        expect(kept.value).toBe(200);
      }),
    );

    test(
      'answers every poll requested after a change with its result, however many run',
      withStores(async (mine, other) => {
        const feed = feedOf(mine);
        const { kept } = await keeper(mine, feed);
        for (let i = 1; i <= 30; i++) {
          const before = feed.look();
          await write(other, i);
          await feed.look();
          expect(kept.value).toBe(i);
          await before;
        }
      }),
    );
  });
}
