import { expect, test } from 'vitest';
import { isolated } from './isolate.ts';

test('a name in a right-to-left script is isolated, and one in any other script stays as it is', () => {
  for (const name of ['laptop', '花子', 'naïve', '👩‍👩‍👧‍👦', '<b>x</b>', '$t(close)', '{{name}}', '=1+1'])
    expect(isolated(name)).toBe(name);
  for (const name of ['מפתח', 'مفتاح 7', 'a ب', 'ߒߞߏ', '𞤀𞤣']) expect(isolated(name)).toBe(`\u2068${name}\u2069`);
});

test('an override of the direction in a name of an earlier version is visible, and ends with the name', () => {
  expect(isolated('\u202enimda')).toBe('\u2068\ufffdnimda\u2069');
});
