// Announcements to the people of the gate, and who has dismissed which.
import type { Announcement } from '../../domain/announcement.ts';
import type { AuditEvent } from '../../domain/audit.ts';
import type { AnnouncementId, PersonId } from '../../domain/id.ts';

export interface AnnouncementStore {
  /** The latest beginning first. */
  listAnnouncements(): Promise<Announcement[]>;
  findAnnouncement(id: AnnouncementId): Promise<Announcement | undefined>;
  /** Stores a new one (version 1), or the next version of one. `gone`: it is missing, or was changed meanwhile. */
  putAnnouncement(announcement: Announcement, event: AuditEvent): Promise<'gone' | undefined>;
  /** False if there is no such announcement. */
  deleteAnnouncement(id: AnnouncementId, event: AuditEvent): Promise<boolean>;
  /** Doing it again changes nothing. */
  dismissAnnouncement(id: AnnouncementId, person: PersonId): Promise<void>;
  listDismissed(person: PersonId): Promise<AnnouncementId[]>;
}
