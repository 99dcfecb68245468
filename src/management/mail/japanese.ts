// The texts of emails in Japanese.
import { causeIn } from '../../domain/causes.ts';
import { day, quoted, type Templates } from './templates.ts';

export const japanese: Templates = {
  confirm: (about, gate) => ({
    subject: 'メールアドレスの確認',
    lines: [
      `このメールアドレスで「${gate}」の利用申請がありました。`,
      [
        `お名前：${quoted(about.name)}`,
        `利用の目的：${quoted(about.purpose)}`,
        `日時：${day(about.at, 'ja')}（UTC）`,
        `申請番号：${about.reference}`,
      ].join('\n'),
      'ご自身による申請で、申請番号が画面の表示と同じ場合は、次のページでメールアドレスを確認してください。',
      about.url,
      'このリンクは2日以内に一度だけ使えます。お心当たりがない場合は、リンクを開かないでください。申請した人が、あなたの名前で利用できるようになることはありません。',
    ],
  }),
  reset: (about) => ({
    subject: 'パスワードの再設定',
    lines: [
      '次のページで、新しいパスワードを設定してください。',
      about.url,
      'このリンクは1時間以内に一度だけ使えます。お心当たりがない場合は、何もする必要はありません。パスワードは変更されません。',
    ],
  }),
  known: (about, gate) => ({
    subject: 'すでにアカウントがあります',
    lines: [
      `このメールアドレスで「${gate}」の利用申請がありましたが、すでにアカウントがあります。`,
      'サインインやパスワードの再設定は、次のページから行えます。',
      about.url,
      'お心当たりがない場合は、何もする必要はありません。',
    ],
  }),
  approved: (about) => ({
    subject: '利用できるようになりました',
    lines: ['申請が承認されました。次のページでキーを受け取れます。', about.url, about.word ?? ''],
  }),
  rejected: (about) => ({ subject: '利用申請の結果', lines: ['申請は承認されませんでした。', about.word ?? ''] }),
  suspended: (about) => ({
    subject: '利用が制限されています',
    lines: [
      `理由：${causeIn('ja', about.reason)}`,
      about.endsAt === null
        ? '管理者が解除するまで続きます。'
        : `${day(about.endsAt, 'ja')}（UTC）に自動的に解除されます。`,
      '内容の確認と異議申し立ては、次のページから行えます。',
      about.url,
    ],
  }),
  answered: (about) => ({
    subject: '異議申し立てへの回答',
    lines: [about.word, about.lifted ? '制限は解除されました。' : '制限は継続します。', about.url],
  }),
  expiring: (about) => ({
    subject: 'キーの有効期限が近づいています',
    lines: [
      `キー「${about.key}」は${day(about.endsAt, 'ja')}（UTC）に有効期限が切れます。`,
      'それまでに、次のページで新しいキーを作成してください。',
      about.url,
    ],
  }),
  test: (_about, gate) => ({
    subject: 'テストメール',
    lines: [`${gate}の管理者が、メールの送信を確認するために送信しました。正常に届いています。`],
  }),
};
