// What every store guarantees for model names: a name is there once whatever its spelling, a change follows the version that
// it was made to, and of concurrent writers one wins. One suite for every database.
import { describe, expect, test } from 'vitest';
import { type AuditEvent, auditEvent } from '../../src/domain/audit.ts';
import { type NameId, newNameId } from '../../src/domain/id.ts';
import type { StoredName } from '../../src/domain/stored-name.ts';
import type { NameNotStored } from '../../src/store/ports/names.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { type Database, storesOf } from './store.ts';

export function namesContract(kind: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const event = (action = 'test.act', subject = 'test'): AuditEvent =>
    auditEvent({ actor: 'test', at: 1_700_000_000_000 }, action, subject, null, null);
  const name = (canonical: string, extra: Partial<StoredName> = {}): StoredName => ({
    id: newNameId(),
    name: canonical,
    canonical,
    target: 'gemma3:4b',
    plans: {},
    fallbacks: [],
    createdAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_001,
    version: 1,
    ...extra,
  });
  const actions = async (store: Store): Promise<string[]> =>
    (await store.listAudit({ limit: 100 })).map(({ action }) => action).toSorted();
  const race = async (work: readonly (() => Promise<NameNotStored | undefined>)[]): Promise<string[]> =>
    (await Promise.all(work.map((each) => each()))).map((each) => each ?? 'stored').toSorted();

  describe(`model names on ${kind}`, () => {
    test(
      'are returned exactly as stored, by name, to another process too, with an event for each change',
      withStores(async (mine, other) => {
        const usual = name('usual:latest', {
          name: 'Usual',
          target: null,
          plans: { trial: 'Qwen/Qwen3-0.6B', default: 'gemma3:4b' },
          fallbacks: ['gemma3:1b', 'gemma3:270m'],
        });
        const alpha = name('alpha:latest');
        expect(await mine.putModelName(usual, event('set', usual.id))).toBeUndefined();
        expect(await mine.putModelName(alpha, event())).toBeUndefined();
        expect(await other.listModelNames()).toEqual([alpha, usual]);
        expect(await other.findModelName(usual.id)).toEqual(usual);
        expect(await other.findModelNameByCanonical('usual:latest')).toEqual(usual);
        expect(await mine.findModelName('usual:latest' as NameId)).toBeUndefined();
        expect(await mine.findModelNameByCanonical('Usual')).toBeUndefined();
        const next = { ...usual, name: 'other', canonical: 'other:latest', fallbacks: [], version: 2, changedAt: 9 };
        expect(await other.putModelName(next, event('set', usual.id))).toBeUndefined();
        expect(await mine.findModelName(usual.id)).toEqual(next);
        expect(await mine.deleteModelName(usual.id, event('end', usual.id))).toBe(true);
        expect(await other.deleteModelName(usual.id, event('lost'))).toBe(false);
        expect(await other.listModelNames()).toEqual([alpha]);
        expect(await actions(mine)).toEqual(['end', 'set', 'set', 'test.act']);
      }),
    );
    test(
      'of many added at once under one name, and of many changes of one version, one is stored with its event',
      withStores(async (mine, other) => {
        const stores = [mine, mine, mine, mine];
        const added = stores.map((store) => () => store.putModelName(name('one:latest'), event('added')));
        expect(await race(added)).toEqual(['stored', 'taken', 'taken', 'taken']);
        expect(await other.putModelName(name('one:latest'), event('added'))).toBe('taken');
        const two = name('two:latest');
        await other.putModelName(two, event('added'));
        const changes = stores.map(
          (store, at) => () => store.putModelName({ ...two, target: `m${at}`, version: 2 }, event('changed')),
        );
        expect(await race(changes)).toEqual(['gone', 'gone', 'gone', 'stored']);
        expect(await other.putModelName({ ...two, canonical: 'one:latest', version: 3 }, event('lost'))).toBe('taken');
        expect(await other.putModelName({ ...two, version: 4 }, event('lost'))).toBe('gone');
        expect(await actions(mine)).toEqual(['added', 'added', 'changed']);
      }),
    );
  });
}
