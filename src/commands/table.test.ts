import { expect, test } from 'vitest';
import { fitText, tableLines, widthOf } from './table.ts';

test.each([
  ['abc', 3],
  ['日本語', 6],
  ['ｶﾅ', 2],
  ['カナ', 4],
  ['한글', 4],
  ['ａ１！', 6],
  ['e\u0301', 1],
  ['🙂', 2],
  ['研究室・GPU', 11],
])('%s takes %i columns', (text, width) => {
  expect(widthOf(text)).toBe(width);
});

test('columns are aligned by width, not by the number of characters', () => {
  expect(
    tableLines(
      [
        ['name', 'plan'],
        ['研究室', 'default'],
        ['a', 'x'],
      ],
      undefined,
    ),
  ).toEqual(['name    plan', '研究室  default', 'a       x']);
});

test.each([16, 20, 30, 43, 80])('no line is wider than %i columns', (most) => {
  const rows = [
    ['id', 'name', 'models'],
    ['key_123', '長い名前の研究室のノートパソコン', 'gemma3:*,llama3:*,qwen3:*'],
    ['key_124', 'short', '*'],
  ];
  for (const line of tableLines(rows, most)) expect(widthOf(line)).toBeLessThanOrEqual(Math.max(most, 16));
  expect(tableLines(rows, most).join('\n')).toContain('key');
});

test('a text that is cut ends in an ellipsis, and no wide character is halved', () => {
  expect(fitText('研究室のノート', 8)).toBe('研究室…');
  expect(fitText('short', 8)).toBe('short');
});
