import { expect, test } from 'vitest';
import { headerOf, isInForce } from './announcement.ts';

test('a header value has only characters that cannot end it, separate it or be read in two ways', () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCodePoint(code)).join('');
  const value = headerOf({ texts: { en: all, ja: null } });
  expect(value).toMatch(/^UTF-8'en'(?:%[0-9A-F]{2}|[A-Za-z0-9!#$&+.^_`|~-])+$/);
  expect(decodeURIComponent(value.slice("UTF-8'en'".length))).toBe(all);
  expect(headerOf({ texts: { en: "Ada's (*), 5", ja: '正午' } })).toBe(
    "UTF-8'en'Ada%27s%20%28%2A%29%2C%205, UTF-8'ja'%E6%AD%A3%E5%8D%88",
  );
});

test('an announcement is in force from its beginning until its end', () => {
  const of = (from: number, until: number | null) => isInForce({ from, until } as Parameters<typeof isInForce>[0], 10);
  expect([of(10, null), of(11, null), of(1, 10), of(1, 11)]).toEqual([true, false, false, true]);
});
