import { expect, test } from 'vitest';
import type { Exchange } from './exchange.ts';
import { type EndObserver, EndObservers } from './observers.ts';

test('every observer is told of every end, even beside a failing one, whose failures are reported once a minute', () => {
  const heard: string[] = [];
  const listener = (name: string): EndObserver => ({
    name,
    ended: (_, __, { outcome }) => heard.push(`${name} ${outcome}`),
  });
  const broken: EndObserver = {
    name: 'broken',
    ended: () => {
      throw new Error('a fault of its own');
    },
  };
  const time = { now: 0 };
  const failures: string[] = [];
  const observers = new EndObservers(
    [listener('first'), broken, listener('last')],
    () => time.now,
    (name, count, error) => failures.push(`${name} ${count} ${(error as Error).message}`),
  );
  const end = (): void => observers.tell({} as Exchange, undefined, { outcome: 'completed', status: 200 });
  for (let i = 0; i < 4; i++) end();
  expect(heard).toEqual(Array.from({ length: 4 }, () => ['first completed', 'last completed']).flat());
  expect(failures).toEqual(['broken 1 a fault of its own']);
  time.now += 60_000;
  end();
  expect(failures).toEqual(['broken 1 a fault of its own', 'broken 4 a fault of its own']);
});
