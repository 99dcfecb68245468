// Bounds what a model server compiles into a grammar: schemas, regular expressions and grammars. It does so for one call
// while the others wait, and a small text can expand to millions of states (vLLM GHSA-hf3c-wxg2-49q9, CVE-2025-48942 and
// others). Bounds the bytes, and estimates what counted repetitions expand to.
import { GatewayError } from '../domain/error.ts';
import { detail } from '../domain/refusal-details.ts';
import { bodyFields } from '../upstream/kinds.ts';
import { given, type Work } from './payload/body-edits.ts';

const mostBytes = 64 * 1024;
/** Units of text after all counted repetitions are written out. */
const mostUnits = 200_000;
/** For lists and objects in a JSON schema. */
const mostItems = 10_000;

const { grammars } = bodyFields;

/** @throws GatewayError `beyond_plan`. */
export function boundGrammars({ bytes, document }: Work): void {
  for (const name of grammars) {
    const value = given(document.members, name);
    if (!value || value.end - value.start < 16) continue;
    const isSmall = value.end - value.start <= mostBytes;
    const text = isSmall ? bytes.toString('latin1', value.start, value.end) : '';
    if (!isSmall || countsTooMany(text) || unitsOf(text) > mostUnits)
      throw new GatewayError('beyond_plan', {
        message: detail('grammar_large', { field: name, items: mostItems, units: mostUnits }),
      });
  }
}

const itemCount = /"(?:min|max)(?:Items|Contains|Properties)"\s*:\s*(\d+)/g;

function countsTooMany(schema: string): boolean {
  for (const [, figure] of schema.matchAll(itemCount)) if (Number(figure) > mostItems) return true;
  return false;
}

/** `{3}`, `{3,}` or `{3,5}`, as regular expressions, EBNF and GBNF write them. */
const repetition = /\{\s*(\d{1,9})\s*(?:,\s*(\d{0,9})\s*)?\}/y;

/** The length of a pattern if every counted repetition is written out: groups multiply, and what stands side by side adds up. */
export function unitsOf(pattern: string): number {
  if (!pattern.includes('{')) return pattern.length;
  /** Sums of the groups that are open. */
  const outer: number[] = [];
  let sum = 0;
  /** The units of the last item, to which a repetition belongs. */
  let last = 0;
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern[at];
    if (sign === '(') {
      outer.push(sum);
      sum = last = 0;
      continue;
    }
    if (sign === ')' && outer.length > 0) {
      last = sum;
      sum += outer.pop() as number;
      continue;
    }
    repetition.lastIndex = at;
    const found = sign === '{' ? repetition.exec(pattern) : null;
    if (found) {
      const times = Math.max(Number(found[1]), Number(found[2] ?? 0), 1);
      sum += last * (times - 1);
      last *= times;
      at += found[0].length - 1;
      continue;
    }
    // An escaped sign is one item, and so is a class.
    if (sign === '\\') at++;
    else if (sign === '[') at = endOfClass(pattern, at);
    last = 1;
    sum++;
  }
  return outer.reduce((all, each) => all + each, sum);
}

/** The index of the `]`; that of the `[` if it is missing, or if this is a list of JSON. */
function endOfClass(pattern: string, from: number): number {
  const end = pattern.indexOf(']', from + 2);
  return end < 0 || end - from > 200 ? from : end;
}
