// The use cases of announcements: create, change, delete; and for each person, which are in force and not dismissed. The data
// plane follows within a second.
import type { z } from 'zod';
import { type Announcement, announcementBounds, headerOf, isInForce } from '../../domain/announcement.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { type AnnouncementId, newAnnouncementId, type PersonId } from '../../domain/id.ts';
import { iso } from '../../domain/time.ts';
import type { AnnouncementStore } from '../../store/ports/announcements.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, requireProse } from '../fault.ts';
import type { announcementSchema, shownAnnouncementSchema } from './schemas.ts';

/** Times in Unix milliseconds. */
export interface AnnouncementFields {
  readonly en?: string | null | undefined;
  readonly ja?: string | null | undefined;
  readonly from?: number | undefined;
  readonly until?: number | null | undefined;
  readonly header?: boolean | undefined;
}

/** @throws Fault. */
export async function requireAnnouncement(store: AnnouncementStore, id: string): Promise<Announcement> {
  const found = await store.findAnnouncement(id as AnnouncementId);
  if (!found) throw new Fault('announcement_missing', { id }, 'not_found');
  return found;
}

/** @throws Fault. */
export function createAnnouncement(store: Store, fields: AnnouncementFields, author: Author): Promise<Announcement> {
  return store.atomically(async (within) => {
    const { count: most } = announcementBounds;
    if ((await within.listAnnouncements()).length >= most) throw new Fault('announcements_full', { most }, 'conflict');
    const { at } = author;
    const blank = { texts: { en: null, ja: null }, from: at, until: null, header: false };
    const times = { createdAt: at, changedAt: at, version: 1 };
    const made = withFields({ id: newAnnouncementId(), ...blank, ...times }, fields, at);
    await within.putAnnouncement(made, auditEvent(author, 'announcement.create', made.id, null, audited(made)));
    return made;
  });
}

/** @throws Fault. */
export function changeAnnouncement(
  store: Store,
  id: string,
  fields: AnnouncementFields,
  author: Author,
): Promise<Announcement> {
  return store.atomically(async (within) => {
    const before = await requireAnnouncement(within, id);
    const changed = withFields(before, fields, author.at);
    const after = { ...changed, changedAt: author.at, version: before.version + 1 };
    const event = auditEvent(author, 'announcement.set', after.id, audited(before), audited(after));
    if ((await within.putAnnouncement(after, event)) === 'gone')
      throw new Fault('announcement_changed', { id }, 'conflict');
    return after;
  });
}

/** @throws Fault. */
export function deleteAnnouncement(store: Store, id: string, author: Author): Promise<void> {
  return store.atomically(async (within) => {
    const gone = await requireAnnouncement(within, id);
    await within.deleteAnnouncement(gone.id, auditEvent(author, 'announcement.delete', gone.id, audited(gone), null));
  });
}

/** Hides the announcement from the person. @throws Fault. */
export function dismissAnnouncement(store: Store, id: string, person: PersonId): Promise<void> {
  return store.atomically(async (within) => {
    const { id: known } = await requireAnnouncement(within, id);
    await within.dismissAnnouncement(known, person);
  });
}

/** The announcements that this person sees now. */
export async function announcementsFor(
  store: AnnouncementStore,
  person: PersonId,
  now: number,
): Promise<z.output<typeof shownAnnouncementSchema>[]> {
  const shown = (await store.listAnnouncements()).filter((each) => isInForce(each, now));
  if (shown.length === 0) return [];
  const dismissed = new Set(await store.listDismissed(person));
  return shown.filter(({ id }) => !dismissed.has(id)).map(({ id, texts }) => ({ id, en: texts.en, ja: texts.ja }));
}

export const showAnnouncement = (announcement: Announcement): z.output<typeof announcementSchema> => {
  const { id, createdAt, changedAt, version } = announcement;
  return { id, ...audited(announcement), createdAt: iso(createdAt), changedAt: iso(changedAt), version };
};

const audited = ({ texts: { en, ja }, from, until, header }: Announcement) => ({
  en,
  ja,
  from: iso(from),
  until: iso(until),
  header,
});

/** @throws Fault. */
function withFields(before: Announcement, fields: AnnouncementFields, now: number): Announcement {
  const { from = before.from, until = before.until, header = before.header } = fields;
  const { en = before.texts.en, ja = before.texts.ja } = fields;
  const texts = { en: onOneLine(en), ja: onOneLine(ja) };
  if (texts.en === null && texts.ja === null) throw new Fault('announcement_empty', {});
  if (until !== null && until <= Math.max(from, now)) throw new Fault('announcement_over', {});
  const { headerBytes: most } = announcementBounds;
  if (header && headerOf({ texts }).length > most) throw new Fault('announcement_header_long', { most });
  return { ...before, texts, from, until, header };
}

/** @throws Fault. */
const onOneLine = (text: string | null): string | null =>
  text === null ? null : requireProse('what_announcement', text, announcementBounds.characters).replaceAll(/\s+/g, ' ');
