import { expect, test } from 'vitest';
import { recovered } from './journal-lines.ts';

const row = (id: string, extra: object = {}) =>
  JSON.stringify({ id, outcome: 'interrupted', promptTokens: 0, completionTokens: 0, ...extra });

test('an ended exchange is its last line, an open one its draft with the last known figures', () => {
  const journal = `B${row('a')}\nB${row('b')}\nP{"id":"b","promptTokens":9,"completionTokens":4,"bytesOut":10}\nE${row('a', { outcome: 'completed' })}\n`;
  expect([...recovered(journal.split('\n'))]).toMatchObject([
    { id: 'a', outcome: 'completed' },
    { id: 'b', outcome: 'interrupted', promptTokens: 9, completionTokens: 4 },
  ]);
});

test('a torn last line and a repeated begin in the next segment change nothing', () => {
  const lines = [`B${row('a')}`, 'P{"id":"a","completionTokens":3}', '', `B${row('a')}`, 'E{"id":"x","outc'];
  expect([...recovered(lines)]).toMatchObject([{ id: 'a', completionTokens: 3 }]);
});

test('an end is returned before the interrupted row of a later begin, so that the store keeps the end', () => {
  const lines = [`E${row('a', { outcome: 'completed' })}`, `B${row('a')}`];
  expect([...recovered(lines)].map(({ outcome }) => outcome)).toEqual(['completed', 'interrupted']);
});

test('an exchange that was restarted with a fallback is recovered with the model that it had last', () => {
  const lines = [`B${row('a', { model: 'm', fallbackFor: null })}`, 'P{"id":"a","model":"n","fallbackFor":"m"}'];
  expect([...recovered(lines)]).toMatchObject([{ id: 'a', model: 'n', fallbackFor: 'm' }]);
  expect([...recovered([...lines, `B${row('a', { model: 'n', fallbackFor: 'm' })}`])]).toMatchObject([{ model: 'n' }]);
});
