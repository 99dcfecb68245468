// How long an answer will be, before it has begun: as long as was asked for, else as the longest of the key's last answers, and
// never longer than the plan lets it be.

/** Answers that are remembered. */
const remembered = 32;
const shortestEstimate = 16;
const boundlessAnswerTokens = 8_192;

/** Completion tokens of a key's last answers. */
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

  /** Of the longest; undefined before the first answer. */
  get longest(): number | undefined {
    return this.#count === 0 ? undefined : this.#longest;
  }
}

/** Completion tokens that an answer can have at most. */
export function mostAnswer(asked: number | undefined, most: number | null, choices = 1): number {
  const bound = most ?? Math.max(boundlessAnswerTokens * choices, asked ?? 0);
  return Math.min(asked ?? bound, bound);
}

/**
 * Completion tokens to reserve: what was asked for, else the longest of the key's last answers for each choice, else as
 * much as the plan lets an answer have.
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
