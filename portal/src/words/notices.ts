// Words of what an operator tells everybody: maintenance.
export const notices = {
  en: {
    title: 'Notices',
    lead: 'What everybody who uses this gate is told.',
    maintenance: {
      title: 'Maintenance',
      lead: 'New calls are refused with HTTP 503. Calls that wait or run finish, and these pages and the management API stay open.',
      on: 'Maintenance is on since {{since}}.',
      off: 'Maintenance is off. The gate takes calls.',
      message: 'Message',
      messageHint: 'Callers get it as the error message, and people see it on every page. Empty: a standard sentence.',
      until: 'Ends by itself',
      untilHint: 'Clients are told to try again then. Empty: it lasts until you end it.',
      begin: 'Begin maintenance',
      save: 'Save',
      end: 'End maintenance',
      saved: 'Saved. It takes effect within a second.',
    },
  },
  ja: {
    title: 'お知らせ',
    lead: 'この関所を使うすべての人に伝える内容です。',
    maintenance: {
      title: 'メンテナンス',
      lead: '新しい呼び出しには HTTP 503 を返します。待機中・実行中の呼び出しは最後まで処理し、この画面と管理APIは引き続き使えます。',
      on: '{{since}} からメンテナンス中です。',
      off: 'メンテナンス中ではありません。呼び出しを受け付けています。',
      message: 'メッセージ',
      messageHint:
        '呼び出しにはエラーメッセージとして返され、すべての画面に表示されます。空欄の場合は標準の文になります。',
      until: '自動で終了する日時',
      untilHint: 'クライアントには、この時刻以降の再試行を案内します。空欄の場合は、手動で終了するまで続きます。',
      begin: 'メンテナンスを開始',
      save: '保存',
      end: 'メンテナンスを終了',
      saved: '保存しました。1秒以内に反映されます。',
    },
  },
};
