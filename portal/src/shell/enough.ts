// A search in the gate ends its page when it has read its share, with few rows or none. While too few are shown, the next page is
// fetched by itself.
import { useEffect } from 'react';
import type { Pages } from '../api.ts';

/** Pages that are fetched by themselves. */
const mostPages = 40;
const enoughRows = 25;

export function useEnough({ rows, query }: Pages<unknown>): void {
  const fetched = (query.data as { pages: readonly unknown[] } | undefined)?.pages.length ?? 0;
  const goesOn = query.hasNextPage && !query.isFetching && rows.length < enoughRows && fetched < mostPages;
  const { fetchNextPage } = query;
  useEffect(() => {
    if (goesOn) void fetchNextPage();
  }, [goesOn, fetchNextPage]);
}
