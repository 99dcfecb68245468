// The rows about announcements.
import { ownPerson } from '../http/authenticate.ts';
import { type AnyCall, type Endpoint, endpoint } from '../http/endpoint.ts';
import { pageOf } from '../http/fields.ts';
import {
  type AnnouncementFields,
  changeAnnouncement,
  createAnnouncement,
  deleteAnnouncement,
  dismissAnnouncement,
  requireAnnouncement,
  showAnnouncement,
} from './announcements.ts';
import { announcementChangeSchema, announcementSchema, newAnnouncementSchema } from './schemas.ts';

const read = 'management:read';
const write = 'management:write';
const group = 'Announcements';

const shown = async ({ store, params }: Pick<AnyCall, 'store' | 'params'>) =>
  showAnnouncement(await requireAnnouncement(store, params['id'] ?? ''));

type Sent = Omit<AnnouncementFields, 'from' | 'until'> & {
  readonly from?: string | undefined;
  readonly until?: string | null | undefined;
};

const fieldsOf = ({ from, until, ...rest }: Sent): AnnouncementFields => ({
  ...rest,
  from: from === undefined ? undefined : Date.parse(from),
  until: typeof until === 'string' ? Date.parse(until) : until,
});

export const announcementEndpoints: readonly Endpoint[] = [
  endpoint('listAnnouncements', 'get /announcements', {
    summary: 'All announcements, latest start first',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: pageOf(announcementSchema),
    run: async ({ store }) => ({ items: (await store.listAnnouncements()).map(showAnnouncement), next: null }),
  }),
  endpoint('createAnnouncement', 'post /announcements', {
    summary: 'Create an announcement for everyone who is signed in and, with header, for callers',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: newAnnouncementSchema,
    answer: announcementSchema,
    creates: true,
    again: async ({ store }, id) => showAnnouncement(await requireAnnouncement(store, id)),
    run: async ({ store, body, author }) => showAnnouncement(await createAnnouncement(store, fieldsOf(body), author)),
  }),
  endpoint('getAnnouncement', 'get /announcements/{id}', {
    summary: 'An announcement',
    group,
    needs: read,
    fresh: 'never',
    pace: 'look',
    answer: announcementSchema,
    run: shown,
  }),
  endpoint('changeAnnouncement', 'patch /announcements/{id}', {
    summary: 'Change an announcement; it stays hidden for people who have dismissed it',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    body: announcementChangeSchema,
    answer: announcementSchema,
    before: shown,
    run: async ({ store, params, body, author }) =>
      showAnnouncement(await changeAnnouncement(store, params['id'] ?? '', fieldsOf(body), author)),
  }),
  endpoint('deleteAnnouncement', 'delete /announcements/{id}', {
    summary: 'Delete an announcement',
    group,
    needs: write,
    fresh: 'always',
    pace: 'change',
    before: shown,
    run: async ({ store, params, author }) => {
      await deleteAnnouncement(store, params['id'] ?? '', author);
      return undefined;
    },
  }),
  endpoint('dismissAnnouncement', 'post /me/announcements/{id}/dismiss', {
    summary: 'Dismiss an announcement for the signed-in person',
    group,
    needs: 'person',
    fresh: 'never',
    pace: 'change',
    run: async ({ store, params, caller }) => {
      await dismissAnnouncement(store, params['id'] ?? '', ownPerson(caller).id);
      return undefined;
    },
  }),
];
