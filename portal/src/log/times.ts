// Formats durations in the reader's language.
import { useTranslation } from 'react-i18next';
import { withUnit } from '../shell/when.ts';

export interface Times {
  /** `850 ms`, `4.2 s`, `3 min`; empty for none. */
  readonly length: (ms: number | null) => string;
}

export function useTimes(): Times {
  const { language } = useTranslation().i18n;
  const unit = (value: number, name: 'millisecond' | 'second' | 'minute' | 'hour', digits: number): string =>
    withUnit(language, value, name, 'short', digits);
  return {
    length: (ms) => {
      if (ms === null) return '';
      if (ms < 1_000) return unit(Math.round(ms), 'millisecond', 0);
      if (ms < 120_000) return unit(ms / 1_000, 'second', ms < 10_000 ? 2 : 1);
      return ms < 7_200_000 ? unit(ms / 60_000, 'minute', 1) : unit(ms / 3_600_000, 'hour', 1);
    },
  };
}
