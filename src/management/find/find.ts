// Finds accounts and keys by part of a name or email address, or by id: for fields that choose one, and for the palette. What matches
// exactly comes first, so that it is there however many others match in part.
import type { z } from 'zod';
import type { Account } from '../../domain/account.ts';
import type { StoredKey } from '../../domain/api-key.ts';
import { isAccountId, type KeyId } from '../../domain/id.ts';
import type { WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { findAccount } from '../accounts/accounts.ts';
import { works } from '../keys/key-rules.ts';
import { withAccountNames } from '../names.ts';
import type { foundSchema } from './schemas.ts';

export type Found = z.output<typeof foundSchema>;

export async function findAccounts(store: Store, search: string, limit: number): Promise<Found[]> {
  const exact = search === '' ? undefined : await findAccount(store, search);
  const found = await store.pageAccounts({ limit, ...(search === '' ? {} : { search }) });
  return Promise.all(exactFirst(exact, found, limit).map((account) => showFoundAccount(store, account)));
}

export async function findKeys(store: Store, search: string, limit: number, now: WallMs): Promise<Found[]> {
  const exact = search.startsWith('key_') ? await store.findKey(search as KeyId) : undefined;
  const found = await store.pageKeys({ limit, ...(search === '' ? {} : { search }) });
  return showFoundKeys(store, exactFirst(exact?.ofPage === true ? undefined : exact, found, limit), now);
}

/** Those of these ids that are there, in any order. */
export async function lookUp(store: Store, ids: readonly string[], now: WallMs): Promise<Found[]> {
  const accounts = await Promise.all(ids.filter(isAccountId).map((id) => store.findAccount(id)));
  const keys = await Promise.all(ids.filter((id) => id.startsWith('key_')).map((id) => store.findKey(id as KeyId)));
  return [
    ...(await Promise.all(accounts.flatMap((account) => (account ? [showFoundAccount(store, account)] : [])))),
    ...(await showFoundKeys(
      store,
      keys.flatMap((key) => (key && !key.ofPage ? [key] : [])),
      now,
    )),
  ];
}

function exactFirst<T extends { readonly id: string }>(exact: T | undefined, found: readonly T[], limit: number): T[] {
  return [...(exact ? [exact] : []), ...found.filter(({ id }) => id !== exact?.id)].slice(0, limit);
}

async function showFoundAccount(store: Store, { id, name, closedAt }: Account): Promise<Found> {
  const person = await store.findPersonOf(id);
  return { kind: 'account', id, name, of: person?.email ?? '', ended: closedAt !== null };
}

async function showFoundKeys(store: Store, keys: readonly StoredKey[], now: WallMs): Promise<Found[]> {
  const named = await withAccountNames(
    store,
    keys.map((key) => ({ key, account: key.accountId })),
  );
  return named.map(({ key, accountName }) => ({
    kind: 'key',
    id: key.id,
    name: key.name,
    of: accountName,
    ended: !works(key, now),
  }));
}
