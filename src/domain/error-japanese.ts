// The sentences of the error registry in Japanese, and the choice of language. The data plane answers in English, which
// clients of model servers expect; the portal and the management API follow the caller's Accept-Language.
import { type ErrorCode, registry } from './error.ts';
import type { Language } from './person.ts';

export const japanese: Readonly<Record<ErrorCode, string>> = {
  bad_request_head: 'リクエストのヘッダー部がHTTPとして正しくありません。',
  bad_host: 'Hostヘッダーを、正しい形式で1つだけ送ってください。',
  bad_target:
    'パスを一通りに解釈できません。モデル名以外のエンコードされたスラッシュ、ドットセグメント、絶対URLは使えません。',
  too_many_headers: 'ヘッダーが多すぎるか、大きすぎます。',
  request_timeout: 'リクエストが時間内に届きませんでした。',
  http_version: 'HTTP/1.1またはHTTP/1.0を使ってください。',
  unknown_route: 'このルートはありません。',
  method_not_allowed: 'このルートでは、そのメソッドを使えません。',
  no_web_socket: 'このルートはWebSocketに対応していません。POSTで送ってください。',
  bad_web_socket:
    'WebSocketのハンドシェイクが正しくありません。バージョン13、キー、正しい形式のサブプロトコルが必要です。',
  bad_frame: 'WebSocketのフレームが正しくありません。',
  origin_not_allowed: 'このオリジンのページは、このルートを使えません。',
  tls_required:
    'このゲートウェイはhttps://でのみ応答します。暗号化せずに送信したキーは読み取られた可能性があるため、再発行してください。',
  no_pages_here: 'このアドレスはプログラム用のため、ブラウザーではページとして開けません。',
  foreign_page: 'ほかのサイトのページから、利用者のキーでこのサービスを使うことはできません。',
  loop_detected: 'このリクエストは、すでにこのゲートウェイを通過しています。',

  invalid_api_key: 'APIキーが正しくありません。',
  key_expired: 'このAPIキーは有効期限が切れています。',
  key_revoked: 'このAPIキーは無効化されています。',
  key_in_query: 'クエリ文字列にキーを含めないでください。x-api-keyまたはAuthorization: Bearerで送ってください。',
  conflicting_credentials: '異なる認証情報が複数含まれています。1つだけ送ってください。',
  path_key_not_allowed:
    'このAPIキーは、URLに含めて使えません。x-api-keyで送るか、--allow-pathを付けてキーを作成してください。',
  certificate_required: 'このAPIキーは、対応するクライアント証明書を提示した場合にのみ使えます。',
  address_not_allowed: 'このAPIキーは、お使いの接続元IPアドレスからは使えません。',
  mcp_header_mismatch: 'MCPサーバーへのメッセージで、ヘッダーと本文の内容が一致しません。',
  invalid_token: 'アクセストークンが無効です。発行者、対象（audience）、有効期間、または署名が正しくありません。',
  unknown_subject:
    'このアクセストークンに対応するアカウントがありません。同じIDでポータルにサインインするか、管理者にお問い合わせください。',
  unknown_session: 'MCPサーバーに、このAPIキーで使えるセッションがありません。新しいセッションを開始してください。',
  unknown_tool: 'ツールが見つかりません。',
  invalid_ticket: 'このチケットは使えません。使用済みか、有効期限切れか、別のルートまたはページのものです。',
  tickets_too_many: '未使用のチケットが上限に達しています。',
  identity_unavailable: '現在、APIキーを確認できません。',
  ledger_unavailable: '現在、利用量を記録できないため、新しいリクエストを受け付けません。',
  too_many_failures: 'お使いの接続元IPアドレスから、誤ったAPIキーが何度も送られました。',
  suspended: 'このアカウントの利用は停止されています。',

  missing_scope: 'このAPIキーには、このリクエストに必要なスコープがありません。',
  registry_host_not_allowed: 'このレジストリとの間では、モデルを取得または送信できません。',
  model_not_found: 'モデルが見つかりません。',
  blob_not_found:
    'このアカウントは、ゲートウェイの起動後にそのブロブをアップロードしていません。アップロードしてから作成してください。',
  body_too_large: 'リクエスト本文が大きすぎます。',
  not_json: 'リクエスト本文がJSONとして正しくありません。',
  ambiguous_json: 'リクエスト本文を一通りに解釈できません。',
  invalid_request: 'リクエストが正しくありません。',
  untranslatable: 'モデルサーバーのAPIが異なるため、このリクエストは変換できません。',
  unsupported_encoding:
    '本文は圧縮せずに、またはgzip、deflate、zstdのいずれかで圧縮して送ってください。ブロブは圧縮できません。',
  unsupported_media_type: 'このルートでは、そのContent-Typeを使えません。',

  bodies_too_many: '処理中のリクエスト本文が上限に達しています。しばらくしてからもう一度お試しください。',
  answers_too_many: '受信待ちの応答が上限に達しています。しばらくしてからもう一度お試しください。',

  limits_unavailable: '現在、制限を確認できません。',
  rate_limited: '1分あたりの上限に達しました。',
  quota_exceeded: '利用枠を使い切りました。',
  too_many_concurrent: 'このアカウントで同時に実行中のリクエストが多すぎます。',
  beyond_plan: 'このリクエストは、キーのプランで許可された範囲を超えています。',
  queue_full: 'このモデルを待っているリクエストが多すぎます。',
  queue_timeout: '順番を待つ時間が上限に達しました。',
  turns_unavailable: '現在、このモデルの順番を割り当てられません。',

  upstream_unreachable: 'モデルサーバーに接続できません。',
  upstream_untrusted: 'モデルサーバーの証明書を信頼できません。',
  upstream_refused: 'モデルサーバーがゲートウェイを拒否しました。',
  upstream_failed: 'モデルサーバーが応答を中断したか、正しくない応答を返しました。',
  upstream_incomplete: 'モデルサーバーの応答が途中で終わりました。',
  upstream_lacks_route:
    'このルートに対応しているモデルサーバーがありません。トークン数は、概算するか、そのままメッセージを送って確認してください。',
  upstream_timeout: 'モデルサーバーの応答に時間がかかりすぎました。',

  maintenance: 'ゲートウェイはメンテナンス中です。',
  draining: 'ゲートウェイを停止しています。',
  connection_idle: '長時間データが届かなかったため、接続を閉じました。',
  connection_over: 'このルートの制限時間が過ぎたため、接続を閉じました。',
  reader_stalled: 'クライアントが応答の受信を止めました。',
  client_closed: 'クライアントが接続を切断しました。',
  internal: 'ゲートウェイの内部でエラーが発生しました。',
};

const passing = 'このリクエストは、モデルの順番が来れば実行されます。';

/**
 * Why a call would pass (`code` null) or be refused, from the data plane's English sentence. If that says more than the
 * registry (which limit, which scope), it follows the Japanese sentence in parentheses.
 */
export function reasonIn(language: Language, code: string | null, english: string): string {
  if (language === 'en') return english;
  if (code === null) return passing;
  if (!Object.hasOwn(japanese, code)) return english;
  const known = code as ErrorCode;
  return english === registry[known].message ? japanese[known] : `${japanese[known]}（${english}）`;
}
