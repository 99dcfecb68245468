// What every store guarantees for published services: names are unique, a change follows the version that it was made to, and each
// change has its event. One suite for every database.
import { describe, expect, test } from 'vitest';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { newRouteId } from '../../src/domain/id.ts';
import type { StoredRoute } from '../../src/domain/stored-route.ts';
import { type Database, storesOf } from './store.ts';

export function routesContract(kind: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const event = (action: string): AuditEvent =>
    auditEvent({ actor: 'test', at: 1_700_000_000_000 }, action, 'x', null, null);
  const route = (name: string, extra: Partial<StoredRoute> = {}): StoredRoute => ({
    id: newRouteId(),
    name,
    options: { path: `/${name}`, upstreams: ['http://127.0.0.1:1'], cost: { fixed: 1, unit: 'ノ' }, slots: null },
    createdAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_001,
    version: 1,
    ...extra,
  });

  describe(`routes on ${kind}`, () => {
    test(
      'are returned exactly as stored, by name, to another process too, with an event for each change',
      withStores(async (mine, other) => {
        const [box, alpha] = [route('box'), route('alpha')];
        expect(await mine.putRoute(box, event('route.create'))).toBeUndefined();
        expect(await mine.putRoute(alpha, event('route.create'))).toBeUndefined();
        expect(await other.listRoutes()).toEqual([alpha, box]);
        expect(await other.findRoute(box.id)).toEqual(box);
        expect(await other.findRouteByName('alpha')).toEqual(alpha);
        const changed = { ...box, name: 'crate', options: { path: '/crate' }, changedAt: 5, version: 2 };
        expect(await other.putRoute(changed, event('route.set'))).toBeUndefined();
        expect(await mine.findRoute(box.id)).toEqual(changed);
        expect(await mine.deleteRoute(alpha.id, event('route.delete'))).toBe(true);
        expect(await other.listRoutes()).toEqual([changed]);
        const actions = (await mine.listAudit({ limit: 10 })).map(({ action }) => action);
        expect(actions.filter((action) => action.startsWith('route.'))).toHaveLength(4);
      }),
    );
    test(
      'share no name, follow the last version, and leave no event of a change that did not happen',
      withStores(async (mine, other) => {
        const box = route('box');
        await mine.putRoute(box, event('route.create'));
        expect(await other.putRoute(route('box'), event('no'))).toBe('name');
        expect(await other.putRoute({ ...box, version: 3 }, event('no'))).toBe('gone');
        const both = await Promise.all(
          [mine, mine].map((store) => store.putRoute({ ...box, version: 2 }, event('route.set'))),
        );
        expect(both.map(String).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['gone', 'undefined']);
        expect(await mine.deleteRoute(newRouteId(), event('no'))).toBe(false);
        const actions = (await mine.listAudit({ limit: 10 })).map(({ action }) => action);
        expect(actions).not.toContain('no');
      }),
    );
  });
}
