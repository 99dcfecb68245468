// The shape of the texts of emails, and how what others wrote is put into them.
import type { EmailContent } from './mailer.ts';

export interface Draft {
  readonly subject: string;
  readonly lines: readonly string[];
}

/** One text for each kind of email. */
export type Templates = {
  readonly [Kind in EmailContent['kind']]: (about: EmailContent & { readonly kind: Kind }, gate: string) => Draft;
};

/** A moment in UTC, as the language writes it. */
export const day = (at: number, locale: string): string =>
  new Date(at).toLocaleString(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });

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
