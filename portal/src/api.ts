// Calls to the management API with the browser's own session: JSON in, JSON out, problems (RFC 9457) as exceptions.

import { notifications } from '@mantine/notifications';
import {
  type UseInfiniteQueryResult,
  type UseMutationResult,
  type UseQueryResult,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import { useEffect } from 'react';
import type { PageOf } from './api-types.ts';
import { signInAgain, whyAgain } from './shell/again.ts';
import { noteAnew } from './shell/anew.ts';
import { noteReached, noteUnreachable } from './shell/reach.ts';
import { leaveView, viewHeaders, viewing } from './shell/viewing.ts';
import { i18n, type Language } from './words.ts';

const base = '/management/v1';

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Why the gate refused a request, in the language of the page. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  /** All invalid fields, if there are several. */
  readonly errors: readonly string[];
  /** What is wrong with fields of the body, by their names. */
  readonly fields: Readonly<Record<string, string>>;
  readonly requestId: string | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    more: Partial<Pick<Problem, 'errors' | 'fields' | 'requestId' | 'retryAfterSeconds'>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.errors = more.errors ?? [];
    this.fields = more.fields ?? {};
    this.requestId = more.requestId;
    this.retryAfterSeconds = more.retryAfterSeconds;
  }

  /** The content of a refusal by the management API, sign-in, or the data plane. */
  static async of(response: Response): Promise<Problem> {
    const said = (await response.json().catch(() => ({}))) as Record<string, unknown>;
    const { status, headers } = response;
    const code = textOf(said['code']) ?? headers.get('x-sekisho-error-code') ?? 'unknown';
    if (code === 'sign_in_again') noteAnew();
    const retryAfter = headers.get('retry-after');
    const several = Array.isArray(said['errors']) ? (said['errors'] as Record<string, unknown>[]) : [];
    const errors = await Promise.all(several.map((each) => wordsFor('invalid', each, status)));
    return new Problem(status, code, await wordsFor(code, said, status), {
      errors: errors.length < 2 ? [] : errors,
      fields: Object.fromEntries(several.map(({ at }, index) => [fieldIn(at), errors[index] ?? '']).toReversed()),
      requestId: textOf(said['request_id']) ?? headers.get('x-request-id') ?? undefined,
      retryAfterSeconds: retryAfter === null ? undefined : Number(retryAfter),
    });
  }
}

/** `body.values.mail_from`, `body.slots.gemma3:4b`: the field of a form. */
const fieldIn = (at: unknown): string =>
  String(at)
    .replace(/^body\.(?:values\.)?/, '')
    .split('.', 1)[0] ?? '';

/** What is wrong with a field of a form, after it was sent. */
export const faultOf = (error: Error | null, field: string): string | undefined =>
  error instanceof Problem ? error.fields[field] : undefined;

/** The sentence for the reason or, without one, for the code. */
async function wordsFor(
  code: string,
  { reason, parameters }: Record<string, unknown>,
  status: number,
): Promise<string> {
  const own = Object.hasOwn(ownWords, code) ? ownWords[code] : undefined;
  if (own !== undefined && reason === undefined) return i18n.t(own);
  const otherwise = i18n.t('trouble.unknown', { status });
  const known = await import('./refusals.ts').catch(() => undefined);
  const language = i18n.language as Language;
  return known?.reasonIn({ reason, parameters }, language) ?? known?.codeIn(code, language) ?? otherwise;
}

