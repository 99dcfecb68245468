import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Characters, Glob } from './glob.ts';

/** A text that counts how often it is read. */
class Counted implements Characters {
  readonly #text: string;
  reads = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get length(): number {
    return this.#text.length;
  }

  charCodeAt(at: number): number {
    this.reads++;
    return this.#text.charCodeAt(at);
  }
}

/** By definition: the ends of the text that each place of the pattern can reach. */
function matchesByDefinition(pattern: string, text: string): boolean {
  let ends = new Set([0]);
  for (const sign of pattern) {
    const next = new Set<number>();
    for (const end of ends)
      if (sign !== '*') {
        if (text[end] === sign) next.add(end + 1);
      } else for (let at = end; at === end || (at <= text.length && text[at - 1] !== '/'); at++) next.add(at);
    ends = next;
  }
  return ends.has(text.length);
}

// Few letters, so that pieces repeat and overlap, which makes a search backtrack.
const patterns = fc.string({ unit: fc.constantFrom('a', 'a', 'b', '*', '*', '/', ':'), maxLength: 200 });
const texts = fc.string({ unit: fc.constantFrom('a', 'a', 'a', 'b', '/', ':'), maxLength: 600 });
const hostile = fc
  .tuple(fc.constantFrom('*a', 'a*', '*aab', '*a*b', 'ab*'), fc.nat(60), fc.constantFrom('', 'b', 'aa', '/'))
  .map(([piece, times, end]) => `${piece.repeat(times)}${end}`.slice(0, 200));
const repeated = fc
  .tuple(fc.constantFrom('a', 'ab', 'aab', 'aaaaab'), fc.nat(600), fc.constantFrom('', 'b', 'c', '/a'))
  .map(([piece, times, end]) => `${piece.repeat(times)}${end}`.slice(-600));

test('a pattern matches according to its definition', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', '*', '/'), maxLength: 10 });
  const words = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 12 });
  fc.assert(
    fc.property(short, words, (pattern, text) => {
      expect(new Glob(pattern).matches(text)).toBe(matchesByDefinition(pattern, text));
    }),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.oneof(patterns, hostile), fc.oneof(texts, repeated), (pattern, text) => {
      expect(new Glob(pattern).matches(text)).toBe(matchesByDefinition(pattern, text));
    }),
  );
});

test('no pattern reads a text more than four times as often as both have characters', () => {
  fc.assert(
    fc.property(fc.oneof(patterns, hostile), fc.oneof(texts, repeated), (pattern, text) => {
      const counted = new Counted(text);
      new Glob(pattern).matches(counted);
      expect(counted.reads).toBeLessThanOrEqual(4 * (pattern.length + text.length));
    }),
    { numRuns: 5000 },
  );
  const counted = new Counted('a'.repeat(600));
  expect(new Glob(`${'*a'.repeat(99)}*b`).matches(counted)).toBe(false);
  expect(counted.reads).toBeLessThanOrEqual(4 * 800);
});
