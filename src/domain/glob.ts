// Patterns in which `*` stands for any run of characters except `/`, matched in linear time. A backtracking regular
// expression tries every way to split a text between the stars, so a member's pattern against a member's name could
// block the process for minutes (CWE-1333). Each literal is searched once, left to right (Knuth, Morris and Pratt,
// 1977).

/** The part of a string that matching reads; a test counts the reads. */
export interface Characters {
  readonly length: number;
  charCodeAt(at: number): number;
}

interface Literal {
  readonly text: string;
  /** For each prefix of the text, the length of its longest proper prefix that is also its suffix. */
  readonly borders: Uint16Array;
}

/** The part of a pattern between two slashes. */
interface Segment {
  readonly first: string;
  /** Undefined if the segment has no star; `first` is then the whole segment. */
  readonly last: string | undefined;
  /** The literals between the two, in order. */
  readonly middle: readonly Literal[];
}

const SLASH = 0x2f;

/** A star never matches a slash, so a name matches if its segments match pairwise. */
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
      // The pattern and the text must have the same number of segments.
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
    // The leftmost match leaves the most room for the literals that follow.
    at = endOf(literal, text, at, to - last.length);
    if (at < 0) return false;
  }
  return true;
}

function standsAt(literal: string, text: Characters, at: number): boolean {
  for (let i = 0; i < literal.length; i++) if (text.charCodeAt(at + i) !== literal.charCodeAt(i)) return false;
  return true;
}

/** The end of the leftmost match of the literal in [from, to); -1 if there is none. */
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
