// What every store guarantees for maintenance and announcements: both are returned as stored, to another process too, a change follows
// the version that it was made to, and a dismissal goes with its person and its announcement. One suite for every database.
import { describe, expect, test } from 'vitest';
import type { Announcement } from '../../src/domain/announcement.ts';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { newAnnouncementId, type PersonId } from '../../src/domain/id.ts';
import { type Database, storesOf } from './store.ts';

export function noticesContract(kind: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const event = (action: string): AuditEvent =>
    auditEvent({ actor: 'test', at: 1_700_000_000_000 }, action, 'x', null, null);
  const announcement = (from: number): Announcement => ({
    id: newAnnouncementId(),
    texts: { en: null, ja: '正午' },
    from,
    until: null,
    header: true,
    createdAt: 1,
    changedAt: 2,
    version: 1,
  });

  describe(`notices on ${kind}`, () => {
    test(
      'maintenance is there until it is taken away, with an event for each change',
      withStores(async (mine, other) => {
        expect(await mine.readMaintenance()).toBeNull();
        const maintenance = { message: '正午', since: 1, until: null };
        await mine.writeMaintenance(maintenance, event('maintenance.on'));
        expect(await other.readMaintenance()).toEqual(maintenance);
        await other.writeMaintenance(null, event('maintenance.off'));
        expect(await mine.readMaintenance()).toBeNull();
        const actions = (await mine.listAudit({ limit: 10 })).map(({ action }) => action);
        expect(actions.toSorted()).toEqual(['maintenance.off', 'maintenance.on']);
      }),
    );

    test(
      'an announcement changes by its version, and its dismissals go with it',
      withStores(async (mine, other) => {
        const [early, late] = [announcement(1), announcement(2)];
        for (const each of [early, late]) await mine.putAnnouncement(each, event('announcement.create'));
        expect(await other.listAnnouncements()).toEqual([late, early]);
        const next = { ...early, from: 3, version: 2 };
        expect(await other.putAnnouncement(next, event('announcement.set'))).toBeUndefined();
        expect(await mine.putAnnouncement(next, event('announcement.set'))).toBe('gone');
        expect(await mine.findAnnouncement(early.id)).toEqual(next);
        const person = 'usr_0000000000000001' as PersonId;
        // Only a person who exists can dismiss one.
        await expect(mine.dismissAnnouncement(early.id, person)).rejects.toThrow();
        expect(await mine.listDismissed(person)).toEqual([]);
        expect(await mine.deleteAnnouncement(early.id, event('announcement.delete'))).toBe(true);
        expect(await other.deleteAnnouncement(early.id, event('announcement.delete'))).toBe(false);
        expect(await other.listAnnouncements()).toEqual([late]);
      }),
    );
  });
}
