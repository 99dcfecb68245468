// What is sent and answered about announcements.
import { z } from 'zod';
import { announcementBounds } from '../../domain/announcement.ts';
import { id, text, time, timeOrNull } from '../http/fields.ts';

const words = text(announcementBounds.characters).nullable();
const fields = {
  en: words.describe('the text in English; null: none'),
  ja: words.describe('the text in Japanese; null: none'),
  from: time.describe('when it starts'),
  until: timeOrNull.describe('when it ends; null: when it is changed or deleted'),
  header: z.boolean().describe('answers to calls carry it as X-Sekisho-Announcement (RFC 8187)'),
};
export const announcementSchema = z
  .strictObject({ id: id('ann'), ...fields, createdAt: time, changedAt: time, version: z.int() })
  .meta({ id: 'Announcement' });
export const announcementChangeSchema = z.strictObject(fields).partial().meta({ id: 'AnnouncementChange' });
export const newAnnouncementSchema = z.strictObject(fields).partial().meta({ id: 'NewAnnouncement' });
/** What people on the pages are told. */
export const shownAnnouncementSchema = z.strictObject({
  id: id('ann'),
  en: z.string().nullable(),
  ja: z.string().nullable(),
});
