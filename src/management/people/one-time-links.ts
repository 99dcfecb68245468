// One-time links, sent by email or by an operator and used once. Their code is in the fragment (#), which browsers do not send to
// servers, and only its digest is stored. Opening the page does not use the link up; pressing its button does.
import type { z } from 'zod';
import { digestOf } from '../../domain/api-key.ts';
import { type AuditEvent, type Author, auditEvent, leadingTo } from '../../domain/audit.ts';
import { type PersonId, randomBase62 } from '../../domain/id.ts';
import { passwordReset } from '../../domain/outbox.ts';
import { type LinkPurpose, linkLifeMs, linkPages, type OneTimeLink } from '../../domain/person.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault } from '../fault.ts';
import { type LinkCodes, newSeed } from './link-codes.ts';
import type { linkSchema } from './schemas.ts';

export interface MadeLink {
  readonly url: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

export interface DraftLink extends MadeLink {
  /** To be stored together with its subject. */
  readonly stored: OneTimeLink;
}

export const linkUrl = (portal: URL, purpose: LinkPurpose, code: string): string =>
  `${new URL(`/portal/${linkPages[purpose]}`, portal).href}#${code}`;

/** A link with a new code, not yet stored. */
export function draftLink(
  portal: URL,
  purpose: LinkPurpose,
  subject: string,
  { at }: Author,
  code = `link_${randomBase62(43)}`,
): DraftLink {
  const expiresAt = at + linkLifeMs[purpose];
  return {
    url: linkUrl(portal, purpose, code),
    expiresAt,
    stored: { digest: digestOf(code), purpose, subject, createdAt: at, expiresAt },
  };
}

/** A link for an operator to pass on; earlier links for the same purpose become invalid. */
export async function createLink(
  store: Store,
  portal: URL,
  purpose: LinkPurpose,
  subject: string,
  author: Author,
): Promise<MadeLink> {
  const { url, expiresAt, stored } = draftLink(portal, purpose, subject, author);
  await store.insertLink(stored, linkEvent(stored, author));
  return { url, expiresAt };
}

/** As `createLink`, but earlier links stay valid; undefined if `most` of them are. */
export async function createLinkBeside(
  store: Store,
  portal: URL,
  purpose: LinkPurpose,
  subject: string,
  author: Author,
  most: number,
): Promise<MadeLink | undefined> {
  const { url, expiresAt, stored } = draftLink(portal, purpose, subject, author);
  return (await store.insertLink(stored, linkEvent(stored, author), most)) ? { url, expiresAt } : undefined;
}

/**
 * A link to a new password, which anyone can request for anyone, and its email. Existing links, including those of an operator,
 * stay valid. If `most` links are valid already, no further one is created, and the result is false.
 */
export function emailReset(
  { store, portal, codes }: { readonly store: Store; readonly portal: URL; readonly codes: LinkCodes },
  person: PersonId,
  author: Author,
  most: number,
): Promise<boolean> {
  const seed = newSeed();
  const { stored } = draftLink(portal, 'password', person, author, codes.codeOf(seed));
  return store.insertLink(stored, leadingTo(linkEvent(stored, author), [passwordReset(person, seed)]), most);
}

/** The code of a link is shown once and stored as a digest only; a repeated request only gets the expiry of the link. */
export const linkShownOnce = {
  madeAs: ({ expiresAt }: { readonly expiresAt: string }): string => expiresAt,
  again: (_context: unknown, expiresAt: string) => Promise.resolve({ expiresAt }),
};

export const showLink = ({ url, expiresAt }: MadeLink): z.output<typeof linkSchema> => ({
  url,
  expiresAt: iso(expiresAt),
});

const linkEvent = ({ purpose, subject, expiresAt }: OneTimeLink, author: Author): AuditEvent =>
  auditEvent(author, `link.${purpose}`, subject, null, { expiresAt: iso(expiresAt) });

/** Whether the code belongs to a valid link of that subject. */
export async function opens(
  store: Store,
  code: string,
  purpose: LinkPurpose,
  subject: string,
  at: WallMs,
): Promise<boolean> {
  return (await store.findLink(digestOf(code), purpose, at)) === subject;
}

/** Whether the code belongs to a valid link of its kind. */
export async function opensSomething(
  store: Store,
  code: string,
  purpose: LinkPurpose | 'invite',
  at: WallMs,
): Promise<boolean> {
  const digest = digestOf(code.trim());
  if (purpose === 'invite') return (await store.findInvite(digest, undefined, at)) !== undefined;
  if (purpose === 'confirm') return (await store.findConfirmable(digest, at)) !== undefined;
  return (await store.findLink(digest, purpose, at)) !== undefined;
}

/** The subject of a link, without using it up. @throws Fault if it is not valid. */
export async function readLink(store: Store, code: string, purpose: LinkPurpose, at: WallMs): Promise<string> {
  const subject = await store.findLink(digestOf(code.trim()), purpose, at);
  if (subject === undefined) throw deadLink();
  return subject;
}

/** Uses a link up and returns its subject. @throws Fault if it is not valid. */
export async function useLink(store: Store, code: string, purpose: LinkPurpose, at: WallMs): Promise<string> {
  const subject = await store.useLink(digestOf(code.trim()), purpose, at);
  if (subject === undefined) throw deadLink();
  return subject;
}

export const deadLink = (): Fault => new Fault('link_dead', {}, 'forbidden');
