// The x-ratelimit-* fields of OpenAI's API, which other clients also read.
import type { AddLimitFields } from './dialect.ts';

/** The names as exposed to web pages. */
export const rateLimitFields: readonly string[] = ['Requests', 'Tokens'].flatMap((measure) =>
  ['Limit', 'Remaining', 'Reset'].map((part) => `X-RateLimit-${part}-${measure}`),
);

export const addRateLimitFields: AddLimitFields = (lines, measure, most, left, resetSeconds) => {
  lines.push(`x-ratelimit-limit-${measure}`, most, `x-ratelimit-remaining-${measure}`, left);
  lines.push(`x-ratelimit-reset-${measure}`, goDuration(resetSeconds));
};

/** OpenAI's format: `6m0s`, `1s`. */
function goDuration(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const tail = `${seconds % 60}s`;
  if (hours > 0) return `${hours}h${minutes}m${tail}`;
  return minutes > 0 ? `${minutes}m${tail}` : tail;
}
