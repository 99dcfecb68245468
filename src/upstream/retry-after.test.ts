import { expect, test } from 'vitest';
import { waitOf } from './retry-after.ts';

test.each([
  [undefined, 1_000],
  ['', 1_000],
  ['0', 1_000],
  ['7', 7_000],
  ['86400', 60_000],
  ['9'.repeat(400), 60_000],
  ['-5', 1_000],
  ['soon', 1_000],
  ['Fri, 31 Dec 9999 23:59:59 GMT', 60_000],
  ['Thu, 01 Jan 1970 00:00:00 GMT', 1_000],
])('a server that asks for %j is left alone for %i ms', (asked, waitMs) => {
  expect(waitOf(asked).waitMs).toBe(waitMs);
});
