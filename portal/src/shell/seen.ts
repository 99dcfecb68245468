// An object as it was when editing started, with its ETag for the change.
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { api, type Problem } from '../api.ts';

export interface Seen<T> {
  readonly body: T;
  readonly etag: string | undefined;
}

/** Fetched once, and never from a cache. */
export function useSeen<T>(path: string): UseQueryResult<Seen<T>, Problem> {
  return useQuery<Seen<T>, Problem>({
    queryKey: [path, 'seen'],
    queryFn: () => api.see<T>(path),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
}
