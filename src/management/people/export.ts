// Exports everything that is stored about a person as one JSON object, written while it is read: a long ledger is read in small
// parts, so that other requests are served in between.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Account } from '../../domain/account.ts';
import type { Person } from '../../domain/person.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import type { StoredPasskey, StoredVisit } from '../../store/ports/sign-in.ts';
import type { Store } from '../../store/ports/store.ts';
import type { UsageFilter } from '../../store/ports/usage.ts';
import { showAccount } from '../accounts/accounts.ts';
import { showOwnApplication } from '../applications/applications.ts';
import { showKey } from '../keys/keys.ts';
import { showSuspension } from '../suspensions/suspensions.ts';
import { reportUsage } from '../usage/usage-report.ts';

const mostRows = 10_000;
/** Takes SQLite a millisecond or two, during which this process does nothing else. */
const rowsPerLook = 1_000;

/** Rows of the ledger, the newest first, a page at a time; `more` tells whether there are further ones. */
export async function* pagesOfUsage(
  store: Pick<Store, 'searchUsage'>,
  filter: UsageFilter,
): AsyncGenerator<{ readonly rows: readonly UsageRecord[]; readonly more: boolean }> {
  let before: string | undefined;
  do {
    const page = await store.searchUsage(filter, 500, before, rowsPerLook);
    before = page.next;
    yield { rows: page.rows, more: before !== undefined };
    await nextTurn();
  } while (before !== undefined);
}

/** All of a list that is read in pages, the newest first. */
async function everyOf<Row extends { readonly id: string }>(
  list: (page: { readonly limit: number; readonly before?: string }) => Promise<Row[]>,
): Promise<Row[]> {
  const all: Row[] = [];
  for (;;) {
    const last = all.at(-1);
    const page = await list(last ? { limit: rowsPerLook, before: last.id } : { limit: rowsPerLook });
    all.push(...page);
    if (page.length < rowsPerLook) return all;
    await nextTurn();
  }
}

const passkeyOf = ({ id, name, createdAt, lastUsedAt }: StoredPasskey) => ({
  id,
  name,
  createdAt: iso(createdAt),
  lastUsedAt: iso(lastUsedAt),
});

const sessionOf = ({ createdAt, expiresAt, activeAt, address, userAgent }: StoredVisit) => ({
  createdAt: iso(createdAt),
  expiresAt: iso(expiresAt),
  activeAt: iso(activeAt),
  address,
  userAgent,
});

/** Without what would give others access: digests, hashes, sessions. */
export async function* exportOf(
  store: Store,
  person: Person,
  account: Account | undefined,
  timeZone: string,
  now: WallMs,
): AsyncGenerator<string> {
  const member = (name: string, value: unknown): string => `,${JSON.stringify(name)}:${JSON.stringify(value)}`;
  const application = await store.findApplicationOf(person.id);
  yield `{"person":${JSON.stringify(person)}${member('application', application ? showOwnApplication(application) : null)}`;
  yield member('passkeys', (await store.listPasskeys(person.id)).map(passkeyOf));
  yield member(
    'providers',
    (await store.listIdentities(person.id)).map(({ createdAt, ...identity }) => ({
      ...identity,
      createdAt: iso(createdAt),
    })),
  );
  yield member('sessions', (await store.listSessions(person.id, now)).map(sessionOf));
  if (!account) {
    yield `${member('account', null)}}`;
    return;
  }
  yield member('account', await showAccount(store, account, now)) +
    member('keys', (await store.listKeys(account.id)).map(showKey));
  const ofAccount = { accountId: account.id, unshadowed: true } as const;
  const steps = await everyOf((page) => store.listSuspensions({ ...ofAccount, ...page }));
  yield member('suspensions', steps.map(showSuspension));
  const events = await everyOf((page) => store.listAudit({ subject: account.id, ...page }));
  yield member(
    'audit',
    events.map(({ id, at, action }) => ({ id, at, action })),
  );
  yield member(
    'usageByDay',
    await reportUsage(store, 'day', account.createdAt, now, timeZone, { accountId: account.id }),
  );
  yield ',"usageRows":[';
  let count = 0;
  let left = false;
  for await (const { rows, more } of pagesOfUsage(store, { accountId: account.id })) {
    const taken = rows.slice(0, mostRows - count);
    if (taken.length > 0) yield (count === 0 ? '' : ',') + taken.map((row) => JSON.stringify(row)).join(',');
    count += taken.length;
    left = more || taken.length < rows.length;
    if (count === mostRows) break;
  }
  yield `]${member('moreUsageRows', left)}}`;
}
