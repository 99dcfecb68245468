import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { auditEvent } from './audit.ts';

const by = { actor: 'person:usr_x', at: 1_800_000_000_000 };
const sizeOf = (value: unknown): number => JSON.stringify(value).length;
const patterns = (from: number): string[] =>
  Array.from({ length: 200 }, (_, i) => `${from + i}`.padStart(5, '0').repeat(40));

test('short values are stored as they are', () => {
  const event = auditEvent(by, 'key.set', 'key_x', { models: ['a', 'b'], name: 'x' }, { models: ['b'], name: 'x' });
  expect([event.from, event.to]).toEqual([{ models: ['a', 'b'] }, { models: ['b'] }]);
});

test('no row exceeds a few kilobytes, whatever is written into it', () => {
  const huge = { text: 'x'.repeat(100_000), list: patterns(0), object: { deep: patterns(0) } };
  for (const event of [
    auditEvent(by, 'a', 'b', null, huge),
    auditEvent(by, 'a', 'b', huge, null),
    auditEvent(by, 'a', 'b', huge, { text: 'y'.repeat(100_000), list: patterns(1_000), object: {} }),
    auditEvent({ ...by, actor: 'x'.repeat(10_000) }, 'a', '\ud83d\ude00'.repeat(10_000), null, null),
  ]) {
    expect(sizeOf(event)).toBeLessThan(8_000);
    expect(JSON.parse(JSON.stringify(event))).toEqual(event);
  }
});

test('for a long list, additions and removals are stored, and a digest identifies the list', () => {
  const before = patterns(0);
  const after = [...before.slice(0, 150), 'new', ...before.slice(151)];
  const event = auditEvent(by, 'key.set', 'key_x', { models: before }, { models: after });
  expect([event.from, event.to]).toEqual([{ models: [before[150]] }, { models: ['new'] }]);
  const made = auditEvent(by, 'key.create', 'key_x', null, { models: before });
  const digest = createHash('sha256').update(JSON.stringify(before)).digest('hex');
  expect((made.to as { models: string[] }).models.at(-1)).toContain(`${digest} of all 200`);
});
