// Encrypts every stored secret of servers and settings with the newest key, after which older keys can be removed from the file.
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { ModelServer } from '../../domain/model-server.ts';
import { isNewlySealed, type SealingKeys, seal, unseal } from '../../domain/sealed-secret.ts';
import { isSealed, keptSettingChanges, type StoredValue } from '../../domain/setting-change.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import { ownerOf } from '../settings/values.ts';
import { sealingKeysFrom } from './sealing.ts';

export interface Resealed {
  /** Names of servers and settings. */
  readonly resealed: readonly string[];
  /** Already encrypted with the newest key. */
  readonly kept: readonly string[];
}

interface Noted {
  readonly resealed: Set<string>;
  readonly kept: Set<string>;
}

/**
 * All or nothing: if no key of the file decrypts a secret, nothing changes. `keyFile`: the setting server_secret_key.
 * @throws Fault.
 */
export function resealSecrets(store: Store, keyFile: string, author: Author): Promise<Resealed> {
  const keys = reading(() => sealingKeysFrom(keyFile));
  return store.atomically(async (within) => {
    const noted: Noted = { resealed: new Set(), kept: new Set() };
    for (const server of await within.listServers()) await resealServer(within, server, keys, noted, author);
    await resealSettings(within, keys, noted, author);
    return { resealed: [...noted.resealed], kept: [...noted.kept] };
  });
}

async function resealServer(
  store: Store,
  server: ModelServer,
  keys: SealingKeys,
  noted: Noted,
  author: Author,
): Promise<void> {
  const { id, name, secret, version } = server;
  if (secret?.kind !== 'stored') return;
  if (isNewlySealed(keys, secret.sealed)) {
    noted.kept.add(name);
    return;
  }
  const sealed = sealedAgain(keys, name, id, secret.sealed);
  const next: ModelServer = { ...server, secret: { ...secret, sealed }, changedAt: author.at, version: version + 1 };
  const taken = await store.putServer(next, auditEvent(author, 'server.reseal', id, null, { name }));
  if (taken) throw new Fault('server_just_changed', { name }, 'conflict');
  noted.resealed.add(name);
}

/** Also what changes would restore. The versions stay, because nothing is different to those who look. */
async function resealSettings(store: Store, keys: SealingKeys, noted: Noted, author: Author): Promise<void> {
  const before = noted.resealed.size;
  // What is stored and the change that stored it hold the same text, by which an undo sees that nothing was changed since.
  const known = new Map<string, string>();
  const resealed = <T extends StoredValue | null>(values: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => {
        if (!isSealed(value)) return [name, value];
        if (isNewlySealed(keys, value.sealed)) {
          noted.kept.add(name);
          return [name, value];
        }
        const sealed = known.get(value.sealed) ?? sealedAgain(keys, name, ownerOf(name), value.sealed);
        known.set(value.sealed, sealed);
        noted.resealed.add(name);
        return [name, { sealed } as T];
      }),
    );
  const settings = (await store.listSettings()).map((row) => ({ ...row, values: resealed(row.values) }));
  const changes = (await store.listSettingChanges({ limit: keptSettingChanges })).map((change) => ({
    ...change,
    from: resealed(change.from),
    to: resealed(change.to),
  }));
  if (noted.resealed.size === before) return;
  const names = [...noted.resealed].slice(before);
  await store.resealSettings(settings, changes, auditEvent(author, 'setting.reseal', 'settings', null, { names }));
}

/** @throws Fault. */
function sealedAgain(keys: SealingKeys, name: string, owner: string, sealed: string): string {
  try {
    return seal(keys, owner, unseal(keys, owner, sealed));
  } catch (error) {
    throw new Fault('server_reseal', { name, why: (error as Error).message }, 'conflict');
  }
}
