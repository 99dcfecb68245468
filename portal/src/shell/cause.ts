// Why something is as it is, in the language of the page, where the gate says it beside a state.
import { useTranslation } from 'react-i18next';
import { causeIn } from '../../../src/domain/causes.ts';

/** The words of another system, such as those of a mail server, stay as they are. */
export function useCause(): (text: string) => string {
  const { i18n } = useTranslation();
  return (text) => causeIn(i18n.language === 'ja' ? 'ja' : 'en', text);
}
