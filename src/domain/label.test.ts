import { describe, expect, test } from 'vitest';
import { mendLabel, readLabel, readProse, skeletonOf } from './label.ts';

describe('a label', () => {
  test.each([
    ['花子', '花子'],
    ['  Ada   Lovelace ', 'Ada Lovelace'],
    ['全角\u3000空白', '全角 空白'],
    ['e\u0301cole', 'école'],
    ['が', 'が'],
    ['葛\u{e0100}城', '葛\u{e0100}城'],
    ['👩\u200d👩\u200d👧 家族', '👩\u200d👩\u200d👧 家族'],
    ['❤\ufe0f', '❤\ufe0f'],
    ['Иван (GPU)', 'Иван (GPU)'],
    ['क्\u200dष', 'क्\u200dष'],
    ["O'Neil-Smith, 2nd", "O'Neil-Smith, 2nd"],
    ['研究室LLMサーバー', '研究室LLMサーバー'],
    ['𠮷野家', '𠮷野家'],
    ['hanako@example.org (app_0Vb2)', 'hanako@example.org (app_0Vb2)'],
  ])('%j is kept, in composed form', (text, label) => {
    expect(readLabel(text)).toBe(label);
  });

  test.each([
    '',
    ' \u3000\u00a0 ',
    'a\0b',
    '\u001b[31mred',
    'a\nb',
    'a\u007f',
    'a\u009b31m',
    'user\u202egnp.exe',
    'a\u2066b\u2069',
    'ad\u200bmin',
    '\ufeffadmin',
    'ad\u00admin',
    'ad\u2060min',
    'a\u200db',
    'a\ufe0fb',
    'a\u{e0041}b',
    'x\u115fy',
    'x\u3164y',
    'a\u2028b',
    '\ud800',
    '\ue000',
    '\uffff',
    'оperator',
    'οperator',
    'paypаl',
    `z${'\u0335'.repeat(9)}`,
    'x'.repeat(201),
    '👩'.repeat(160),
  ])('%j is refused', (text) => {
    expect(() => readLabel(text)).toThrow();
  });
});

test('a text keeps its lines and loses invisible characters', () => {
  expect(readProse(' one\r\n\ttwo\n ', 100)).toBe('one\n\ttwo');
  expect(readProse('עברית\u200f 12', 100)).toBe('עברית\u200f 12');
  for (const text of ['a\0b', '\u001b]0;x\u0007', 'a\u202eb', 'a\u200bb', ' \n '])
    expect(() => readProse(text, 100)).toThrow();
});

test('names that look the same have the same skeleton, and others do not', () => {
  for (const twin of [
    'Operator',
    'ОРЕRАТОR',
    'орегаtоr',
    'ｏｐｅｒａｔｏｒ',
    '𝐨𝐩𝐞𝐫𝐚𝐭𝐨𝐫',
    '0perat0r',
    'oper\u200bator',
    'ꓳꓑꓰꓣꓮꓔꓳꓣ',
    'οрerator',
    'op erator',
  ])
    expect(skeletonOf(twin), twin).toBe(skeletonOf('operator'));
  expect(skeletonOf('e\u0301cole')).toBe(skeletonOf('école'));
  expect(skeletonOf('ﾊﾅｺ')).toBe(skeletonOf('ハナコ'));
  expect(skeletonOf('Alice')).toBe(skeletonOf('aIice'));
  const names = [
    'operator',
    'operators',
    'hanako',
    'はなこ',
    'ばなこ',
    'サーバー',
    '一',
    'alice',
    'alicia',
    'auditor-1',
    'auditor-2',
  ];
  expect(new Set(names.map(skeletonOf)).size).toBe(names.length);
});

test('an invalid name from a provider is repaired or left out', () => {
  expect(mendLabel('Ad\u200ba\0 Love\u202elace', 'x')).toBe('Ada Lovelace');
  expect(mendLabel('\u202e\0', 'x@example.org')).toBe('x@example.org');
  expect(mendLabel('аdmin', 'x@example.org')).toBe('x@example.org');
  expect(Array.from(mendLabel('y'.repeat(100_000), 'x'))).toHaveLength(200);
});
