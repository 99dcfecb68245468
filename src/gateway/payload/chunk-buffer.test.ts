import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pieces } from './chunk-buffer.ts';

test('a body is the same, whatever its pieces', () => {
  const piece = fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 1_000, maxLength: 1_050 }));
  fc.assert(
    fc.property(fc.array(piece, { size: '+1' }), (list) => {
      const pieces = new Pieces();
      for (const bytes of list) pieces.add(Buffer.from(bytes));
      expect(pieces.bytes().equals(Buffer.concat(list))).toBe(true);
      expect(pieces.length).toBe(pieces.bytes().length);
    }),
    { numRuns: 200 },
  );
});

test('small pieces fill one block after the other', () => {
  const pieces = new Pieces();
  const text = Array.from({ length: 50_000 }, (_, at) => String(at % 10)).join('');
  for (const byte of text) pieces.add(Buffer.from(byte));
  expect(pieces.bytes().toString()).toBe(text);
});
