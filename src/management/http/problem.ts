// How the management API refuses: RFC 9457 problem details, with the title in English or Japanese. The dialects of the data
// plane are for clients of model servers.
import type { ErrorRequestHandler, Request, Response } from 'express';
import { z } from 'zod';
import { type Language, languages } from '../../domain/person.ts';
import { Refusal } from '../../domain/refusal.ts';
import { TooManyPasswordChecks } from '../sign-in/passwords.ts';

export const problemSchema = z
  .strictObject({
    type: z.string().describe('about:blank: the code says what it is'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('stable word for programs'),
    detail: z.string().optional(),
    request_id: z.string(),
    errors: z
      .array(z.strictObject({ at: z.string().describe('JSON path or parameter'), detail: z.string() }))
      .optional()
      .describe('every fault of the request, where there are several'),
  })
  .meta({ id: 'Problem' });

const problems = {
  invalid: { status: 400, en: 'The request is not valid.', ja: 'リクエストが正しくありません。' },
  not_json: {
    status: 400,
    en: 'The request body is not valid JSON.',
    ja: 'リクエスト本文が JSON として正しくありません。',
  },
  unauthenticated: {
    status: 401,
    en: 'Sign in, or send an API key with management scopes.',
    ja: 'サインインするか、管理スコープのある API キーを送ってください。',
  },
  forbidden: { status: 403, en: 'You are not allowed to do that.', ja: 'この操作は許可されていません。' },
  tls_required: {
    status: 403,
    en: 'This gateway only answers over https://.',
    ja: 'このゲートウェイは https:// でのみ応答します。',
  },
  cross_site: {
    status: 403,
    en: 'The request came from another site.',
    ja: 'ほかのサイトから送られたリクエストです。',
  },
  sign_in_again: {
    status: 403,
    en: 'Sign in again: this requires a sign-in within the last ten minutes.',
    ja: 'もう一度サインインしてください。この操作には 10 分以内のサインインが必要です。',
  },
  not_found: { status: 404, en: 'Not found.', ja: '見つかりません。' },
  method_not_allowed: {
    status: 405,
    en: 'This address does not accept that method.',
    ja: 'このアドレスでは、そのメソッドを使えません。',
  },
  conflict: {
    status: 409,
    en: 'The request conflicts with what is there.',
    ja: '現在の状態と矛盾するリクエストです。',
  },
  precondition_failed: { status: 412, en: 'It has been changed in the meantime.', ja: 'その間に変更されています。' },
  body_too_large: { status: 413, en: 'The request body is too large.', ja: 'リクエスト本文が大きすぎます。' },
  unsupported_media_type: { status: 415, en: 'Send application/json.', ja: 'application/json で送ってください。' },
  unknown_host: {
    status: 421,
    en: 'The gateway does not know this host name. Its operator sets PUBLIC_URL.',
    ja: 'このホスト名は設定されていません。運用者が PUBLIC_URL を設定してください。',
  },
  repeat_differs: {
    status: 422,
    en: 'This Idempotency-Key was used for another request.',
    ja: 'この Idempotency-Key は、別のリクエストで使われています。',
  },
  too_many_failures: {
    status: 429,
    en: 'Too many wrong API keys were sent from your address.',
    ja: 'お使いのアドレスから、誤った API キーが何度も送られました。',
  },
  too_many_applications: {
    status: 429,
    en: 'Too many applications were sent from your address.',
    ja: 'お使いのアドレスから、申請が何度も送られました。',
  },
  too_many_requests: {
    status: 429,
    en: 'Too many requests. Wait a little.',
    ja: 'リクエストが多すぎます。しばらくお待ちください。',
  },
  too_many_attempts: {
    status: 429,
    en: 'Too many attempts. Wait a little.',
    ja: '試行回数が多すぎます。しばらくお待ちください。',
  },
  provider_failed: {
    status: 502,
    en: 'The sign-in provider cannot be reached, or is not the one that is configured.',
    ja: 'サインインの提供元に接続できないか、設定されたものと異なります。',
  },
  busy: {
    status: 503,
    en: 'Too many people are signing in right now. Try again.',
    ja: 'サインインが混み合っています。もう一度お試しください。',
  },
  store_busy: {
    status: 503,
    en: 'Another program is writing to the database. Try again.',
    ja: 'ほかのプログラムがデータベースに書き込んでいます。もう一度お試しください。',
  },
  store_unusable: {
    status: 503,
    en: 'The gateway cannot write right now: its disk is full or failing. Its operator has been told.',
    ja: 'ディスクに空きがないか障害があるため、現在ゲートウェイは書き込めません。運用者に通知済みです。',
  },
  internal: {
    status: 500,
    en: 'An internal error occurred in the gateway.',
    ja: 'ゲートウェイの内部でエラーが発生しました。',
  },
} as const satisfies Record<string, { readonly status: number } & Readonly<Record<Language, string>>>;

export type ProblemCode = keyof typeof problems;
export const problemCodes = Object.keys(problems) as ProblemCode[];
export const statusOf = (code: ProblemCode): number => problems[code].status;
export const titleOf = (code: ProblemCode, language: Language): string => problems[code][language];

/** The language that a caller prefers (RFC 9110 §12.5.4); English where nothing is said. */
export const languageOf = (request: Request): Language =>
  (request.acceptsLanguages([...languages]) || 'en') as Language;

interface Details {
  readonly detail?: string;
  readonly errors?: readonly { readonly at: string; readonly detail: string }[];
  readonly retryAfterSeconds?: number;
  readonly allow?: string;
}

/** A refusal on its way to the caller; `detail` is public. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly details: Details;
  constructor(code: ProblemCode, details: Details = {}) {
    super(details.detail ?? problems[code].en);
    this.code = code;
    this.details = details;
  }
}

/** Anything thrown as a problem. The text of an unexpected error is not sent. */
export function toProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  if (thrown instanceof Refusal) return new Problem(thrown.kind, { detail: thrown.message });
  if (thrown instanceof TooManyPasswordChecks) return new Problem('busy', { retryAfterSeconds: 2 });
  // Express cannot decode a part of the path; nothing has such a name.
  if (thrown instanceof URIError) return new Problem('not_found');
  const { type, name, code = '' } = thrown as { type?: string; name?: string; code?: string };
  if (name === 'StoreBusy') return new Problem('store_busy', { retryAfterSeconds: 2 });
  if (name === 'StoreUnusable' || /^(ENOSPC|EDQUOT|EROFS)/.test(code))
    return new Problem('store_unusable', { retryAfterSeconds: 30 });
  if (type === 'entity.too.large') return new Problem('body_too_large');
  if (type === 'encoding.unsupported' || type === 'charset.unsupported') return new Problem('unsupported_media_type');
  if (type?.startsWith('entity.') || type === 'request.aborted' || type?.startsWith('request.size'))
    return new Problem('not_json');
  return new Problem('internal');
}

