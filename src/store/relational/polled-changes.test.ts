import { expect, test } from 'vitest';
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
  const feed = new PolledChanges(() => may('version').then(() => store.version), {
    onFailure: (what) => store.told.push(`- ${what}`),
    onRecovery: (what) => store.told.push(`+ ${what}`),
  });
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
