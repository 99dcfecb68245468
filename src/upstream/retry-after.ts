// What a server says by 429, and by 503 with Retry-After (RFC 9110 §10.2.3): it has enough calls, and for how long. The wait is
// bounded, so that a server that asks for a day, or a clock that is wrong, does not take it out of service for as long.

/** Without a Retry-After, and the least. */
const leastMs = 1_000;
const mostMs = 60_000;

/** Whether an answer says that the server has enough calls. */
export const isFlood = (status: number, retryAfter: string | undefined): boolean =>
  status === 429 || (status === 503 && retryAfter !== undefined);

/** How long to send it nothing, also in words. */
export function waitOf(retryAfter: string | undefined): { readonly waitMs: number; readonly words: string } {
  const asked = askedMs(retryAfter ?? '');
  const waitMs = Math.min(mostMs, Math.max(leastMs, asked));
  return { waitMs, words: `${Math.ceil(waitMs / 1000)} s` };
}

/** Seconds, or a date. Anything else is no wait. */
function askedMs(text: string): number {
  if (/^\d+$/.test(text.trim())) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : at - Date.now();
}
