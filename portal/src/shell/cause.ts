// Why something is as it is, in the language of the page, where the gate says it beside a state.
import { useTranslation } from 'react-i18next';
import { causeIn } from '../../../src/domain/causes.ts';
import type { Told } from '../api-types.ts';

/** The words of another system, such as those of a mail server, stay as they are; so do those that a person has typed. */
export function useCause(): (told: Told) => string {
  const { i18n } = useTranslation();
  return (told) => causeIn(i18n.language === 'ja' ? 'ja' : 'en', textOf(told));
}

/** As the gateway wrote it. Only for comparisons, and for what marks it as English. */
export const textOf = (told: Told): string => told as unknown as string;
