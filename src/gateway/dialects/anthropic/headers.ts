// Headers of Anthropic's API: what its clients send, and its fields about limits, in addition to those that all clients
// of /v1 read.
import type { AddLimitFields, HeaderNames } from '../dialect.ts';
import { addRateLimitFields, rateLimitFields } from '../rate-limit-fields.ts';

export const headers: HeaderNames = {
  onward: ['anthropic-beta', 'anthropic-version'],
  ofPages: ['anthropic-dangerous-direct-browser-access'],
  limits: [
    ...rateLimitFields,
    ...['Requests', 'Tokens'].flatMap((measure) =>
      ['Limit', 'Remaining', 'Reset'].map((part) => `Anthropic-RateLimit-${measure}-${part}`),
    ),
  ],
};

export const addLimitFields: AddLimitFields = (lines, measure, most, left, resetSeconds, resetsAt) => {
  addRateLimitFields(lines, measure, most, left, resetSeconds, resetsAt);
  lines.push(`anthropic-ratelimit-${measure}-limit`, most, `anthropic-ratelimit-${measure}-remaining`, left);
  lines.push(`anthropic-ratelimit-${measure}-reset`, new Date(resetsAt).toISOString());
};
