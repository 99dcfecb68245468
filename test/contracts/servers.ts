// What every store guarantees for model servers: names and addresses are unique, a change follows the version that it was
// made to, and of concurrent writers one wins. One suite for every database.
import { describe, expect, test } from 'vitest';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { type AccountId, newServerId, type ServerId } from '../../src/domain/id.ts';
import type { ModelServer } from '../../src/domain/model-server.ts';
import type { NotStored } from '../../src/store/ports/servers.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { type Database, storesOf } from './store.ts';

export function serversContract(kind: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const event = (action = 'test.act', subject = 'test'): AuditEvent =>
    auditEvent({ actor: 'test', at: 1_700_000_000_000 }, action, subject, null, null);
  const server = (name: string, extra: Partial<ModelServer> = {}): ModelServer => ({
    id: newServerId(),
    name,
    address: `http://${name}:11434`,
    kind: null,
    weight: 1,
    slots: null,
    secret: null,
    caFile: null,
    certificateFile: null,
    keyFile: null,
    plans: null,
    accounts: null,
    maintenance: false,
    createdAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_001,
    version: 1,
    ...extra,
  });
  const actions = async (store: Store): Promise<string[]> =>
    (await store.listAudit({ limit: 100 })).map(({ action }) => action);
  /** The results of all of them, in order. */
  const race = async (work: readonly (() => Promise<NotStored | undefined | boolean>)[]): Promise<string[]> => {
    const found = (await Promise.all(work.map((each) => each()))).map((each) => String(each ?? 'stored'));
    return found.toSorted((a, b) => (a < b ? -1 : 1));
  };

  describe(`model servers on ${kind}`, () => {
    test(
      'are returned exactly as stored, by name, to another process too, with an event for each change',
      withStores(async (mine, other) => {
        const box = server('box', {
          kind: 'ollama',
          weight: 0.5,
          slots: { 'gemma3:4b': 2, '*': 4 },
          secret: { kind: 'stored', sealed: 'v1.x.ノ', setAt: 5 },
          caFile: 'ca.pem',
          certificateFile: 'c.pem',
          keyFile: 'k.pem',
          plans: ['default'],
          accounts: ['acc_x' as AccountId],
          maintenance: true,
        });
        const alpha = server('alpha', { secret: { kind: 'file', file: 'a.txt' } });
        expect(await mine.putServer(box, event('server.create', box.id))).toBeUndefined();
        expect(await mine.putServer(alpha, event())).toBeUndefined();
        expect(await other.listServers()).toEqual([alpha, box]);
        expect(await other.findServer(box.id)).toEqual(box);
        expect(await other.findServerByName('box')).toEqual(box);
        expect(await mine.findServer('srv_none' as ServerId)).toBeUndefined();
        expect(await mine.findServerByName(box.id)).toBeUndefined();
        const next: ModelServer = {
          ...box,
          name: 'box-2',
          address: 'http://b:1',
          secret: null,
          version: 2,
          changedAt: 9,
        };
        expect(await other.putServer(next, event('server.set', box.id))).toBeUndefined();
        expect(await mine.findServer(box.id)).toEqual(next);
        expect(await mine.deleteServer(box.id, event('server.delete', box.id))).toBe(true);
        expect(await other.deleteServer(box.id, event('lost'))).toBe(false);
        expect(await other.listServers()).toEqual([alpha]);
        expect((await mine.listAudit({ subject: box.id, limit: 9 })).map(({ action }) => action).toSorted()).toEqual([
          'server.create',
          'server.delete',
          'server.set',
        ]);
        expect(await actions(mine)).not.toContain('lost');
      }),
    );
    test(
      'of many added at once with one name or one address, one is stored, and only its event',
      withStores(async (mine, other) => {
        const stores = [mine, mine, mine, mine];
        const names = stores.map(
          (store, at) => () => store.putServer(server('box', { address: `http://box-${at}:1` }), event('added')),
        );
        expect(await race(names)).toEqual(['name', 'name', 'name', 'stored']);
        const addresses = stores.map(
          (store, at) => () => store.putServer(server(`box-${at}`, { address: 'http://other:1' }), event('added')),
        );
        expect(await race(addresses)).toEqual(['address', 'address', 'address', 'stored']);
        expect(await other.putServer(server('box'), event('added'))).toBe('name');
        expect(await other.putServer(server('new', { address: 'http://other:1' }), event('added'))).toBe('address');
        expect(await other.listServers()).toHaveLength(2);
        expect(await actions(mine)).toEqual(['added', 'added']);
      }),
    );
    test(
      'of many changes of one version, one is stored, and none takes the name or address of another server',
      withStores(async (mine, other) => {
        const [one, two] = [server('one'), server('two')];
        await mine.putServer(one, event());
        await mine.putServer(two, event());
        const changes = [mine, mine, mine, mine].map(
          (store, at) => () => store.putServer({ ...one, weight: at + 2, version: 2 }, event('changed')),
        );
        expect(await race(changes)).toEqual(['gone', 'gone', 'gone', 'stored']);
        const renamed = { ...two, version: 2 };
        expect(await other.putServer({ ...renamed, name: 'one' }, event('changed'))).toBe('name');
        expect(await other.putServer({ ...renamed, address: one.address }, event('changed'))).toBe('address');
        expect(await other.putServer({ ...renamed, version: 4 }, event('changed'))).toBe('gone');
        expect(await other.findServer(two.id)).toEqual(two);
        const ends = [mine, mine].map((store) => () => store.deleteServer(two.id, event('deleted')));
        expect(await race(ends)).toEqual(['false', 'true']);
        expect(await mine.putServer(renamed, event('changed'))).toBe('gone');
        expect((await actions(mine)).filter((action) => action !== 'test.act').toSorted()).toEqual([
          'changed',
          'deleted',
        ]);
      }),
    );
  });
}
