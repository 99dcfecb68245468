// Patterns in which `*` stands for any run of characters but `/`, matched in linear time. A regular expression would try
// every way to split a text between the stars, and a pattern of a member against a name of a member could hold the
// process for minutes (CWE-1333). Every literal is searched once, from left to right, by Knuth, Morris and Pratt (1977).

/** What is read of a text; a test counts the reads. */
export interface Characters {
  readonly length: number;
  charCodeAt(at: number): number;
}

interface Literal {
  readonly text: string;
  /** Of each prefix of the text, the length of its longest proper prefix that is also its suffix. */
  readonly borders: Uint16Array;
}

/** What stands between two slashes. */
interface Segment {
  readonly first: string;
  /** Undefined where the segment has no star; then `first` is all of it. */
  readonly last: string | undefined;
  /** What has to stand between the two, in this order. */
  readonly middle: readonly Literal[];
}

const SLASH = 0x2f;

/** A star never matches a slash, so a name matches if its segments match one by one. */
export class Glob {
  readonly #segments: readonly Segment[];

  constructor(pattern: string) {
    this.#segments = pattern.split('/').map(segmentOf);
  }

  /** Reads at most four times as many characters as text and pattern have together. */
  matches(text: Characters): boolean {
    const segments = this.#segments;
    let from = 0;
    for (let i = 0; i < segments.length; i++) {
      let to = from;
      while (to < text.length && text.charCodeAt(to) !== SLASH) to++;
      const isLast = i === segments.length - 1;
      // A slash behind the last segment, or none behind another one.
      if (isLast !== (to === text.length)) return false;
      if (!matchesSegment(segments[i] as Segment, text, from, to)) return false;
      from = to + 1;
    }
    return true;
  }
}

function segmentOf(text: string): Segment {
  const [first = '', ...rest] = text.split(/\*+/);
  const last = rest.pop();
  return { first, last, middle: rest.map((piece) => ({ text: piece, borders: bordersOf(piece) })) };
}

function matchesSegment({ first, last, middle }: Segment, text: Characters, from: number, to: number): boolean {
  const length = first.length + (last?.length ?? 0);
  if (last === undefined ? to - from !== length : to - from < length) return false;
  if (!standsAt(first, text, from)) return false;
  if (last === undefined) return true;
  if (!standsAt(last, text, to - last.length)) return false;
  let at = from + first.length;
  for (const literal of middle) {
    // The leftmost place leaves the most room for what follows.
    at = endOf(literal, text, at, to - last.length);
    if (at < 0) return false;
  }
  return true;
}

function standsAt(literal: string, text: Characters, at: number): boolean {
  for (let i = 0; i < literal.length; i++) if (text.charCodeAt(at + i) !== literal.charCodeAt(i)) return false;
  return true;
}

/** Where the literal ends at its leftmost place in [from, to); -1 where it has none. */
function endOf({ text: literal, borders }: Literal, text: Characters, from: number, to: number): number {
  let matched = 0;
  for (let at = from; at < to; at++) {
    const code = text.charCodeAt(at);
    while (matched > 0 && code !== literal.charCodeAt(matched)) matched = borders[matched - 1] as number;
    if (code === literal.charCodeAt(matched) && ++matched === literal.length) return at + 1;
  }
  return -1;
}

function bordersOf(literal: string): Uint16Array {
  const borders = new Uint16Array(literal.length);
  let matched = 0;
  for (let at = 1; at < literal.length; at++) {
    while (matched > 0 && literal[at] !== literal[matched]) matched = borders[matched - 1] as number;
    if (literal[at] === literal[matched]) matched++;
    borders[at] = matched;
  }
  return borders;
}
