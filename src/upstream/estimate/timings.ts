// What a model server says about how long a call took it, in milliseconds and tokens; 0 where it says nothing.

export interface Timings {
  /** Until the model was ready, also if it was ready already. */
  readonly loadMs: number;
  readonly promptMs: number;
  readonly promptTokens: number;
  /** `promptTokens` are those read in that time. Otherwise they may include some from the server's cache, as Ollama's do. */
  readonly isFresh: boolean;
  readonly answerMs: number;
  readonly answerTokens: number;
}

/** What is known of a call when it has ended. */
export interface CallReport {
  readonly nowMs: number;
  /** Undefined: the server says nothing. */
  readonly timings: Timings | undefined;
  /** The answer came in pieces, so its first byte came with its first token. */
  readonly streamed: boolean;
  /** The tokens are the server's own figures. */
  readonly isExact: boolean;
  /** Of the whole prompt, and of its part that the server says it had in its cache. */
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly answerTokens: number;
}