/** The error message for people: always a text of this page, never one of the browser. */
export function wordsOf(error: unknown): string {
  if (error instanceof Problem) return error.message;
  // Thrown by `fetch`, before or during an answer.
  return i18n.t(error instanceof TypeError ? 'trouble.unreachable' : 'trouble.unexpected');
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

export interface Sending {
  /** A creation that must not happen twice, however often the button is pressed. */
  readonly once?: boolean;
  /** The ETag of the version that was shown; the change only applies to that version. */
  readonly etag?: string;
  /** By an operator for themselves, although this tab views the pages of a member. */
  readonly asMyself?: boolean;
}

/**
 * A request that needs a sign-in is sent again after it, with the same idempotency key.
 * @throws Problem; with status 0 if the gateway is unreachable.
 */
async function send(method: string, path: string, body: unknown, how: Sending): Promise<Response> {
  const headers = {
    accept: 'application/json',
    'accept-language': i18n.language,
    ...(how.asMyself === true ? {} : viewHeaders()),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(how.once === true ? { 'idempotency-key': crypto.randomUUID() } : {}),
    ...(how.etag === undefined ? {} : { 'if-match': how.etag }),
  };
  const request: RequestInit = {
    method,
    credentials: 'same-origin',
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  };
  const response = await ask(base + path, request);
  if (response.ok) return response;
  const problem = await Problem.of(response);
  // The view is over, or the session whose view it was.
  if (viewing() && (problem.code === 'view_over' || (problem.status === 401 && path.startsWith('/session'))))
    leaveView(true);
  const why = whyAgain(problem.status, problem.code);
  if (why === undefined || !(await signInAgain(why))) throw problem;
  const second = await ask(base + path, request);
  if (second.ok) return second;
  throw await Problem.of(second);
}

/**
 * A request whose answer is shown as it is, a refusal too; the sign-in that it needs is asked for first. `target` is a whole path.
 * @throws Problem with status 0 where the gate could not be reached.
 */
export async function raw(target: string, { headers, ...rest }: RequestInit): Promise<Response> {
  const said = { 'accept-language': i18n.language, ...(headers as Record<string, string> | undefined) };
  const request: RequestInit = { ...rest, credentials: 'same-origin', headers: said };
  const response = await ask(target, request);
  if (response.ok) return response;
  const { status, code } = await Problem.of(response.clone());
  const why = whyAgain(status, code);
  return why !== undefined && (await signInAgain(why)) ? ask(target, request) : response;
}

async function ask(target: string, request: RequestInit): Promise<Response> {
  try {
    const response = await fetch(target, request);
    noteReached();
    return response;
  } catch {
    noteUnreachable();
    throw new Problem(0, 'unreachable', i18n.t('trouble.unreachable'));
  }
}

/** Errors that can occur on any page, in the language of the page. */
const ownWords: Readonly<Record<string, 'trouble.signInAgain' | 'trouble.tooMany' | 'trouble.signedOut'>> = {
  unauthenticated: 'trouble.signedOut',
  sign_in_again: 'trouble.signInAgain',
  too_many_requests: 'trouble.tooMany',
};

async function bodyOf<T>(response: Response): Promise<T> {
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export function withQuery(path: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  if (given.length === 0) return path;
  return `${path}?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

export const api = {
  async get<T>(path: string, query?: Query): Promise<T> {
    return bodyOf<T>(await send('GET', withQuery(path, query), undefined, {}));
  },
  /** With the ETag for a later change. */
  async see<T>(path: string): Promise<{ readonly body: T; readonly etag: string | undefined }> {
    const response = await send('GET', path, undefined, {});
    return { body: await bodyOf<T>(response), etag: response.headers.get('etag') ?? undefined };
  },
  async post<T = undefined>(path: string, body: unknown = {}, how: Sending = {}): Promise<T> {
    return bodyOf<T>(await send('POST', path, body, how));
  },
  async patch<T = undefined>(path: string, body: unknown, how: Sending = {}): Promise<T> {
    return bodyOf<T>(await send('PATCH', path, body, how));
  },
  async delete<T = undefined>(path: string, how: Sending = {}): Promise<T> {
    return bodyOf<T>(await send('DELETE', path, undefined, how));
  },
};

/** Ends a view of a member's pages, which only the operator's own session may. @throws Problem. */
export const endView = (id: string): Promise<void> => api.delete(`/views/${id}`, { asMyself: true });

/** `every`: milliseconds until it is asked again. */
export function useGet<T>(path: string, query: Query = {}, every?: number, enabled = true): UseQueryResult<T, Problem> {
  return useQuery<T, Problem>({
    queryKey: [path, query],
    queryFn: () => api.get<T>(path, query),
    enabled,
    ...(every === undefined ? {} : { refetchInterval: every }),
  });
}

export interface Pages<T> {
  readonly rows: readonly T[];
  readonly query: UseInfiniteQueryResult<unknown, Problem>;
}

/** A paged list: all rows fetched so far, and `query.fetchNextPage()`. */
export function usePages<T>(path: string, query: Query = {}): Pages<T> {
  const result = useInfiniteQuery<PageOf<T>, Problem, { pages: PageOf<T>[] }, unknown[], string | undefined>({
    queryKey: [path, query, 'pages'],
    initialPageParam: undefined,
    queryFn: ({ pageParam }) => api.get<PageOf<T>>(path, { limit: 50, ...query, cursor: pageParam }),
    getNextPageParam: (last) => last.next ?? undefined,
  });
  return { rows: result.data?.pages.flatMap((page) => page.items) ?? [], query: result };
}

export interface Acting {
  /** Shown on success. */
  readonly done?: string;
  /** Paths whose answers this changes. */
  readonly refresh?: readonly string[];
  /** Whether the form shows at this field what is wrong with it. */
  readonly shows?: (field: string) => boolean;
}

/** A mutation: shows its result, and refetches the data that it changed. */
export function useAct<A, T>(
  act: (input: A) => Promise<T>,
  { done, refresh = [], shows }: Acting = {},
): UseMutationResult<T, Error, A> {
  const client = useQueryClient();
  const isShown = (error: Error | null): boolean => {
    const fields = error instanceof Problem ? Object.keys(error.fields) : [];
    return shows !== undefined && fields.length > 0 && fields.every(shows);
  };
  const mutation = useMutation<T, Error, A>({
    mutationFn: act,
    onSuccess: () => {
      if (done !== undefined) notifications.show({ message: done, color: 'teal' });
      // Not awaited: the caller's own `onSuccess` comes next, and is never called once the refetched list has lost its row.
      // Almost anything may change what waits for an operator.
      for (const path of [...refresh, '/waiting'])
        void client.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[0]).startsWith(path) });
    },
    onError: (error) => {
      if (!isShown(error)) notifications.show({ message: wordsOf(error), color: 'red', autoClose: 8000 });
    },
  });
  const { error } = mutation;
  const atField = isShown(error);
  // The field may be beyond the screen.
  useEffect(() => {
    if (error !== null && atField) document.querySelector<HTMLElement>('form [aria-invalid="true"]')?.focus();
  }, [error, atField]);
  return mutation;
}
