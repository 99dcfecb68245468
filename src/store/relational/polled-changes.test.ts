import { expect, test } from 'vitest';
import { PolledChanges } from './polled-changes.ts';

/** A store of which a test says what fails, and what was done with it. */
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
  const follower = new PolledChanges(() => may('version').then(() => store.version), {
    onFailure: (what) => store.told.push(`- ${what}`),
    onRecovery: (what) => store.told.push(`+ ${what}`),
  });
  const start = async (): Promise<void> => {
    for (const what of ['rules', 'callers']) await follower.subscribe(work(what));
  };
  return { store, follower, start };
}

test('what is new is done once', async () => {
  const { store, follower, start } = followed();
  await start();
  await follower.look();
  expect(store.done).toEqual(['rules', 'callers']);
  store.version++;
  await follower.look();
  await follower.look();
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
});

test('a failure is tried again with every look until it has succeeded, and holds up nothing else', async () => {
  const { store, follower, start } = followed();
  await start();
  store.done = [];
  store.failing.add('rules');
  store.version++;
  await follower.look();
  await follower.look();
  expect(store.done).toEqual(['callers']);
  store.failing.clear();
  await follower.look();
  await follower.look();
  expect(store.done).toEqual(['callers', 'rules']);
  expect(store.told).toEqual(['- rules', '+ rules']);
});

test('a change of this process that met a failing store is not forgotten', async () => {
  const { store, follower, start } = followed();
  await start();
  store.done = [];
  store.failing.add('callers');
  await follower.announce();
  store.failing.clear();
  await follower.look();
  expect(store.done).toEqual(['rules', 'callers']);
});

test('a version that cannot be read does not mean that nothing is new', async () => {
  const { store, follower, start } = followed();
  await start();
  store.done = [];
  store.failing.add('version');
  store.version++;
  await follower.look();
  expect(store.done).toEqual(['rules', 'callers']);
  store.failing.clear();
  await follower.look();
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
});

test('a change that comes while a look goes on is looked at before that look is over', async () => {
  const { store, follower, start } = followed();
  await start();
  store.done = [];
  await Promise.all([follower.announce(), follower.announce()]);
  expect(store.done).toEqual(['rules', 'callers', 'rules', 'callers']);
  await follower.look();
  expect(store.done).toHaveLength(4);
});
