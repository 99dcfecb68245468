// Estimates the length of an answer before it begins: the requested length, or the longest of the key's recent answers,
// and at most what the plan allows.

/** Number of remembered answers. */
const remembered = 32;
const shortestEstimate = 16;
const boundlessAnswerTokens = 8_192;

/** Completion tokens of a key's recent answers. */
export class RecentAnswers {
  readonly #tokens = new Uint32Array(remembered);
  #count = 0;
  #longest = 0;

  note(completionTokens: number): void {
    const place = this.#count++ % remembered;
    const forgotten = this.#tokens[place] as number;
    const tokens = Math.min(completionTokens, 0xffffffff);
    this.#tokens[place] = tokens;
    if (tokens >= this.#longest) this.#longest = tokens;
    else if (forgotten === this.#longest) this.#longest = Math.max(...this.#tokens);
  }

  /** The longest; undefined before the first answer. */
  get longest(): number | undefined {
    return this.#count === 0 ? undefined : this.#longest;
  }
}

/** The most completion tokens that an answer can have. */
export function mostAnswer(asked: number | undefined, most: number | null, choices = 1): number {
  const bound = most ?? Math.max(boundlessAnswerTokens * choices, asked ?? 0);
  return Math.min(asked ?? bound, bound);
}

/**
 * The completion tokens to reserve: the requested number, or the longest of the key's recent answers for each choice,
 * or as many as the plan allows.
 */
export function answerEstimate(
  asked: number | undefined,
  { longest }: Pick<RecentAnswers, 'longest'>,
  most: number | null,
  choices = 1,
): number {
  const bound = mostAnswer(asked, most, choices);
  if (asked !== undefined || longest === undefined) return bound;
  return Math.min(Math.max(longest, shortestEstimate) * choices, bound);
}
