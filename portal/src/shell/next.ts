// The page that was asked for before the sign-in: always one of this portal, whatever the address says.

export const doorTo = (location: string): string => `/sign-in?next=${encodeURIComponent(`/portal${location}`)}`;

/** Under /portal; undefined where the address names none. */
export function nextPage(): string | undefined {
  const next = new URLSearchParams(window.location.search).get('next') ?? '';
  return /^\/portal\/[a-z0-9/_-]*$/i.test(next) && !next.includes('//') ? next.slice('/portal'.length) : undefined;
}
