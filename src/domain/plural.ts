// The form of a word that a number needs, by the rules of the language (CLDR): 1 call, 2 calls, 1.5 calls; Japanese words have one form.
import type { Language } from './person.ts';

const rules: Readonly<Record<Language, Intl.PluralRules>> = {
  en: new Intl.PluralRules('en'),
  ja: new Intl.PluralRules('ja'),
};

/** `one` for a number that takes the singular, otherwise `other`. */
export const formOf = (count: number, one: string, other: string, language: Language = 'en'): string =>
  rules[language].select(count) === 'one' ? one : other;

/** What a sentence may have in the place of a word: `{used|is|are}`, the form for the number of the hole `used`. */
export type HoleName<Hole extends string> = Hole extends `${infer Name}|${string}` ? Name : Hole;

/** A hole, `{used}`, or a word that follows its number. */
export const hole = /\{(\w+)(?:\|([^{}|]*)\|([^{}|]*))?\}/g;

/** Fills the holes of an English sentence; numbers may have separators. */
export const fillHoles = (sentence: string, value: (name: string) => string): string =>
  sentence.replaceAll(hole, (_, name: string, one?: string, other?: string) =>
    one === undefined || other === undefined
      ? value(name)
      : formOf(Number(value(name).replaceAll(',', '')), one, other),
  );
