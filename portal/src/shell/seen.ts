// A thing as it stood when somebody began to change it, with the ETag that its change follows.
import { type UseQueryResult, useQuery } from '@tanstack/react-query';
import { api, type Problem } from '../api.ts';

export interface Seen<T> {
  readonly body: T;
  readonly etag: string | undefined;
}

/** Read once, and never from an earlier time. */
export function useSeen<T>(path: string): UseQueryResult<Seen<T>, Problem> {
  return useQuery<Seen<T>, Problem>({
    queryKey: [path, 'seen'],
    queryFn: () => api.see<T>(path),
    gcTime: 0,
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
  });
}
