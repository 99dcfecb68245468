import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonFigures, passedOver, type Wanted } from './json-scalars.ts';

const wanted: Wanted = new Map<string, Wanted | true>([
  ['model', true],
  ['stream', true],
  [
    'usage',
    new Map<string, Wanted | true>([
      ['n', true],
      ['inner', new Map([['n', true]])],
    ]),
  ],
]);

/** The values that JSON.parse finds for the wanted names; a container in place of a scalar only counts as present. */
function parsed(text: string): unknown {
  try {
    const pick = (value: unknown, names: Wanted): unknown => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
      const found: Record<string, unknown> = {};
      for (const [name, asked] of names)
        if (Object.hasOwn(value, name)) {
          const inner = (value as Record<string, unknown>)[name];
          found[name] = asked === true ? scalar(inner) : Array.isArray(inner) ? [] : pick(inner, asked);
        }
      return found;
    };
    const scalar = (value: unknown): unknown => {
      if (typeof value === 'object' && value !== null) return Array.isArray(value) ? [] : {};
      return typeof value === 'string' && JSON.stringify(value).length > 60 ? 'long' : value;
    };
    const value = JSON.parse(text) as unknown;
    const whole = typeof value === 'object' && value !== null && !Array.isArray(value) ? pick(value, wanted) : {};
    return withoutLong(whole);
  } catch {
    return undefined;
  }
}

/** Long texts are skipped; another test checks which are long by their bytes. */
function withoutLong(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, inner: unknown) =>
      (typeof inner === 'string' && (inner === 'long' || JSON.stringify(inner).length > 60)) || inner === passedOver
        ? 'long'
        : inner,
    ),
  );
}

function scanned(text: string, cuts: readonly number[]): unknown {
  const bytes = Buffer.from(text);
  const scan = new JsonFigures(wanted);
  let from = 0;
  for (const cut of [...cuts.map((at) => at % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]) {
    scan.push(bytes.subarray(from, cut));
    from = cut;
  }
  const found = scan.end();
  return found && withoutLong(found);
}

const name = fc.oneof(fc.constantFrom('model', 'stream', 'usage', 'n', 'inner', '__proto__'), fc.string());
const plain = fc.oneof(fc.string({ maxLength: 20 }), fc.double(), fc.integer(), fc.boolean(), fc.constant(null));
const value = fc.letrec((tie) => ({
  any: fc.oneof({ depthSize: 'small', withCrossShrink: true }, plain, tie('list'), tie('object')),
  list: fc.array(tie('any'), { maxLength: 4 }),
  object: fc.array(fc.tuple(name, tie('any')), { maxLength: 5 }).map((pairs) => new Map(pairs)),
}));
const write = (some: unknown, space: string): string =>
  some instanceof Map
    ? `{${space}${[...some].map(([key, inner]) => `${JSON.stringify(key)}${space}:${write(inner, space)}`).join(`${space},`)}}`
    : Array.isArray(some)
      ? `[${some.map((inner) => write(inner, space)).join(`,${space}`)}${space}]`
      : (JSON.stringify(some) ?? 'null');

test('finds what JSON.parse finds, wherever the text is cut', () => {
  fc.assert(
    fc.property(
      value.object,
      fc.constantFrom('', ' ', '\n\t '),
      fc.array(fc.nat(), { maxLength: 8 }),
      (object, space, cuts) => {
        const text = write(object, space);
        expect(scanned(text, cuts)).toEqual(parsed(text));
      },
    ),
    { numRuns: 2_000 },
  );
});

test('accepts what JSON.parse accepts, also among broken texts', () => {
  const broken = fc.tuple(
    value.object,
    fc.nat(),
    fc.constantFrom('', '"', '{', '}', ']', ',', ':', '0', '-', '\\', 'e', '.', '\u0001'),
  );
  fc.assert(
    fc.property(broken, fc.array(fc.nat(), { maxLength: 3 }), ([object, at, put], cuts) => {
      const text = write(object, '');
      const place = at % (text.length + 1);
      const changed = text.slice(0, place) + put + text.slice(place + 1);
      expect(scanned(changed, cuts)).toEqual(parsed(changed));
    }),
    { numRuns: 4_000 },
  );
});

const texts = JSON.parse(readFileSync(join(import.meta.dirname, '../../../test/fixtures/json-texts.json'), 'utf8')) as {
  readonly text: string;
}[];

test.each(texts)('reads $text as JSON.parse does', ({ text }) => {
  expect(scanned(text, [1, 5])).toEqual(parsed(text));
});

test('endless nesting produces nothing and takes no more than its own memory', () => {
  const scan = new JsonFigures(wanted);
  for (let i = 0; i < 100; i++) scan.push(Buffer.alloc(10_000, '['));
  expect(scan.end()).toBeUndefined();
});
