// What is learned about a model on a server, and the assumptions as long as nothing is.
import { Average, type Plausible } from './average.ts';

/** Milliseconds per token. */
const pace: Plausible = { least: 0.005, most: 2_000 };
const wait: Plausible = { least: 0.05, most: 1_800_000 };
const tokens: Plausible = { least: 1, most: 1_000_000 };

/** Of one model on one server. */
export class Learned {
  /** Milliseconds per token of a prompt that is not in the server's cache. */
  readonly prompt = new Average(pace);
  /** Milliseconds per token of an answer. */
  readonly answer = new Average(pace);
  /** From the sending of a call to its end. */
  readonly turn = new Average(wait);
  readonly answerTokens = new Average(tokens);
}

/** Of one model on all servers: what is assumed of a server where it has not run yet. */
export class Peers {
  readonly prompt = new Average(pace);
  readonly answer = new Average(pace);
}

/** How a server compares with others: 2 is half as fast. */
export const factor: Plausible = { least: 0.02, most: 50 };

/** Of a small model on an ordinary machine: 500 tokens of a prompt and 30 of an answer in a second. */
const usualPromptMs = 2;
const usualAnswerMs = 33;
/** The size that these hold for, in bytes. */
const usualSize = 4e9;
/** A disk that reads a gigabyte in a second, and the start of the process. */
const usualLoadMsPerByte = 1e-6;
const leastLoadMs = 500;
const usualLoadMs = 5_000;

/** A model of unknown size counts as a usual one. */
const timesUsual = (size: number): number => (size > 0 ? Math.min(20, Math.max(0.1, size / usualSize)) : 1);

export const assumedPromptMs = (size: number): number => usualPromptMs * timesUsual(size);
export const assumedAnswerMs = (size: number): number => usualAnswerMs * timesUsual(size);
export const assumedLoadMs = (size: number): number =>
  size > 0 ? leastLoadMs + size * usualLoadMsPerByte : usualLoadMs;

/** What was learned this long ago counts half: the machine may have changed, and it is tried again. */
const staleMs = 1_800_000;

/** What was learned lately; otherwise the assumption. */
export function learnedOr(own: Average | undefined, assumed: number, nowMs: number): number {
  if (own === undefined || own.count === 0) return assumed;
  return nowMs - own.atMs < staleMs ? own.value : (own.value + assumed) / 2;
}
