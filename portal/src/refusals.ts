// Translates a refusal to the language of the page, by its reason and parameters, or by its code. The English text of the
// gateway is never shown; it is for programs and logs. Loaded with the first refusal.
import { registry } from '../../src/domain/error.ts';
import { japanese as inJapanese } from '../../src/domain/error-japanese.ts';
import type { Language } from '../../src/domain/person.ts';
import { asSentence, fill, type Reason, type Said, sentenceOf, sentences } from '../../src/domain/sentences.ts';
import { problems } from '../../src/management/http/problem-codes.ts';
import { japanese } from './words/refusals.ts';

/** Codes of the sign-in library; pages translate its other codes by the action. */
const signInCodes: Readonly<Record<string, Readonly<Record<Language, string>>>> = {
  INVALID_EMAIL_OR_PASSWORD: {
    en: 'Wrong email or password.',
    ja: 'メールアドレスかパスワードが違います。',
  },
  INVALID_PASSWORD: { en: 'That is not your password.', ja: 'パスワードが違います。' },
  INVALID_CODE: { en: 'That code is wrong or has expired.', ja: 'コードが違うか、有効期限が切れています。' },
  INVALID_BACKUP_CODE: {
    en: 'That backup code is wrong or was used.',
    ja: 'バックアップコードが違うか、使用済みです。',
  },
};

/** `reason` is from the network. Undefined: unknown to this page, for example from a newer gateway. */
export function reasonIn(said: { readonly reason?: unknown; readonly parameters?: unknown }, language: Language) {
  const { reason, parameters } = said;
  if (typeof reason !== 'string' || !Object.hasOwn(sentences, reason)) return undefined;
  const given = (parameters ?? {}) as Said['parameters'];
  const { at } = given;
  const known: Said = {
    reason: reason as Reason,
    parameters: typeof at === 'string' ? { ...given, at: placeIn(at, language) } : given,
  };
  if (language === 'en') return sentenceOf(known);
  const text = fill(known, japanese);
  return text.endsWith('。') ? text : `${text}。`;
}

/** `body.scopes.0`, as a page says it: the field, and which of its entries. */
function placeIn(path: string, language: Language): string {
  const [, ...parts] = path.split('.');
  if (parts.length === 0) return path;
  return parts
    .map((part) => (/^\d+$/.test(part) ? Number(part) + 1 : part))
    .map((part) => (typeof part === 'string' ? part : language === 'ja' ? `${part}番目` : `entry ${part}`))
    .join(language === 'ja' ? 'の' : ', ');
}

export function codeIn(code: string, language: Language): string | undefined {
  if (Object.hasOwn(problems, code)) return problems[code as keyof typeof problems][language];
  if (Object.hasOwn(registry, code)) {
    const known = code as keyof typeof registry;
    return language === 'ja' ? inJapanese[known] : asSentence(registry[known].message);
  }
  return Object.hasOwn(signInCodes, code) ? signInCodes[code]?.[language] : undefined;
}
