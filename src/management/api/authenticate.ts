// Who calls the management API. A key in a header and nothing else: no cookie, no query, no address, so that no browser
// can be made to call it for somebody. The data plane asks the same questions of the same store in its own way; the two
// planes never call each other.
import type { Request } from 'express';
import type { Account } from '../../domain/account.ts';
import { AddressBlocks, clientAddress, plainAddress } from '../../domain/address.ts';
import { isSecretOf, readKeyId, type StoredKey } from '../../domain/api-key.ts';
import type { Plan } from '../../domain/plan.ts';
import { hits, restrictionsOf } from '../../domain/suspension.ts';
import type { Store } from '../../store/ports.ts';
import { Problem } from './problem.ts';

/** Who may: everybody, whoever holds a working key, whoever may read everything, whoever may change it. */
export type Needs = 'nothing' | 'key' | 'management:read' | 'management:write';

export interface Caller {
  readonly key: StoredKey;
  readonly account: Account;
  readonly plan: Plan | undefined;
}

/** Counts what comes from an address, wrong keys for one; the data plane's counts of those are the same ones. */
export interface FailureBudget {
  waitSeconds(address: string): number;
  note(address: string): void;
}

export interface Door {
  readonly store: Pick<Store, 'findCaller'>;
  readonly failures: FailureBudget;
  readonly trustedProxies: AddressBlocks;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** @throws Problem `unauthenticated`, `too_many_failures`. */
export async function authenticate(request: Request, door: Door): Promise<Caller> {
  const text = credentialOf(request);
  if (text === undefined) throw new Problem('unauthenticated');
  const address = addressOf(request, door);
  const waitSeconds = door.failures.waitSeconds(address);
  if (waitSeconds > 0) throw new Problem('too_many_failures', { retryAfterSeconds: waitSeconds });
  const now = door.now();
  const id = readKeyId(text);
  const found = id === undefined ? undefined : await door.store.findCaller(id, now);
  if (!isSecretOf(text, found?.key) || !found) {
    door.failures.note(address);
    throw new Problem('unauthenticated');
  }
  const { key, account, plan, suspensions } = found;
  if (key.status !== 'active') throw new Problem('unauthenticated', { detail: 'This API key has been revoked.' });
  if (key.expiresAt !== null && now >= key.expiresAt)
    throw new Problem('unauthenticated', { detail: 'This API key has expired.' });
  const blocks = new AddressBlocks(key.cidr);
  if (!blocks.empty && !blocks.contains(address))
    throw new Problem('forbidden', { detail: 'This API key may not be used from your address.' });
  const mine = suspensions.filter((suspension) => hits(suspension, key.lineage));
  // Whoever is suspended may still look at why; what changes anything is refused by its scope.
  const { refused } = restrictionsOf(mine, now);
  return { key: refused ? { ...key, scopes: [] } : key, account, plan };
}

/** Address of the caller, after trusted proxies. */
export function addressOf(request: Request, { trustedProxies }: Pick<Door, 'trustedProxies'>): string {
  const forwarded = request.headers['x-forwarded-for'];
  const peer = plainAddress(request.socket.remoteAddress ?? '');
  return clientAddress(peer, typeof forwarded === 'string' ? forwarded : undefined, trustedProxies);
}

/** @throws Problem `forbidden`. */
export function refuseUnentitled({ key }: Caller, needs: Needs): void {
  if (needs === 'nothing' || needs === 'key') return;
  const may = key.scopes.includes(needs) || (needs === 'management:read' && key.scopes.includes('management:write'));
  if (!may) throw new Problem('forbidden', { detail: `This API key does not have the scope "${needs}".` });
}

function credentialOf({ headers }: Request): string | undefined {
  const bearer = /^bearer ([^\s,]+)$/i.exec(headers.authorization ?? '')?.[1];
  const apiKey = headers['x-api-key'];
  if (bearer !== undefined && typeof apiKey === 'string' && apiKey !== bearer)
    throw new Problem('unauthenticated', { detail: 'The request carries two keys that disagree.' });
  return bearer ?? (typeof apiKey === 'string' ? apiKey : undefined);
}
