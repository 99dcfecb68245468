import { expect, test } from 'vitest';
import { csvLine } from './csv.ts';

test.each([
  '=1+1',
  '+1',
  '-1',
  '@SUM(A1)',
  '＝1+1',
  '＋1',
  '－1',
  '＠SUM(A1)',
  '﹦1+1',
  '−1',
  '\t=1',
  '\r=1',
  '\n=1',
  '\u0000=1',
  '\u0001=1',
  '\u001b=1',
  ' =1',
  '\u3000＝1',
  '\u00a0=1',
  '\u200b=1',
  '\ufeff=1',
  '\u202e=1',
  '\u0001x',
])('%j does not begin a cell', (text) => {
  expect(csvLine([text])).toMatch(/^(?:"?)'/);
});

test('a text that a program splits at another character contains no formula either', () => {
  expect(csvLine(['a;=1+1'])).toBe(`"a;'=1+1"\r\n`);
  expect(csvLine(['a\t＝1'])).toBe(`"a\t'＝1"\r\n`);
  expect(csvLine(['a\n@x'])).toBe(`"a\n'@x"\r\n`);
});

test('figures, dates and ordinary names are unchanged', () => {
  const values = [
    'gemma3:270m',
    'hanako@example.org',
    '花子',
    '2026-11-26T00:00:00.000Z',
    -5,
    1.5,
    true,
    null,
    undefined,
  ];
  expect(csvLine(values)).toBe('gemma3:270m,hanako@example.org,花子,2026-11-26T00:00:00.000Z,-5,1.5,true,,\r\n');
  expect(csvLine(['say "hi", you'])).toBe('"say ""hi"", you"\r\n');
});
