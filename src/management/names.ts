// Adds the names of accounts, people and keys to their ids, for people who read results of the management API and the command line.
import type { Store } from '../store/ports/store.ts';

type Named = Pick<Store, 'displayNames'>;

/** A row of a list: `account` and `key` are ids. */
interface Owned {
  readonly account: string;
  readonly key?: string | null;
}

/** Ids of objects with names, as they occur in texts. */
const ids = /\b(?:acc|key|usr|app|sus)_[0-9A-Za-z]{1,40}/g;

/** The rows, each with the name of its account. */
export async function withAccountNames<Row extends { readonly account: string }>(
  store: Named,
  rows: readonly Row[],
): Promise<(Row & { accountName: string })[]> {
  const names = await store.displayNames(rows.map(({ account }) => account));
  return rows.map((row) => ({ ...row, accountName: names.get(row.account)?.name ?? row.account }));
}

/** The rows, each with the names of its account and, if it is about a key, of the key. */
export async function withNames<Row extends Owned>(
  store: Named,
  rows: readonly Row[],
): Promise<(Row & { accountName: string; keyName: string | null })[]> {
  const names = await store.displayNames(rows.flatMap(({ account, key }) => (key ? [account, key] : [account])));
  return rows.map((row) => ({
    ...row,
    accountName: names.get(row.account)?.name ?? row.account,
    keyName: row.key ? nameOr(names.get(row.key)?.name, row.key) : null,
  }));
}

/**
 * The names of all objects whose ids occur in the value; the name of a key is followed by its account's, because keys can share
 * names.
 */
export async function namesIn(store: Named, value: unknown): Promise<Record<string, string>> {
  const mentioned = new Set(JSON.stringify(value)?.match(ids));
  const names = await store.displayNames(mentioned);
  const owners = await store.displayNames([...names.values()].flatMap(({ account }) => account ?? []));
  return Object.fromEntries(
    [...names].flatMap(([id, { name, account }]) => {
      if (name === '') return [];
      const owner = id.startsWith('key_') && account ? owners.get(account)?.name : undefined;
      return [[id, owner === undefined ? name : `${name} (${owner})`]];
    }),
  );
}

/** The name of an actor such as `person:<id>` or `key:<id>`; the text itself for others, such as a rule. */
export function actorName(names: Readonly<Record<string, string>>, actor: string): string {
  const id = actor.slice(actor.indexOf(':') + 1);
  return names[id] ?? actor;
}

/** An actor such as `person:<id>`, or an id in a text. */
const mentions = /\b(?:(?:person|key|account):)?((?:acc|key|usr|app|sus)_[0-9A-Za-z]{1,40})/g;

/** The object with names (of `namesIn`) in the place of ids, at any depth, but in fields called `id`. */
export function namesForIds(
  object: Readonly<Record<string, unknown>>,
  names: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const named = (value: unknown): unknown => {
    if (typeof value === 'string') return value.replaceAll(mentions, (all, id: string) => names[id] ?? all);
    if (Array.isArray(value)) return value.map(named);
    return typeof value === 'object' && value !== null ? namesForIds({ ...value }, names) : value;
  };
  return Object.fromEntries(
    Object.entries(object).map(([field, value]) => [field, field === 'id' ? value : named(value)]),
  );
}

/** Names of closed accounts' keys are empty. */
const nameOr = (name: string | undefined, id: string): string => (name === undefined || name === '' ? id : name);
