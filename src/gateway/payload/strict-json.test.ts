import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GatewayError } from '../../domain/error.ts';
import { type Outline, scanObject, splice, textOf } from './strict-json.ts';

const outline: Outline = {
  known: new Set(['model', 'stream', 'keep_alive', 'options']),
  inside: { options: { known: new Set(['num_ctx']) } },
  each: { tools: { known: new Set(['type']) } },
};
const scan = (text: string) => scanObject(Buffer.from(text), outline);
const codeOf = (bytes: string | Buffer): string => {
  try {
    scanObject(Buffer.from(bytes), outline);
    return 'accepted';
  } catch (error) {
    return (error as GatewayError).code;
  }
};

describe('U32: an object that two parsers could read in two ways is refused', () => {
  test.each([
    ['a duplicate', '{"model":"a","model":"b"}'],
    ['another case', '{"model":"a","MODEL":"b"}'],
    ['only another case', '{"Model":"b"}'],
    ['a long s, which Go folds onto s', '{"\u017ftream":true}'],
    ['a Kelvin sign, which Go folds onto k', '{"\u212aeep_alive":1}'],
    ['an escaped duplicate', '{"model":"a","mod\\u0065l":"b"}'],
    ['an escaped other case', '{"\\u004dodel":"b"}'],
    ['a duplicate of an unknown name', '{"x":1,"x":2}'],
    ['a second value', '{"model":"a"}{"model":"b"}'],
    ['a tail', '{"model":"a"} x'],
    ['a duplicate inside options', '{"options":{"num_ctx":1,"num_ctx":2}}'],
    ['another case inside options', '{"options":{"Num_Ctx":2}}'],
    ['a duplicate inside a tool', '{"tools":[{"type":"a","type":"b"}]}'],
  ])('%s', (_, text) => {
    expect(codeOf(text)).toBe('ambiguous_json');
  });

  test('an escaped spelling of a known name means that name', () => {
    const bytes = Buffer.from('{"mod\\u0065l":"a"}');
    expect(textOf(bytes, scanObject(bytes, outline).members.get('model')!)).toBe('a');
  });

  test('the error repeats no value of an unknown field', () => {
    expect(() => scan('{"the planted prompt":1,"the planted prompt":2}')).toThrow(/^A field is given twice\.$/);
  });
});

describe('a text that is not a JSON object is refused', () => {
  test.each([
    '',
    ' ',
    '{',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{a:1}',
    "{'a':1}",
    '[]',
    'null',
    '"x"',
    '1',
    '{"a":01}',
    '{"a":+1}',
    '{"a":.5}',
    '{"a":1.}',
    '{"a":1e}',
    '{"a":"\t"}',
    '{"a":"\\x"}',
    '{"a":"\\u12g4"}',
    '{"a":tru}',
    '{"a":NaN}',
    '\ufeff{}',
    '{"a":1 "b":2}',
    '{"a":"\n"}',
    '{"a":[1,]}',
    '{"a":[1 2]}',
    '{"a":"',
  ])('%j', (text) => {
    expect(codeOf(text)).toBe('not_json');
  });
  test('U37: bytes that are not UTF-8', () => {
    expect(codeOf(Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]))).toBe('not_json');
  });
  test('UTF-16', () => {
    expect(codeOf(Buffer.from('{"model":"a"}', 'utf16le'))).toBe('not_json');
  });
  test('U33: a hundred thousand levels', () => {
    expect(codeOf(`{"a":${'['.repeat(100_000)}`)).toBe('not_json');
  });
  test('U33: a million fields', () => {
    expect(codeOf(`{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":1`).join(',')}}`)).toBe('ambiguous_json');
  });
});

test('accepts exactly the objects that JSON.parse accepts and that repeat no name', () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 4 }), fc.integer({ min: 0, max: 3 }), (object, indent) => {
      const text = JSON.stringify(object, undefined, indent);
      const folded = Object.keys(object).map((key) => key.toLowerCase().replaceAll('ſ', 's'));
      const plain =
        new Set(folded).size === folded.length &&
        !folded.some((key) => outline.known.has(key)) &&
        !folded.includes('tools');
      fc.pre(plain);
      const { members } = scan(text);
      const bytes = Buffer.from(text);
      for (const [key, value] of Object.entries(JSON.parse(text) as object)) {
        const member = members.get(key)!;
        expect(JSON.parse(bytes.toString('utf8', member.start, member.end))).toEqual(value);
      }
    }),
  );
});

test('never accepts what JSON.parse refuses, however a text is broken', () => {
  const seeds = [
    '{"model":"a","options":{"num_ctx":4096},"n":[1,2.5e-3,{"x":null}],"t":"\\u00e9\\n"}',
    '{"stream":false}',
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.nat(100),
      fc.string({ maxLength: 2 }),
      fc.nat(3),
      (seed, at, insert, cut) => {
        const text = seed.slice(0, at) + insert + seed.slice(at + cut);
        let parsed = true;
        try {
          JSON.parse(text);
        } catch {
          parsed = false;
        }
        if (!parsed) expect(codeOf(text)).toMatch(/not_json|ambiguous_json/);
      },
    ),
    { numRuns: 3000 },
  );
});

test('a splice leaves every other byte unchanged, also 64-bit integers', () => {
  const bytes = Buffer.from('{"seed":9007199254740993,"model":"a","x":1e400}');
  const { start, end } = scanObject(bytes, outline).members.get('model')!;
  expect(splice(bytes, [{ start, end, text: '"b"' }]).toString()).toBe(
    '{"seed":9007199254740993,"model":"b","x":1e400}',
  );
});
