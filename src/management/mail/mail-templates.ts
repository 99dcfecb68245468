// Letters to people: what is said in which language. A gate without mail has a post that takes nothing; everything works without
// it through links that an operator hands on.
import type { Language } from '../../domain/person.ts';

export interface Letter {
  readonly to: string;
  readonly language: Language | null;
  readonly about: LetterAbout;
}

export type LetterAbout =
  | {
      readonly kind: 'confirm';
      readonly url: string;
      /** Who applied, as they call themselves, what for, and when. */
      readonly name: string;
      readonly purpose: string;
      readonly at: number;
      /** Stands on the page of this application and of no other. */
      readonly reference: string;
    }
  | { readonly kind: 'reset'; readonly url: string }
  | { readonly kind: 'known'; readonly url: string }
  | { readonly kind: 'approved' | 'rejected'; readonly url: string; readonly word: string | null }
  | { readonly kind: 'suspended'; readonly url: string; readonly reason: string; readonly endsAt: number | null }
  | { readonly kind: 'answered'; readonly url: string; readonly word: string; readonly lifted: boolean }
  | { readonly kind: 'expiring'; readonly url: string; readonly key: string; readonly endsAt: number };

/**
 * What became of a letter: a server has taken it; it never can be sent; or it was not sent, and may be given anew.
 */
export type Delivery = 'sent' | 'refused' | 'unsent';

export interface Post {
  /** False: there is no mail, and what is sent is gone. */
  readonly delivers: boolean;
  /** May another letter of that kind go to that mailbox now? */
  hasRoom(kind: LetterAbout['kind'], to: string): boolean;
  /** Returns at once; a letter that cannot be delivered is logged. `onEnd` hears once what became of it. */
  send(letter: Letter, onEnd?: (how: Delivery) => void): void;
  /** What was sent has left, or was given up; that long at most. */
  settle(withinMs: number): Promise<void>;
}

export const noPost: Post = {
  delivers: false,
  hasRoom: () => true,
  send: (_letter, onEnd) => onEnd?.('refused'),
  settle: () => Promise.resolve(),
};

/**
 * What a stranger wrote, to be read in somebody else's mailbox: short, on one line, and without anything that a mail program
 * makes a link of. Names of hosts are in every script (RFC 5890), and browsers read four dots in them (UTS #46, section 4), so
 * what holds a name together is parted from what follows it; Japanese sentences stay as they are.
 */
export function quoted(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  const short = line.length > 120 ? `${line.slice(0, 119).replace(/[\ud800-\udbff]$/, '')}…` : line;
  return short
    .replaceAll(/[\x21-\x7e]*[.@/:\\][\x21-\x7e]*[a-z0-9][\x21-\x7e]*/gi, '[…]')
    .replaceAll(/([.@/:\\。．｡＠：／＼])(?=\S)/gu, '$1 ');
}

interface Written {
  readonly subject: string;
  readonly text: string;
}

/** Plain text: nothing that somebody wrote elsewhere can become markup here. */
export function write({ language, about }: Letter, gate: string): Written {
  const { subject, lines } = (language === 'ja' ? japanese : english)(about, gate);
  return { subject: `[${gate}] ${subject}`, text: `${lines.filter((line) => line !== '').join('\n\n')}\n` };
}

interface Draft {
  readonly subject: string;
  readonly lines: readonly string[];
}

const day = (at: number, locale: string): string =>
  new Date(at).toLocaleString(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

function english(about: LetterAbout, gate: string): Draft {
  switch (about.kind) {
    case 'confirm':
      return {
        subject: 'Confirm your address',
        lines: [
          `Somebody applied for access to ${gate} with this address:`,
          [
            `Name: ${quoted(about.name)}`,
            `Purpose: ${quoted(about.purpose)}`,
            `Time: ${day(about.at, 'en')} (UTC)`,
            `Application: ${about.reference}`,
          ].join('\n'),
          'If this is your application, with the number that the page showed you, confirm it here:',
          about.url,
          'It works once, for two days. If you did not make this application, do nothing: nobody gets access in your name.',
        ],
      };
    case 'reset':
      return {
        subject: 'Choose a new password',
        lines: [
          'Open this page to choose a new password:',
          about.url,
          'It works once, for an hour. If you did not ask for it, do nothing: your password stays as it is.',
        ],
      };
    case 'known':
      return {
        subject: 'You have an account already',
        lines: [
          `Somebody, probably you, applied for access to ${gate} with this address, which has an account already.`,
          `Sign in, or choose a new password, here: ${about.url}`,
          'If it was not you, do nothing.',
        ],
      };
    case 'approved':
      return {
        subject: 'You have access',
        lines: [`Your application was approved. Your key waits for you here: ${about.url}`, about.word ?? ''],
      };
    case 'rejected':
      return { subject: 'About your application', lines: ['Your application was turned down.', about.word ?? ''] };
    case 'suspended':
      return {
        subject: 'Your access is restricted',
        lines: [
          `Reason: ${about.reason}`,
          about.endsAt === null
            ? 'It lasts until an operator lifts it.'
            : `It ends by itself on ${day(about.endsAt, 'en')} (UTC).`,
          `What it means, and how to appeal: ${about.url}`,
        ],
      };
    case 'answered':
      return {
        subject: 'Your appeal was answered',
        lines: [about.word, about.lifted ? 'The restriction is lifted.' : 'The restriction stays.', about.url],
      };
    case 'expiring':
      return {
        subject: 'A key is about to expire',
        lines: [
          `Your key “${about.key}” stops working on ${day(about.endsAt, 'en')} (UTC).`,
          `Make a new one in time: ${about.url}`,
        ],
      };
  }
}

function japanese(about: LetterAbout, gate: string): Draft {
  switch (about.kind) {
    case 'confirm':
      return {
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
      };
    case 'reset':
      return {
        subject: 'パスワードの再設定',
        lines: [
          '次のページで新しいパスワードを設定してください。',
          about.url,
          'このリンクは1回だけ、1時間有効です。お心当たりがない場合は、何もする必要はありません。パスワードはそのままです。',
        ],
      };
    case 'known':
      return {
        subject: 'すでにアカウントがあります',
        lines: [
          `このアドレスで ${gate} の利用申請がありましたが、すでにアカウントがあります。`,
          `サインインやパスワードの再設定はこちらです: ${about.url}`,
          'お心当たりがない場合は、何もする必要はありません。',
        ],
      };
    case 'approved':
      return {
        subject: '利用できるようになりました',
        lines: [`申請が承認されました。こちらでキーを受け取れます: ${about.url}`, about.word ?? ''],
      };
    case 'rejected':
      return { subject: '申請について', lines: ['申請は承認されませんでした。', about.word ?? ''] };
    case 'suspended':
      return {
        subject: '利用が制限されています',
        lines: [
          `理由: ${about.reason}`,
          about.endsAt === null
            ? '運用者が解除するまで続きます。'
            : `${day(about.endsAt, 'ja')} (UTC) に自動的に終わります。`,
          `内容と異議申し立てはこちらです: ${about.url}`,
        ],
      };
    case 'answered':
      return {
        subject: '異議申し立てへの回答',
        lines: [about.word, about.lifted ? '制限は解除されました。' : '制限は続きます。', about.url],
      };
    case 'expiring':
      return {
        subject: 'キーの有効期限が近づいています',
        lines: [
          `キー「${about.key}」は ${day(about.endsAt, 'ja')} (UTC) に使えなくなります。`,
          `それまでに新しいキーを作ってください: ${about.url}`,
        ],
      };
  }
}
