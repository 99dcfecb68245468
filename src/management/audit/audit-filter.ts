// Turns the question of somebody who thinks in names into a filter of the audit log, which knows ids.
import type { AccountId, PersonId } from '../../domain/id.ts';
import type { AuditFilter } from '../../store/ports/audit.ts';
import type { Store } from '../../store/ports/store.ts';
import type { AskedAudit } from './schemas.ts';

/** Accounts, keys and people that a name may find, of each kind. */
const mostFound = 100;
/** Accounts whose keys and people are looked at as well. */
const mostOwners = 20;

/** Kinds of actors that are not an id: `cli:root`, `rule:night`, `address:203.0.113.0/24`. */
const actorKinds = ['cli', 'rule', 'address'] as const;

export async function auditFilterOf(
  store: Store,
  { subject, search, actor, action, text, since, until }: AskedAudit,
): Promise<AuditFilter> {
  const subjects = subject === undefined ? given(search) && (await subjectsNamed(store, search)) : [subject];
  const actors = given(actor) && (await actorsNamed(store, actor));
  return {
    ...(subjects ? { subjects } : {}),
    ...(actors ? { actors } : {}),
    ...(given(action) ? { action } : {}),
    ...(given(text) ? { text } : {}),
    ...(since === undefined ? {} : { since: Date.parse(since) }),
    ...(until === undefined ? {} : { until: Date.parse(until) }),
  };
}

const given = (text: string | undefined): text is string => text !== undefined && text !== '';

/** What has this id or name, or a name or email address that contains it; of an account its keys, too. */
async function subjectsNamed(store: Store, search: string): Promise<readonly string[]> {
  return [...new Set([search, ...(await owned(store, search)).ids])];
}

/** How the log names those who act: people and keys by their ids, others by a kind and a name. */
async function actorsNamed(store: Store, actor: string): Promise<readonly string[]> {
  const { ids, people } = await owned(store, actor);
  const acting = [...ids, ...people].flatMap((id) =>
    id.startsWith('usr_') ? [`person:${id}`] : id.startsWith('key_') ? [`key:${id}`] : [],
  );
  return [...new Set([actor, ...actorKinds.map((kind) => `${kind}:${actor}`), ...acting])];
}

async function owned(store: Store, search: string): Promise<{ ids: readonly string[]; people: readonly PersonId[] }> {
  const named = [search, ...(await store.idsNamed(search, mostFound))];
  const accounts = named.filter((id) => id.startsWith('acc_')).slice(0, mostOwners) as AccountId[];
  const keys = await Promise.all(accounts.map((id) => store.listKeys(id)));
  const people = await Promise.all(accounts.map((id) => store.findPersonOf(id)));
  return {
    ids: [
      ...named,
      ...keys.flatMap((all) =>
        all
          .filter(({ ofPage }) => !ofPage)
          .map(({ id }) => id)
          .slice(0, mostFound),
      ),
    ],
    people: people.flatMap((person) => (person ? [person.id] : [])),
  };
}
