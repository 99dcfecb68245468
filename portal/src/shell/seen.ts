// An object as it was when editing started, with its ETag for the change.
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { api, Problem } from '../api.ts';

export interface Seen<T> {
  readonly body: T;
  readonly etag: string | undefined;
}

/** After a change that somebody else has made: what was typed stays, and the next attempt is for the version of now. */
export const seeAgain =
  (again: () => Promise<unknown>) =>
  (error: Error): void => {
    if (error instanceof Problem && error.status === 412) void again();
  };

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
