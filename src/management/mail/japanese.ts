// The texts of emails in Japanese.
import { day, quoted, type Templates } from './templates.ts';

export const japanese: Templates = {
  confirm: (about, gate) => ({
    subject: 'メールアドレスの確認',
    lines: [
      `このアドレスで ${gate} の利用申請がありました。`,
      [
        `お名前: ${quoted(about.name)}`,
        `利用目的: ${quoted(about.purpose)}`,
        `日時: ${day(about.at, 'ja')} (UTC)`,
        `申請番号: ${about.reference}`,
      ].join('\n'),
      'ご自身の申請で、申請番号が画面の表示と同じ場合は、次のページで確認してください。',
      about.url,
      'このリンクは1回だけ、2日間有効です。ご自身の申請でない場合は、開かずにそのままにしてください。申請した人が、あなたの名前で利用できるようになることはありません。',
    ],
  }),
  reset: (about) => ({
    subject: 'パスワードの再設定',
    lines: [
      '次のページで新しいパスワードを設定してください。',
      about.url,
      'このリンクは1回だけ、1時間有効です。お心当たりがない場合は、何もする必要はありません。パスワードはそのままです。',
    ],
  }),
  known: (about, gate) => ({
    subject: 'すでにアカウントがあります',
    lines: [
      `このアドレスで ${gate} の利用申請がありましたが、すでにアカウントがあります。`,
      `サインインやパスワードの再設定はこちらです: ${about.url}`,
      'お心当たりがない場合は、何もする必要はありません。',
    ],
  }),
  approved: (about) => ({
    subject: '利用できるようになりました',
    lines: [`申請が承認されました。こちらでキーを受け取れます: ${about.url}`, about.word ?? ''],
  }),
  rejected: (about) => ({ subject: '申請について', lines: ['申請は承認されませんでした。', about.word ?? ''] }),
  suspended: (about) => ({
    subject: '利用が制限されています',
    lines: [
      `理由: ${about.reason}`,
      about.endsAt === null
        ? '運用者が解除するまで続きます。'
        : `${day(about.endsAt, 'ja')} (UTC) に自動的に終わります。`,
      `内容と異議申し立てはこちらです: ${about.url}`,
    ],
  }),
  answered: (about) => ({
    subject: '異議申し立てへの回答',
    lines: [about.word, about.lifted ? '制限は解除されました。' : '制限は続きます。', about.url],
  }),
  expiring: (about) => ({
    subject: 'キーの有効期限が近づいています',
    lines: [
      `キー「${about.key}」は ${day(about.endsAt, 'ja')} (UTC) に使えなくなります。`,
      `それまでに新しいキーを作ってください: ${about.url}`,
    ],
  }),
};
