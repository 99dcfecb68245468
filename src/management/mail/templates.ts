// The types of email texts, and how user-supplied text is inserted into them.
import type { EmailContent } from './mailer.ts';

export interface Draft {
  readonly subject: string;
  readonly lines: readonly string[];
}

/** One text for each kind of email. */
export type Templates = {
  readonly [Kind in EmailContent['kind']]: (about: EmailContent & { readonly kind: Kind }, gate: string) => Draft;
};

/** A date and time in UTC, in the format of the language. */
export const day = (at: number, locale: string): string =>
  new Date(at).toLocaleString(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

/**
 * Untrusted text for another person's mailbox: short, on one line, and without anything that a mail program turns into a link.
 * Host names can use any script (RFC 5890), and browsers accept four kinds of dots (UTS #46, section 4), so a space is inserted
 * after dots inside words; Japanese sentences stay unchanged.
 */
export function quoted(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  const short = line.length > 120 ? `${line.slice(0, 119).replace(/[\ud800-\udbff]$/, '')}…` : line;
  return short
    .replaceAll(/[\x21-\x7e]*[.@/:\\][\x21-\x7e]*[a-z0-9][\x21-\x7e]*/gi, '[…]')
    .replaceAll(/([.@/:\\。．｡＠：／＼])(?=\S)/gu, '$1 ');
}
