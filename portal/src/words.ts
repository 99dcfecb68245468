// The words of all pages in both languages: the visitor's choice, then the browser's language, then English. Each part of the
// portal has its own words, loaded with its pages.
import i18next, { type i18n as I18n } from 'i18next';
import { initReactI18next } from 'react-i18next';
import { isolated } from './shell/isolate.ts';
import { lists } from './words/lists.ts';
import { log } from './words/log.ts';
import { member } from './words/member.ts';
import { notices } from './words/notices.ts';
import { operator } from './words/operator.ts';
import { policy } from './words/policy.ts';
import { reference } from './words/reference.ts';
import { serving } from './words/serving.ts';
import { settings } from './words/settings.ts';
import { shell } from './words/shell.ts';
import { visitor } from './words/visitor.ts';

export const languages = { en: 'English', ja: '日本語' } as const;
export type Language = keyof typeof languages;

const stored = 'sekisho-language';

function firstLanguage(): Language {
  const wanted = [remembered(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag): tag is Language => tag !== undefined && Object.hasOwn(languages, tag)) ?? 'en';
}

function remembered(): string | undefined {
  try {
    return localStorage.getItem(stored) ?? undefined;
  } catch {
    return undefined;
  }
}

export const i18n: I18n = i18next.createInstance();

void i18n.use(initReactI18next).init({
  lng: firstLanguage(),
  fallbackLng: 'en',
  defaultNS: 'shell',
  initAsync: false,
  interpolation: { escapeValue: true, escape: isolated },
  resources: {
    en: {
      shell: shell.en,
      visitor: visitor.en,
      member: member.en,
      operator: operator.en,
      policy: policy.en,
      serving: serving.en,
      lists: lists.en,
      log: log.en,
      notices: notices.en,
      settings: settings.en,
      reference: reference.en,
    },
    ja: {
      shell: shell.ja,
      visitor: visitor.ja,
      member: member.ja,
      operator: operator.ja,
      policy: policy.ja,
      serving: serving.ja,
      lists: lists.ja,
      log: log.ja,
      notices: notices.ja,
      settings: settings.ja,
      reference: reference.ja,
    },
  },
});

const mark = (language: string): void => {
  document.documentElement.lang = language;
};
mark(i18n.language);
i18n.on('languageChanged', mark);

export function chooseLanguage(language: Language): void {
  try {
    localStorage.setItem(stored, language);
  } catch {
    // The choice then lasts until the page is left.
  }
  void i18n.changeLanguage(language);
}
