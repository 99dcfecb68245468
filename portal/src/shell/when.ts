// Formats dates, durations and figures in the reader's language.
import { useTranslation } from 'react-i18next';
import { isolated } from './isolate.ts';
import { useZone } from './zone.ts';

export interface Writing {
  /** `23 Nov, 19:04`; with the year where it is another one. */
  readonly moment: (time: string | null | undefined) => string;
  /** With year, seconds and time zone: `26 Nov 2026, 19:04:05 JST`. */
  readonly exact: (time: string | null | undefined) => string;
  /** An hour, a day or a month, as the gate names them: `2026-11-26T14`, `2026-11-26`, `2026-11`. */
  readonly period: (group: string, length: 'short' | 'long') => string;
  /** The beginning of a step on an axis of time: with hours if steps are shorter than a day, without a date if shorter than two hours. */
  readonly span: (time: string, stepMs: number, length: 'short' | 'long') => string;
  /** `3 minutes ago`, `in 5 days`. */
  readonly relative: (time: string) => string;
  readonly figure: (value: number) => string;
  /** `1.2M` */
  readonly short: (value: number) => string;
  readonly bytes: (value: number) => string;
  /** `a, b`, as the language separates the parts of a list. */
  readonly list: (parts: readonly string[]) => string;
  /** `label: value` */
  readonly labeled: (label: string, value: string) => string;
  /** `a · b`: facts about one thing, without empty ones. */
  readonly dotted: (facts: readonly string[]) => string;
  /** `text (aside)` */
  readonly aside: (text: string, aside: string) => string;
}

const steps = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const;

export function useWriting(): Writing {
  const { language: spoken } = useTranslation().i18n;
  const language = localeOf(spoken);
  const timeZone = useZone();
  return {
    moment: (time) => {
      if (time === null || time === undefined) return '';
      const date = new Date(time);
      const year = new Intl.DateTimeFormat('en', { timeZone, year: 'numeric' });
      const otherYear = year.format(date) !== year.format(new Date());
      return new Intl.DateTimeFormat(language, {
        ...(otherYear ? { year: 'numeric' } : {}),
        month: 'short',
        day: 'numeric',
        hour: '2-digit',
        minute: '2-digit',
        timeZone,
      }).format(date);
    },
    exact: (time) =>
      time === null || time === undefined
        ? ''
        : new Intl.DateTimeFormat(language, {
            year: 'numeric',
            month: 'short',
            day: 'numeric',
            hour: '2-digit',
            minute: '2-digit',
            second: '2-digit',
            timeZoneName: 'short',
            timeZone,
          }).format(new Date(time)),
    period: (group, length) => periodIn(language, group, length),
    span: (time, stepMs, length) => {
      const date = {
        year: length === 'long' || stepMs >= 86_400_000 ? '2-digit' : undefined,
        month: 'short',
        day: 'numeric',
      } as const;
      const hour = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
      const options: Intl.DateTimeFormatOptions =
        length === 'long'
          ? { ...date, ...(stepMs < 86_400_000 ? hour : {}) }
          : stepMs < 7_200_000
            ? hour
            : stepMs < 86_400_000
              ? { ...date, ...hour }
              : date;
      return new Intl.DateTimeFormat(language, { ...options, timeZone }).format(new Date(time));
    },
    relative: (time) => {
      const seconds = (new Date(time).getTime() - Date.now()) / 1000;
      const [unit, size] = steps.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
      const text = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.round(seconds / size), unit);
      // Intl puts a space behind the figure, which Japanese does not have (docs/glossary.ja.md).
      return spoken === 'ja' ? text.replaceAll(' ', '') : text;
    },
    figure: (value) => new Intl.NumberFormat(language).format(value),
    // Not British English, which abbreviates a million as a lowercase m.
    short: (value) => new Intl.NumberFormat(spoken, { notation: 'compact', maximumFractionDigits: 1 }).format(value),
    bytes: (value) => {
      const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
      const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
      // Otherwise `900 byte`.
      const style = power === 0 ? 'long' : 'short';
      return withUnit(language, value / 1000 ** power, units[power] ?? 'byte', style, 1);
    },
    list: (parts) => parts.map(isolated).join(spoken === 'ja' ? '、' : ', '),
    dotted: (facts) =>
      facts
        .filter((fact) => fact !== '')
        .map(isolated)
        .join(' · '),
    aside: (text, aside) => `${isolated(text)}${spoken === 'ja' ? `（${aside}）` : ` (${aside})`}`,
    labeled: (label, value) => `${isolated(label)}${spoken === 'ja' ? '：' : ': '}${isolated(value)}`,
  };
}

/** The viewer's variety of the page's language, so that English dates are only American for American viewers. */
function localeOf(language: string): string {
  const own = navigator.languages.find((tag) => tag.startsWith(`${language}-`));
  return own ?? (language === 'en' ? 'en-GB' : language);
}

/** The group is a wall-clock time without a zone, so it is formatted as UTC. */
function periodIn(language: string, group: string, length: 'short' | 'long'): string {
  const long = length === 'long';
  const write = (date: string, options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat(language, { timeZone: 'UTC', ...options }).format(new Date(date));
  const date = { day: 'numeric', month: 'short', year: long ? 'numeric' : undefined } as const;
  if (group.length === 7) return write(`${group}-01T00:00Z`, { month: 'short', year: long ? 'numeric' : '2-digit' });
  if (group.length === 10) return write(`${group}T00:00Z`, date);
  const hour = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' } as const;
  return write(`${group}:00Z`, long ? { ...date, ...hour } : hour);
}

/** A figure with its unit. Japanese has no space before units that it writes itself (docs/glossary.ja.md). */
export const withUnit = (
  language: string,
  value: number,
  unit: string,
  unitDisplay: 'long' | 'short',
  maximumFractionDigits = 3,
): string =>
  new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay, maximumFractionDigits })
    .format(value)
    .replace(/ (?=[\p{sc=Han}\p{sc=Katakana}])/u, '');
