import { expect, test } from 'vitest';
import { recover } from './ledger.ts';

const row = (id: string, extra: object = {}) =>
  JSON.stringify({ id, outcome: 'interrupted', promptTokens: 0, completionTokens: 0, ...extra });

test('an ended exchange is its last line, an open one its draft with the last figures known', () => {
  const journal = `B${row('a')}\nB${row('b')}\nP{"id":"b","promptTokens":9,"completionTokens":4,"bytesOut":10}\nE${row('a', { outcome: 'completed' })}\n`;
  expect(recover([journal])).toMatchObject([
    { id: 'a', outcome: 'completed' },
    { id: 'b', outcome: 'interrupted', promptTokens: 9, completionTokens: 4 },
  ]);
});

test('a torn last line and a begin repeated in the next segment change nothing', () => {
  expect(recover([`B${row('a')}\nP{"id":"a","completionTokens":3}\n`, `B${row('a')}\nE{"id":"x","outc`])).toMatchObject(
    [{ id: 'a', completionTokens: 3 }],
  );
  expect(recover([`E${row('a', { outcome: 'completed' })}\n`, `B${row('a')}\n`])).toMatchObject([
    { id: 'a', outcome: 'completed' },
  ]);
});
