// Dates, durations and figures as the reader's language writes them.
import { useTranslation } from 'react-i18next';

export interface Writing {
  /** `23 Nov, 19:04`; with the year where it is another one. */
  readonly moment: (time: string | null | undefined) => string;
  /** `3 minutes ago`, `in 5 days`. */
  readonly relative: (time: string) => string;
  readonly figure: (value: number) => string;
  /** `1.2M` */
  readonly short: (value: number) => string;
  readonly bytes: (value: number) => string;
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
  const { language } = useTranslation().i18n;
  return {
    moment: (time) => {
      if (time === null || time === undefined) return '';
      const date = new Date(time);
      const otherYear = date.getFullYear() !== new Date().getFullYear();
      return new Intl.DateTimeFormat(language, {
        ...(otherYear ? { year: 'numeric' } : {}),
        month: 'short',
        day: 'numeric',
        hour: '2-digit',
        minute: '2-digit',
      }).format(date);
    },
    relative: (time) => {
      const seconds = (new Date(time).getTime() - Date.now()) / 1000;
      const [unit, size] = steps.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
      return new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(Math.round(seconds / size), unit);
    },
    figure: (value) => new Intl.NumberFormat(language).format(value),
    short: (value) => new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(value),
    bytes: (value) => {
      const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'] as const;
      const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
      return new Intl.NumberFormat(language, {
        style: 'unit',
        unit: units[power] ?? 'byte',
        unitDisplay: 'short',
        maximumFractionDigits: 1,
      }).format(value / 1000 ** power);
    },
  };
}
