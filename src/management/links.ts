// One-time links: made, handed on by mail or by an operator, used once. What they carry stands behind the #, which no browser
// sends to a server, and is stored as a digest only; opening the page uses nothing up, its button does.
import { digestOf } from '../domain/api-key.ts';
import { type Author, auditEvent } from '../domain/audit.ts';
import { randomBase62 } from '../domain/id.ts';
import { type LinkPurpose, linkLifeMs, linkPages } from '../domain/person.ts';
import type { WallMs } from '../domain/time.ts';
import type { Store } from '../store/ports.ts';
import { Fault } from './fault.ts';

export interface MadeLink {
  readonly url: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** A link whose code nobody has seen before; earlier ones for the same end with it. */
export async function createLink(
  store: Store,
  portal: URL,
  purpose: LinkPurpose,
  subject: string,
  author: Author,
): Promise<MadeLink> {
  const code = `link_${randomBase62(43)}`;
  const expiresAt = author.at + linkLifeMs[purpose];
  await store.insertLink(
    { digest: digestOf(code), purpose, subject, createdAt: author.at, expiresAt },
    auditEvent(author, `link.${purpose}`, subject, null, { expiresAt: new Date(expiresAt).toISOString() }),
  );
  return { url: `${new URL(`/portal/${linkPages[purpose]}`, portal).href}#${code}`, expiresAt };
}

/** Uses a link up; gives what it is about. @throws Fault where it opens nothing. */
export async function useLink(store: Store, code: string, purpose: LinkPurpose, at: WallMs): Promise<string> {
  const subject = await store.useLink(digestOf(code.trim()), purpose, at);
  if (subject === undefined)
    throw new Fault('This link opens nothing: it was used, is over, or another took its place.', 'forbidden');
  return subject;
}
