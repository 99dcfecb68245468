// Which addresses reach the same mailbox, so that a person cannot get a second account through another spelling of their
// address. Pure.

/** Domains that document that dots before the @ are ignored. */
const dotless = new Set(['gmail.com', 'googlemail.com']);

/**
 * Maps all spellings of a mailbox to one key; takes a normalised address. A + starts a sub-address (RFC 5233), which
 * Gmail, Outlook, iCloud, Fastmail, Proton and a default Postfix deliver to the same person. Where a domain treats + as
 * an ordinary character, the second person is not refused but waits for an operator.
 */
export function mailboxOf(email: string, withoutDots: readonly string[] = []): string {
  const at = email.lastIndexOf('@');
  const domain = email.slice(at + 1);
  const plus = email.indexOf('+');
  // A + at the start is not a sub-address.
  const local = email.slice(0, plus > 0 && plus < at ? plus : at);
  const plain = dotless.has(domain) || withoutDots.includes(domain) ? local.replaceAll('.', '') : local;
  return `${plain}@${domain === 'googlemail.com' ? 'gmail.com' : domain}`;
}
