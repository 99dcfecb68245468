import { expect, test } from 'vitest';
import type { ChangedAccounts } from '../ports/change-feed.ts';
import { PolledChanges } from './polled-changes.ts';

/** A store in which a test chooses the failures, with a record of what was done. */
function followed() {
  const store = { version: 1, failing: new Set<string>(), done: [] as string[], told: [] as string[] };
  const may = (what: string): Promise<void> =>
    store.failing.has(what) ? Promise.reject(new Error(`no ${what}`)) : Promise.resolve();
  const work = (what: string) => ({
    what,
    run: async () => {
      await may(what);
      store.done.push(what);
    },
  });
  const feed = new PolledChanges(
    () => may('version').then(() => ({ figure: store.version, accounts: 'all' as const })),
    {
      onFailure: (what) => store.told.push(`- ${what}`),
      onRecovery: (what) => store.told.push(`+ ${what}`),
    },
  );
  const start = async (): Promise<void> => {
    for (const what of ['rules', 'callers']) await feed.subscribe(work(what));
  };
  return { store, feed, start };
}

test('a change is handled once', async () => {
  const { store, feed, start } = followed();
  await start();
  await feed.look();
  expect(store.done).toEqual(['rules', 'callers']);
  store.version++;
  await feed.look();
  await feed.look();
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
});

test('a failure is retried with every poll until it succeeds, and delays nothing else', async () => {
  const { store, feed, start } = followed();
  await start();
  store.done = [];
  store.failing.add('rules');
  store.version++;
  await feed.look();
  await feed.look();
  expect(store.done).toEqual(['callers']);
  store.failing.clear();
  await feed.look();
  await feed.look();
  expect(store.done).toEqual(['callers', 'rules']);
  expect(store.told).toEqual(['- rules', '+ rules']);
});

test('a change of this process that met a failing store is not forgotten', async () => {
  const { store, feed, start } = followed();
  await start();
  store.done = [];
  store.failing.add('callers');
  await feed.announce();
  store.failing.clear();
  await feed.look();
  expect(store.done).toEqual(['rules', 'callers']);
});

test('an unreadable version does not count as unchanged', async () => {
  const { store, feed, start } = followed();
  await start();
  store.done = [];
  store.failing.add('version');
  store.version++;
  await feed.look();
  expect(store.done).toEqual(['rules', 'callers']);
  store.failing.clear();
  await feed.look();
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
});

test('a change during a poll is handled before that poll ends', async () => {
  const { store, feed, start } = followed();
  await start();
  store.done = [];
  await Promise.all([feed.announce(), feed.announce()]);
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
  await feed.look();
  expect(store.done).toHaveLength(4);
});

test('a listener that never ends delays neither the others nor later changes for them', async () => {
  const { store, feed } = followed();
  const rest = Promise.withResolvers<void>();
  let runs = 0;
  await feed.subscribe({ what: 'slow', isBasis: true, run: () => (runs++ === 0 ? Promise.resolve() : rest.promise) });
  const seen = new Map<string, number>();
  const keeps = (what: string) => ({ what, run: () => Promise.resolve(void seen.set(what, store.version)) });
  for (const what of ['rules', 'callers']) await feed.subscribe(keeps(what));
  for (const version of [2, 3]) {
    store.version = version;
    void feed.look();
    await expect.poll(() => [...seen.values()]).toEqual([version, version]);
  }
  expect(runs).toBe(2);
  // What it read late may matter to those after it.
  seen.clear();
  rest.resolve();
  await feed.look();
  expect([...seen.keys()]).toEqual(['rules', 'callers']);
});

test('a listener hears whose changes it has not seen, and of everyone where that is not known', async () => {
  const store = { version: 1, accounts: 'all' as ChangedAccounts, fails: false };
  const heard: ChangedAccounts[] = [];
  const feed = new PolledChanges(() => Promise.resolve({ figure: store.version, accounts: store.accounts }), {
    onFailure: () => undefined,
    onRecovery: () => undefined,
  });
  await feed.subscribe({
    what: 'callers',
    run: (_, accounts) => {
      if (accounts) heard.push(accounts);
      return store.fails ? Promise.reject(new Error('no')) : Promise.resolve();
    },
  });
  const change = async (...accounts: readonly string[]): Promise<ChangedAccounts | undefined> => {
    Object.assign(store, { version: store.version + 1, accounts: new Set(accounts) });
    await feed.look();
    return heard.at(-1);
  };
  expect(await change('acc_1')).toBe('all');
  expect(await change('acc_2')).toEqual(new Set(['acc_2']));
  store.fails = true;
  expect(await change('acc_3')).toEqual(new Set(['acc_3']));
  expect(await change('acc_4')).toEqual(new Set(['acc_3', 'acc_4']));
  store.fails = false;
  expect(await change()).toEqual(new Set(['acc_3', 'acc_4']));
  expect(await change('acc_5')).toEqual(new Set(['acc_5']));
});
