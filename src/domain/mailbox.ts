// Which addresses end in one mailbox, so that nobody gets a second account by another spelling of the address they have. Pure.

/** Domains whose owner says that dots before the @ mean nothing. */
const dotless = new Set(['gmail.com', 'googlemail.com']);

/**
 * One key for all spellings of a mailbox; takes a normalised address. What follows a + is sub-addressing (RFC 5233), which
 * Gmail, Outlook, iCloud, Fastmail, Proton and a usual Postfix deliver to the same person. Where a domain treats + as an
 * ordinary sign the second person is not refused: they wait for an operator.
 */
export function mailboxOf(email: string, withoutDots: readonly string[] = []): string {
  const at = email.lastIndexOf('@');
  const domain = email.slice(at + 1);
  const plus = email.indexOf('+');
  // An address that begins with + has nothing else before the @.
  const local = email.slice(0, plus > 0 && plus < at ? plus : at);
  const plain = dotless.has(domain) || withoutDots.includes(domain) ? local.replaceAll('.', '') : local;
  return `${plain}@${domain === 'googlemail.com' ? 'gmail.com' : domain}`;
}
