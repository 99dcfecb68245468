// Anthropic's own fields about limits, beside those that every client of /v1 reads.
import type { AddLimitFields } from '../dialect.ts';
import { addRateLimitFields } from '../rate-limit-fields.ts';

export const addLimitFields: AddLimitFields = (lines, measure, most, left, resetSeconds, resetsAt) => {
  addRateLimitFields(lines, measure, most, left, resetSeconds, resetsAt);
  lines.push(`anthropic-ratelimit-${measure}-limit`, most, `anthropic-ratelimit-${measure}-remaining`, left);
  lines.push(`anthropic-ratelimit-${measure}-reset`, new Date(resetsAt).toISOString());
};
