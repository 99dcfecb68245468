// Names by id and ids by name, over the tables of everything that has a name that people know.
import type { AccountId, ApplicationId, KeyId, PersonId, SuspensionId } from '../../domain/id.ts';
import type { DisplayName, DisplayNameStore } from '../ports/display-names.ts';
import type { Connection } from './connection.ts';

/** Ids per query. */
const idsPerQuery = 500;

interface Row {
  readonly id: string;
  readonly name: string;
  readonly account?: AccountId | null;
  readonly ofPage?: number;
}

export function displayNameQueries({ db, engine }: Connection): DisplayNameStore {
  const accounts = () => db.selectFrom('accounts').select(['id', 'name']);
  const keys = () => db.selectFrom('keys').select(['id', 'name', 'account_id as account', 'of_page as ofPage']);
  const people = () => db.selectFrom('people').select(['id', 'name', 'accountId as account']);
  const byPrefix: Readonly<Record<string, (ids: readonly string[]) => Promise<readonly Row[]>>> = {
    acc: (ids) =>
      accounts()
        .where('id', 'in', ids as AccountId[])
        .execute(),
    key: (ids) =>
      keys()
        .where('id', 'in', ids as KeyId[])
        .execute(),
    usr: (ids) =>
      people()
        .where('id', 'in', ids as PersonId[])
        .execute(),
    app: (ids) =>
      db
        .selectFrom('applications')
        .select(['id', 'name', 'account_id as account'])
        .where('id', 'in', ids as ApplicationId[])
        .execute(),
    sus: (ids) =>
      db
        .selectFrom('suspensions')
        .innerJoin('accounts', 'accounts.id', 'suspensions.account_id')
        .select(['suspensions.id as id', 'accounts.name as name', 'accounts.id as account'])
        .where('suspensions.id', 'in', ids as SuspensionId[])
        .execute(),
  };
  return {
    displayNames: async (ids) => {
      const names = new Map<string, DisplayName>();
      const groups = Map.groupBy(new Set(ids), (id) => id.slice(0, id.indexOf('_')));
      for (const [prefix, all] of groups) {
        const find = Object.hasOwn(byPrefix, prefix) ? byPrefix[prefix] : undefined;
        if (!find) continue;
        for (let from = 0; from < all.length; from += idsPerQuery)
          for (const row of await find(all.slice(from, from + idsPerQuery))) names.set(row.id, nameOf(row));
      }
      return names;
    },
    idsNamed: async (search, limit) => {
      const found: readonly Row[][] = await Promise.all([
        accounts().where(engine.holds('name', search)).limit(limit).execute(),
        keys().where(engine.holds('name', search)).where('of_page', '=', 0).limit(limit).execute(),
        people()
          .where((where) => where.or([engine.holds('name', search), engine.holds('email', search)]))
          .limit(limit)
          .execute(),
      ]);
      return found.flat().flatMap(({ id, account }) => (id.startsWith('usr_') && account ? [id, account] : [id]));
    },
  };
}

function nameOf({ name, account, ofPage }: Row): DisplayName {
  return {
    name,
    ...(account === undefined || account === null ? {} : { account }),
    ...(Number(ofPage) === 1 ? { ofPage: true } : {}),
  };
}
