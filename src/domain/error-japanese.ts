// The sentences of the error registry in Japanese, and the choice of language. The data plane answers in English, which
// clients of model servers expect; the portal and the management API follow the caller's Accept-Language.
import { type ErrorCode, registry } from './error.ts';
import type { Language } from './person.ts';

export const japanese: Readonly<Record<ErrorCode, string>> = {
  bad_request_head: 'リクエストのヘッダー部が HTTP として正しくありません。',
  bad_host: 'Host ヘッダーを、正しい形で一つだけ送ってください。',
  bad_target:
    'パスの解釈が一つに定まりません。モデル名以外のエンコードされたスラッシュ、ドットセグメント、絶対 URL は使えません。',
  too_many_headers: 'ヘッダーが多すぎるか、大きすぎます。',
  request_timeout: 'リクエストが時間内に届きませんでした。',
  http_version: 'HTTP/1.1 または HTTP/1.0 を使ってください。',
  unknown_route: 'このルートはありません。',
  method_not_allowed: 'このルートでは、そのメソッドを使えません。',
  no_web_socket: 'このルートは WebSocket に対応していません。POST で送ってください。',
  bad_web_socket:
    'WebSocket のハンドシェイクが正しくありません。バージョン 13、キー、正しい形のサブプロトコルが必要です。',
  bad_frame: 'WebSocket のフレームが正しくありません。',
  origin_not_allowed: 'このオリジンのページは、このルートを使えません。',
  tls_required:
    'このゲートウェイは https:// でのみ応答します。暗号化せずに送ったキーは読み取られた可能性があるため、交換してください。',
  no_pages_here: 'このアドレスはプログラム用です。ブラウザではページとして開けません。',
  foreign_page: '他のサイトのページから、利用者のキーでこのサービスを使うことはできません。',
  loop_detected: 'このリクエストは、すでにこのゲートウェイを通過しています。',

  invalid_api_key: 'API キーが正しくありません。',
  key_expired: 'この API キーは期限切れです。',
  key_revoked: 'この API キーは失効しています。',
  key_in_query: 'キーをクエリ文字列に入れないでください。x-api-key または Authorization: Bearer で送ってください。',
  conflicting_credentials: '異なる認証情報が複数含まれています。一つだけ送ってください。',
  path_key_not_allowed:
    'この API キーはアドレスに入れて使えません。x-api-key で送るか、--allow-path を付けてキーを作成してください。',
  certificate_required: 'この API キーは、対応するクライアント証明書と一緒でなければ使えません。',
  address_not_allowed: 'この API キーは、お使いのアドレスからは使えません。',
  mcp_header_mismatch: 'MCP サーバーへのメッセージで、ヘッダーと本文の内容が一致しません。',
  invalid_token: 'アクセストークンが無効です。発行者、対象（audience）、有効期間、または署名が正しくありません。',
  unknown_subject:
    'このアクセストークンの本人に対応するアカウントがありません。同じ ID でポータルにサインインするか、運用者に問い合わせてください。',
  unknown_session:
    'この API キーには、MCP サーバーにそのようなセッションがありません。新しいセッションを始めてください。',
  unknown_tool: 'ツールが見つかりません。',
  invalid_ticket: 'このチケットは使えません。使用済みか、期限切れか、別のルートまたはページのものです。',
  tickets_too_many: '未使用のチケットが上限に達しています。',
  identity_unavailable: '現在、API キーを確認できません。',
  ledger_unavailable: '現在、使用量を記録できないため、新しいリクエストを受け付けません。',
  too_many_failures: 'お使いのアドレスから、誤った API キーが何度も送られました。',
  suspended: 'このアカウントは停止されています。',

  missing_scope: 'この API キーには、この呼び出しに必要なスコープがありません。',
  registry_host_not_allowed: 'そのレジストリとの間では、モデルを取得または送信できません。',
  model_not_found: 'モデルが見つかりません。',
  blob_not_found:
    'このアカウントは、ゲートウェイの起動後にそのブロブをアップロードしていません。アップロードしてから作成してください。',
  body_too_large: 'リクエスト本文が大きすぎます。',
  not_json: 'リクエスト本文が JSON として正しくありません。',
  ambiguous_json: 'リクエスト本文の解釈が一つに定まりません。',
  invalid_request: 'リクエストが正しくありません。',
  untranslatable: 'モデルサーバーの API が異なるため、このリクエストは変換できません。',
  unsupported_encoding:
    '本文は圧縮せずに、または gzip、deflate、zstd のいずれかで圧縮して送ってください。ブロブは圧縮できません。',
  unsupported_media_type: 'このルートでは、その Content-Type を使えません。',

  bodies_too_many: '処理中のリクエスト本文が上限に達しています。しばらくしてからもう一度お試しください。',
  answers_too_many: '読み手を待つ応答が上限に達しています。しばらくしてからもう一度お試しください。',

  limits_unavailable: '現在、制限を確認できません。',
  rate_limited: '1 分あたりの上限に達しました。',
  quota_exceeded: '割り当てを使い切りました。',
  too_many_concurrent: 'このアカウントの呼び出しが同時に多く実行されすぎています。',
  beyond_plan: 'この呼び出しは、キーのプランで許可された範囲を超えています。',
  queue_full: 'このモデルを待っている呼び出しが多すぎます。',
  queue_timeout: '順番が来る前に、待ち時間の上限に達しました。',

  upstream_unreachable: 'モデルサーバーに接続できません。',
  upstream_untrusted: 'モデルサーバーの証明書を信頼できません。',
  upstream_refused: 'モデルサーバーがゲートウェイを拒否しました。',
  upstream_failed: 'モデルサーバーが応答を中断したか、正しくない応答を返しました。',
  upstream_incomplete: 'モデルサーバーの応答が途中で終わりました。',
  upstream_lacks_route:
    'この経路に対応するモデルサーバーがありません。トークン数を数える場合は、概算するか、そのままメッセージを送ってください。',
  upstream_timeout: 'モデルサーバーの応答に時間がかかりすぎました。',

  maintenance: 'ゲートウェイはメンテナンス中です。',
  draining: 'ゲートウェイを停止しています。',
  connection_idle: '長時間データが届かなかったため、接続を閉じました。',
  connection_over: 'このルートで許される時間が過ぎたため、接続を閉じました。',
  reader_stalled: 'クライアントが応答の受信を止めました。',
  client_closed: 'クライアントが接続を切断しました。',
  internal: 'ゲートウェイの内部でエラーが発生しました。',
};

const passing = 'この呼び出しは、モデルの順番が来れば通ります。';

/**
 * Why a call would pass (`code` null) or be refused, from the data plane's English sentence. If that says more than the
 * registry (which limit, which scope), it follows the Japanese sentence in parentheses.
 */
export function reasonIn(language: Language, code: string | null, english: string): string {
  if (language === 'en') return english;
  if (code === null) return passing;
  if (!Object.hasOwn(japanese, code)) return english;
  const known = code as ErrorCode;
  return english === registry[known].message ? japanese[known] : `${japanese[known]} (${english})`;
}
