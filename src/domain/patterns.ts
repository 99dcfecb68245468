// Finds a sentence of a table again, with what was filled into it, so that a text that was kept can be told in another language.
import { hole } from './plural.ts';

/** What may stand where something is filled in, as a pattern; anything where none is given. */
export type Holes = Readonly<Record<string, string>>;

export interface Found<Name extends string> {
  readonly name: Name;
  readonly values: Readonly<Record<string, string>>;
}

/** Earlier sentences win. The patterns are made at the first use. */
export function finderOf<Name extends string>(
  table: Readonly<Record<Name, string>>,
  holes: Holes,
): (text: string) => Iterable<Found<Name>> {
  let known: readonly (readonly [Name, RegExp])[] | undefined;
  return function* (text) {
    known ??= (Object.keys(table) as Name[]).map((name) => [name, patternOf(table[name], holes)]);
    for (const [name, pattern] of known) {
      const found = pattern.exec(text);
      if (found) yield { name, values: found.groups ?? {} };
    }
  };
}

const patternOf = (sentence: string, holes: Holes): RegExp =>
  new RegExp(
    `^${sentence
      .split(/(\{[^}]+\})/)
      .map((part) => {
        const [, name, one, other] = [...part.matchAll(hole)][0] ?? [];
        if (name === undefined) return literal(part);
        return one === undefined || other === undefined
          ? `(?<${name}>${holes[name] ?? '.+?'})`
          : `(?:${literal(one)}|${literal(other)})`;
      })
      .join('')}$`,
  );

const literal = (text: string): string => text.replaceAll(/[.*+?^$()|[\]{}\\]/g, '\\$&');
