// Whose rows of the ledger are meant by what somebody typed: an account or a key by its name, email address or id, or all whose name or
// address contains the text. Names are looked up first, so that the ledger is read by ids, for which it has sums.
import type { KeyId } from '../../domain/id.ts';
import type { Store } from '../../store/ports/store.ts';
import type { UsageFilter } from '../../store/ports/usage.ts';
import { findAccount } from '../accounts/accounts.ts';
import { Fault } from '../fault.ts';

/** More are refused: a shorter list is found by typing more. */
export const mostMeant = 100;
const mostNamed = 5;

type Whose = Pick<UsageFilter, 'accountId' | 'accounts' | 'keyId' | 'keys'>;

/** @throws Fault if nothing is found, or too much. */
export async function whoseOf(
  store: Store,
  { account, key }: { readonly account?: string | undefined; readonly key?: string | undefined },
): Promise<Whose> {
  return {
    ...(account === undefined ? {} : await accountsMeant(store, account)),
    ...(key === undefined ? {} : await keysMeant(store, key)),
  };
}

async function accountsMeant(store: Store, search: string): Promise<Whose> {
  const exact = await findAccount(store, search);
  if (exact) return { accountId: exact.id };
  const found = await store.pageAccounts({ limit: mostMeant + 1, search });
  if (found.length === 0) throw new Fault('account_missing', { name: search }, 'not_found');
  if (found.length > mostMeant) throw new Fault('filter_wide', { text: search, most: mostMeant });
  return found.length === 1 && found[0] ? { accountId: found[0].id } : { accounts: found.map(({ id }) => id) };
}

async function keysMeant(store: Store, search: string): Promise<Whose> {
  // Rows of a key that is gone are still found by its id.
  if (search.startsWith('key_')) return { keyId: search as KeyId };
  const found = await store.pageKeys({ limit: mostMeant + 1, search });
  if (found.length === 0) throw new Fault('key_missing', { id: search }, 'not_found');
  if (found.length > mostMeant) throw new Fault('filter_wide', { text: search, most: mostMeant });
  return found.length === 1 && found[0] ? { keyId: found[0].id } : { keys: found.map(({ id }) => id) };
}

/** For sums, which are of one account or key. @throws Fault if several are found, with some of their names. */
export async function theOneOf(
  store: Store,
  asked: Parameters<typeof whoseOf>[1],
): Promise<Pick<UsageFilter, 'accountId' | 'keyId'>> {
  const { accounts, keys, ...one } = await whoseOf(store, asked);
  for (const [found, text = ''] of [
    [accounts, asked.account],
    [keys, asked.key],
  ] as const) {
    if (found === undefined) continue;
    const names = await store.displayNames(found.slice(0, mostNamed));
    const named = found.slice(0, mostNamed).map((id) => names.get(id)?.name || id);
    throw new Fault('filter_several', { text, names: named.join(', ') });
  }
  return one;
}
