// The sentences of refusal-details.ts in Japanese, and the words that are filled into them.
export const detailsInJapanese = {
  window_full:
    '{who}の{what}の上限は、{each}あたり{most}です。すでに{used}使われています。次の{window}が始まるまで{wait}です。',
  window_short:
    '{who}の{what}の上限は、{each}あたり{most}です。すでに{used}使われていて、このリクエストには約{need}必要です。次の{window}が始まるまで{wait}です。',
  crowded:
    '{whose}のリクエストを{running}件処理中です。同時に処理できるのは{most}件までで、待機枠にも空きがありません。',
  no_call: '{source}で、この種類のリクエストは許可されていません（concurrentRequestsが0）。',
  signed_too_many: 'このキーで署名されたリクエストが、直近の数分間に多すぎます。',
  too_many_answers: 'リクエストは一度に{count}件の応答を求めています。このキーのプランの上限は{most}件です。',
  too_many_parts: 'リクエストの{parts}は{count}件です。このキーのプランの上限は{most}件です。',
  grammar_large: '{field}が大きすぎます。上限は64 KiB、{items}項目、繰り返しをすべて展開した状態で{units}単位です。',
  template_arguments:
    'このキーのプランで{field}に指定できるのは、オン・オフ、数値、短い単語を合わせて{most}個までです。テンプレート関数の引数は指定できません。',
  service_crowded:
    'このアカウントが同時に実行できるサービス「{service}」のリクエストは{most}件までで、すでに上限に達しています。',
  sockets_full: 'このキーで同時に開けるサービス「{service}」のWebSocketは{most}件までで、すでに上限に達しています。',
  no_path_key: 'このサービスでは、キーをアドレスに含められません。x-api-keyで送信してください。',
  late_path_key: 'アドレスに含めるキーは、/k/<key>/…のように先頭に置いてください。',
  ticket_origin: 'チケットは1つのページ専用です。Originヘッダーでそのページのオリジンを指定してください。',
  unknown_tool: 'ツール「{tool}」はありません。',
  lacks_scope: 'このAPIキーには、リクエストに必要なスコープ「{scope}」がありません。',
  lacks_pull:
    'このAPIキーには、リクエストに必要なスコープ「{scope}」がありません。見つからなかったモデルは、存在しないか、このキーでは使えません。ダウンロードは{whom}に依頼してください。',
  suspended_until:
    'この{subject}は{moment}まで停止されています。理由：{reason}異議は{id}を添えて{whom}に申し立ててください。',
  suspended:
    'この{subject}は確認が済むまで停止されています。理由：{reason}異議は{id}を添えて{whom}に申し立ててください。',
};

export const wordsInJapanese: Readonly<Record<string, string>> = {
  'This account': 'このアカウント',
  'This API key': 'このAPIキー',
  'this account': 'このアカウント',
  'this key': 'このキー',
  'plan of this account': 'このアカウントのプラン',
  'limit of this API key': 'このAPIキーの制限',
  account: 'アカウント',
  'API key': 'APIキー',
  call: 'リクエスト数',
  calls: 'リクエスト数',
  token: 'トークン数',
  'prompt token': '入力トークン数',
  'completion token': '出力トークン数',
  unit: 'サービスのコスト',
  image: '画像',
  'embedding input': '埋め込みの入力',
  tokens: 'トークン数',
  'prompt tokens': '入力トークン数',
  'completion tokens': '出力トークン数',
  units: 'サービスのコスト',
  images: '画像',
  'embedding inputs': '埋め込みの入力',
  'a minute': '1分',
  'an hour': '1時間',
  'a day': '1日',
  'a week': '1週間',
  'a month': '1か月',
  minute: '1分',
  hour: '1時間',
  day: '日',
  week: '週',
  month: '月',
  s: '秒',
  min: '分',
  h: '時間',
  days: '日',
  'the operator of this gateway': 'このゲートウェイの管理者',
};
