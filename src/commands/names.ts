// The names of accounts and keys, for tables: people think in names, ids are for commands.
import type { Store } from '../store/ports/store.ts';

export interface Names {
  readonly account: (id: string | null) => string | null;
  readonly key: (id: string | null) => string | null;
  /** The row with `accountName` and, if it is about a key, `keyName`. */
  readonly beside: <Row extends Owned>(row: Row) => Row & { readonly accountName: string | null };
}

/** A row of the management API: `account` and `key` are ids. */
interface Owned {
  readonly account: string;
  readonly key?: string | null;
}

export async function namesIn(store: Pick<Store, 'listAccounts' | 'listKeys'>): Promise<Names> {
  const accounts = new Map<string, string>((await store.listAccounts()).map(({ id, name }) => [id, name]));
  const keys = new Map<string, string>((await store.listKeys()).map(({ id, name }) => [id, name]));
  const nameIn = (names: ReadonlyMap<string, string>, id: string | null): string | null =>
    id === null ? null : (names.get(id) ?? id);
  return {
    account: (id) => nameIn(accounts, id),
    key: (id) => nameIn(keys, id),
    beside: (row) => ({
      ...row,
      accountName: nameIn(accounts, row.account),
      ...(row.key === undefined ? {} : { keyName: nameIn(keys, row.key) }),
    }),
  };
}
