// The names of what ids stand for: people think in names.
import type { AccountId } from '../../domain/id.ts';

export interface DisplayName {
  readonly name: string;
  /** The account that a key, a person, a suspension or an application belongs to. */
  readonly account?: AccountId | undefined;
  /** It is a key that a page made for itself. */
  readonly ofPage?: true;
}

export interface DisplayNameStore {
  /** The names of these accounts, keys, people, applications and suspensions (that of the account); others are left out. */
  displayNames(ids: Iterable<string>): Promise<ReadonlyMap<string, DisplayName>>;
  /** Ids of accounts, keys and people whose name or email address contains the text, at most `limit` of each. */
  idsNamed(search: string, limit: number): Promise<readonly string[]>;
}
