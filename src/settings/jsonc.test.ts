import { expect, test } from 'vitest';
import { parseJsonc } from './jsonc.ts';

test('comments and last commas are allowed, and texts keep theirs', () => {
  const text = '// a\n{"a": "http://x/* y */,]", /* b */ "b": [1, 2, // c\n ], "c": "\\"//",}';
  expect(parseJsonc(text)).toEqual({ a: 'http://x/* y */,]', b: [1, 2], c: '"//' });
});

test('anything else than JSON is refused', () => {
  for (const text of ['{a: 1}', '[1,,2]', '{"a": 1} /', '/* open', "{'a': 1}"])
    expect(() => parseJsonc(text)).toThrow();
});

test('a mark of byte order is ignored, as editors on Windows write it', () => {
  expect(parseJsonc('\uFEFF[1]')).toEqual([1]);
});

test('many comments after a comma take no longer than elsewhere', () => {
  const comments = '/* a **/ // b\n'.repeat(5_000);
  expect(parseJsonc(`[1,${comments}]`)).toEqual([1]);
  expect(parseJsonc(`[1,${comments} 2]`)).toEqual([1, 2]);
});