/** The title follows the caller's language (RFC 9457 §3.1.3); the detail is English. */
export function sendProblem(response: Response, { code, details }: Problem, requestId: string): void {
  const { status } = problems[code];
  const language = languageOf(response.req);
  response.vary('accept-language').set('content-language', language);
  if (details.retryAfterSeconds !== undefined) response.set('retry-after', String(details.retryAfterSeconds));
  if (details.allow !== undefined) response.set('allow', details.allow);
  if (status === 401) response.set('www-authenticate', 'Bearer realm="sekisho"');
  const body = {
    type: 'about:blank',
    title: titleOf(code, language),
    status,
    code,
    ...(details.detail === undefined ? {} : { detail: details.detail }),
    request_id: requestId,
    ...(details.errors === undefined ? {} : { errors: details.errors }),
  };
  response.status(status).type('application/problem+json').send(JSON.stringify(body));
}

/** Answers whatever a route throws; `onError` is told of what the operator has to look at. An answer that has begun is cut. */
export const problemHandler =
  (onError: (error: unknown, requestId: string) => void): ErrorRequestHandler =>
  (error: unknown, _request, response, _next) => {
    const problem = toProblem(error);
    const id = String(response.getHeader('x-request-id'));
    if (problem.code === 'internal' || problem.code === 'store_unusable') onError(error, id);
    if (response.headersSent) response.destroy();
    else sendProblem(response, problem, id);
  };
