// A word follows its number, in both languages.
import { expect, test } from 'vitest';
import { fillHoles, formOf } from './plural.ts';

test('English has a singular for 1 alone, and Japanese none', () => {
  const forms = (language: 'en' | 'ja') =>
    [0, 1, 2, 1000, 1.5].map((count) => formOf(count, 'call', 'calls', language));
  expect(forms('en')).toEqual(['calls', 'call', 'calls', 'calls', 'calls']);
  expect(forms('ja')).toEqual(['calls', 'calls', 'calls', 'calls', 'calls']);
});

test('a word of a sentence follows the number of a hole, also with separators', () => {
  const told = (used: string) => fillHoles('{used} {used|call|calls} {used|is|are} used', () => used);
  expect(told('1')).toBe('1 call is used');
  expect(told('0')).toBe('0 calls are used');
  expect(told('1,000')).toBe('1,000 calls are used');
  expect(told('1.5')).toBe('1.5 calls are used');
});
