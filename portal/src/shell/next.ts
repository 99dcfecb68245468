// Where somebody wanted to go before he was asked to sign in: a page of ours, whatever the address says.

export const doorTo = (location: string): string => `/sign-in?next=${encodeURIComponent(`/portal${location}`)}`;

/** Under /portal; undefined where the address names none. */
export function nextPage(): string | undefined {
  const next = new URLSearchParams(window.location.search).get('next') ?? '';
  return /^\/portal\/[a-z0-9/_-]*$/i.test(next) && !next.includes('//') ? next.slice('/portal'.length) : undefined;
}
