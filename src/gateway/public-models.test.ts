import { expect, test } from 'vitest';
import { publicModels } from './public-models.ts';

type Server = Parameters<typeof publicModels>[0]['all'][number];

const server = (names: readonly string[], up: boolean | undefined, more: object = {}): Server =>
  ({
    terms: { plans: null, accounts: null },
    models: { listed: names.map((name) => ({ name, size: null })) },
    health: { up },
    takesCalls: true,
    ...more,
  }) as unknown as Server;

test('a model is up if one server that everybody reaches has it and answers; others are not told of', () => {
  const all = [
    server(['b', 'a'], false),
    server(['a'], true),
    server(['c'], undefined),
    server(['c'], false),
    server(['d'], true, { takesCalls: false }),
    server(['secret'], true, { terms: { plans: ['lab'], accounts: null } }),
    server(['own'], true, { terms: { plans: null, accounts: ['acc_1'] } }),
  ];
  expect(publicModels({ all }).map(({ name, up }) => [name, up])).toEqual([
    ['a', true],
    ['b', false],
    ['c', null],
    ['d', false],
  ]);
});
