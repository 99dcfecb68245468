import { expect, test } from 'vitest';
import { blankKey } from '../../domain/api-key.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { unlimited } from '../../domain/plan.ts';
import type { ChangedAccounts } from '../../store/ports/change-feed.ts';
import type { Caller } from '../../store/ports/keys.ts';
import { PolledChanges } from '../../store/relational/polled-changes.ts';
import { KeyCache } from './key-cache.ts';

const id = 'key_1' as KeyId;
const graceMs = 20_000;

/** A gateway that follows a store, in which a test chooses what can be read, and the time. */
async function following() {
  const store = {
    version: 1,
    /** Whom the last change concerns. */
    accounts: 'all' as ChangedAccounts,
    now: 1_000,
    isReadable: true,
    hasVersion: true,
    isRevoked: false,
    fails: false,
  };
  const caller: Caller = {
    key: blankKey(id, 'acc_1' as AccountId, 0),
    account: undefined as never,
    plan: unlimited,
    suspensions: [],
  };
  const findCaller = (): Promise<Caller | undefined> =>
    store.isReadable ? Promise.resolve(store.isRevoked ? undefined : caller) : Promise.reject(new Error('away'));
  const feed = new PolledChanges(
    () =>
      store.hasVersion
        ? Promise.resolve({ figure: store.version, accounts: store.accounts })
        : Promise.reject(new Error('away')),
    { onFailure: () => undefined, onRecovery: () => undefined },
    () => store.now,
  );
  const clock = (): number => store.now;
  const cache = new KeyCache(
    { findCaller, findCallerByDigest: findCaller },
    [],
    'acc_operator' as AccountId,
    clock,
    clock,
    graceMs,
    () => feed.isBlind(),
  );
  await feed.subscribe({
    what: 'callers',
    run: (staleMs, accounts) => {
      cache.forget(staleMs, accounts);
      return store.fails ? Promise.reject(new Error('away')) : Promise.resolve();
    },
  });
  const isKnown = async (): Promise<boolean | 'unclear'> => {
    try {
      return (await cache.find(id)) !== undefined;
    } catch {
      return 'unclear';
    }
  };
  return { store, feed, isKnown };
}

test('a key is known for as long as the store may say nothing, from when it last said that nothing had changed', async () => {
  const { store, feed, isKnown } = await following();
  expect(await isKnown()).toBe(true);
  // It was read an hour before the store went away.
  store.now += 3_600_000;
  await feed.look();
  // A call that runs cannot be asked after.
  Object.assign(store, { isReadable: false, hasVersion: false, fails: true });
  for (const ms of [250, 250, graceMs - 500]) {
    store.now += ms;
    await feed.look();
    expect(await isKnown()).toBe(true);
  }
  store.now += 1;
  await feed.look();
  expect(await isKnown()).toBe('unclear');
});

test('a look that takes long counts from its beginning', async () => {
  const { store, feed, isKnown } = await following();
  expect(await isKnown()).toBe(true);
  store.now += graceMs + 1;
  Object.assign(store, { isReadable: false, hasVersion: false });
  await feed.look();
  expect(await isKnown()).toBe('unclear');
});

test('a key that cannot be read after a change is known only if the store cannot say that there was one, and no longer than otherwise', async () => {
  const { store, feed, isKnown } = await following();
  expect(await isKnown()).toBe(true);
  Object.assign(store, { isReadable: false, version: 2, fails: true, now: store.now + 250 });
  await feed.look();
  expect(await isKnown()).toBe('unclear');
  store.hasVersion = false;
  store.now += graceMs - 250;
  await feed.look();
  expect(await isKnown()).toBe(true);
  store.now += 1;
  await feed.look();
  expect(await isKnown()).toBe('unclear');
});

test('a change of this process counts as one while the store cannot say anything', async () => {
  const { store, feed, isKnown } = await following();
  expect(await isKnown()).toBe(true);
  Object.assign(store, { isReadable: false, hasVersion: false });
  await feed.announce();
  expect(await isKnown()).toBe('unclear');
});

test('a key that can be read is as it is in the store, whatever else cannot be read', async () => {
  const { store, feed, isKnown } = await following();
  expect(await isKnown()).toBe(true);
  Object.assign(store, { hasVersion: false, isRevoked: true });
  await feed.look();
  expect(await isKnown()).toBe(false);
});

test('a change of other accounts leaves a key known, also if nothing can be read and this process made it', async () => {
  const { store, feed, isKnown } = await following();
  // The first look concerns everyone.
  Object.assign(store, { version: 2 });
  await feed.look();
  expect(await isKnown()).toBe(true);
  Object.assign(store, { isReadable: false, fails: true, version: 3, accounts: new Set(['acc_2']) });
  await feed.announce();
  expect(await isKnown()).toBe(true);
  store.now += 2 * graceMs;
  await feed.look();
  expect(await isKnown()).toBe(true);
  Object.assign(store, { version: 4, accounts: new Set(['acc_1']) });
  await feed.look();
  expect(await isKnown()).toBe('unclear');
});
