// Encrypts every stored secret of a server with the newest key, after which older keys can be removed from the file.
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { ModelServer } from '../../domain/model-server.ts';
import { isNewlySealed, seal, unseal } from '../../domain/sealed-secret.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import { sealingKeysFrom } from './sealing.ts';

export interface Resealed {
  /** Names of the servers. */
  readonly resealed: readonly string[];
  /** Already encrypted with the newest key. */
  readonly kept: readonly string[];
}

/**
 * All or nothing: if no key of the file decrypts a secret, nothing changes. `keyFile`: the setting server_secret_key.
 * @throws Fault.
 */
export function resealSecrets(store: Store, keyFile: string, author: Author): Promise<Resealed> {
  const keys = reading(() => sealingKeysFrom(keyFile));
  return store.atomically(async (within) => {
    const resealed: string[] = [];
    const kept: string[] = [];
    for (const server of await within.listServers()) {
      const { id, name, secret, version } = server;
      if (secret?.kind !== 'stored') continue;
      if (isNewlySealed(keys, secret.sealed)) {
        kept.push(name);
        continue;
      }
      const opened = openedOf(server, () => unseal(keys, id, secret.sealed));
      const sealed = seal(keys, id, opened);
      const next: ModelServer = {
        ...server,
        secret: { ...secret, sealed },
        changedAt: author.at,
        version: version + 1,
      };
      const taken = await within.putServer(next, auditEvent(author, 'server.reseal', id, null, { name }));
      if (taken) throw new Fault('server_just_changed', { name }, 'conflict');
      resealed.push(name);
    }
    return { resealed, kept };
  });
}

function openedOf<T>({ name }: ModelServer, open: () => T): T {
  try {
    return open();
  } catch (error) {
    throw new Fault('server_reseal', { name, why: (error as Error).message }, 'conflict');
  }
}
