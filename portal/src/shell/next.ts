// The page that was requested before the sign-in; always a page of this portal, whatever the address contains.

/** `search`: the filters of the page, without a question mark. */
export const doorTo = (location: string, search: string): string =>
  `/sign-in?next=${encodeURIComponent(`/portal${location}${search === '' ? '' : `?${search}`}`)}`;

/** Under /portal; undefined if the address has none. */
export function nextPage(): string | undefined {
  const next = new URLSearchParams(window.location.search).get('next') ?? '';
  return /^\/portal\/[a-z0-9/_-]*(?:\?[\w.~%+&=:,*-]*)?$/i.test(next) && !next.includes('//')
    ? next.slice('/portal'.length)
    : undefined;
}
