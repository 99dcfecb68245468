// The problem codes of the management API and sign-in, each with its status and its title in both languages. Pure data, which the
// portal imports, too.
import type { Language } from '../../domain/person.ts';

export const problems = {
  invalid: { status: 400, en: 'The request is not valid.', ja: 'リクエストが正しくありません。' },
  not_json: {
    status: 400,
    en: 'The request body is not valid JSON.',
    ja: 'リクエスト本文がJSONとして正しくありません。',
  },
  unauthenticated: {
    status: 401,
    en: 'Sign in, or send an API key with management scopes.',
    ja: 'サインインするか、管理スコープのあるAPIキーを送ってください。',
  },
  forbidden: { status: 403, en: 'You are not allowed to do that.', ja: 'この操作は許可されていません。' },
  tls_required: {
    status: 403,
    en: 'This gateway only answers over https://.',
    ja: 'このゲートウェイはhttps://でのみ応答します。',
  },
  cross_site: {
    status: 403,
    en: 'The request came from another site.',
    ja: 'ほかのサイトから送られたリクエストです。',
  },
  sign_in_again: {
    status: 403,
    en: 'Sign in again: this requires a sign-in within the last ten minutes.',
    ja: 'もう一度サインインしてください。この操作には10分以内のサインインが必要です。',
  },
  read_only_view: {
    status: 403,
    en: 'You are viewing the pages of another person, where nothing can be changed.',
    ja: 'ほかの方の画面を閲覧しているため、この操作はできません。',
  },
  view_over: {
    status: 403,
    en: 'Viewing the pages of this member has ended.',
    ja: 'このメンバーの画面の閲覧は終了しました。',
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
    ja: '現在の状態では実行できないリクエストです。',
  },
  precondition_failed: {
    status: 412,
    en: 'It has been changed in the meantime.',
    ja: '表示中に、ほかの操作で変更されました。',
  },
  body_too_large: { status: 413, en: 'The request body is too large.', ja: 'リクエスト本文が大きすぎます。' },
  unsupported_media_type: { status: 415, en: 'Send application/json.', ja: 'application/jsonで送ってください。' },
  unknown_host: {
    status: 421,
    en: 'The gateway does not know this host name. Its operator sets PUBLIC_URL.',
    ja: 'このホスト名は設定されていません。管理者がPUBLIC_URLを設定してください。',
  },
  repeat_differs: {
    status: 422,
    en: 'This Idempotency-Key was used for another request.',
    ja: 'このIdempotency-Keyは、別のリクエストで使われています。',
  },
  too_many_failures: {
    status: 429,
    en: 'Too many wrong API keys were sent from your address.',
    ja: 'お使いの接続元IPアドレスから、誤ったAPIキーが何度も送られました。',
  },
  too_many_applications: {
    status: 429,
    en: 'Too many applications were sent from your address.',
    ja: 'お使いの接続元IPアドレスから、申請が何度も送られました。',
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
    ja: 'サインインのプロバイダーに接続できないか、設定と異なるプロバイダーです。',
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
  store_away: {
    status: 503,
    en: 'The database cannot be reached right now. Try again.',
    ja: '現在、データベースに接続できません。もう一度お試しください。',
  },
  store_unusable: {
    status: 503,
    en: 'The gateway cannot use its database or its disk right now. The log says why.',
    ja: '現在、ゲートウェイのデータベースまたはディスクを使用できません。原因はログに記録されています。',
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
