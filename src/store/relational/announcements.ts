// Announcements: the definition as JSON text and the version, which every change must increment; and who dismissed which.
import type { Selectable } from 'kysely';
import type { Announcement } from '../../domain/announcement.ts';
import type { AnnouncementStore } from '../ports/announcements.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';
import { deleteVersioned, putVersioned } from './versioned.ts';

export function announcementQueries(connection: Connection): AnnouncementStore {
  const { db } = connection;
  const all = () => db.selectFrom('announcements').selectAll();
  return {
    listAnnouncements: async () =>
      (await all().execute()).map(announcementOf).toSorted((a, b) => b.from - a.from || b.createdAt - a.createdAt),
    findAnnouncement: async (id) => {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row && announcementOf(row);
    },
    putAnnouncement: (announcement, event) =>
      putVersioned(connection, 'announcements', rowOf(announcement), () => Promise.resolve(undefined), event),
    deleteAnnouncement: (id, event) => deleteVersioned(connection, 'announcements', id, event),
    dismissAnnouncement: async (id, person) => {
      await db
        .insertInto('dismissals')
        .values({ person_id: person, announcement_id: id })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    },
    listDismissed: async (person) =>
      (await db.selectFrom('dismissals').select('announcement_id').where('person_id', '=', person).execute()).map(
        (row) => row.announcement_id,
      ),
  };
}

type Definition = Pick<Announcement, 'texts' | 'from' | 'until' | 'header'>;

const rowOf = (announcement: Announcement): Tables['announcements'] => {
  const { id, version, createdAt, changedAt, texts, from, until, header } = announcement;
  const definition: Definition = { texts, from, until, header };
  return { id, version, created_at: createdAt, changed_at: changedAt, definition: JSON.stringify(definition) };
};

const announcementOf = (row: Selectable<Tables['announcements']>): Announcement => ({
  id: row.id,
  ...(JSON.parse(row.definition) as Definition),
  version: Number(row.version),
  createdAt: Number(row.created_at),
  changedAt: Number(row.changed_at),
});
