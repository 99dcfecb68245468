// The whole store for a relational database, composed of one file per noun. An engine opens the connection, runs its
// migrations, and handles the differences (engine.ts). Queries go through Kysely's builder, so values are always
// parameters (LiteLLM CVE-2026-42208 was a key check that built its SQL from the Authorization header).
import { type Kysely, sql, type Transaction } from 'kysely';
import type { Store } from '../ports/store.ts';
import { accountQueries } from './accounts.ts';
import { admissionQueries } from './admission.ts';
import { announcementQueries } from './announcements.ts';
import { applicationQueries } from './applications.ts';
import { auditQueries } from './audit.ts';
import { certificateQueries } from './certificates.ts';
import { connect, deciding, refuseDoomed } from './connection.ts';
import { creationQueries } from './creations.ts';
import { displayNameQueries } from './display-names.ts';
import type { Engine } from './engine.ts';
import { healthQueries } from './health.ts';
import { invitationQueries } from './invitations.ts';
import { keyQueries } from './keys.ts';
import { keepHeld, leaseQueries } from './leases.ts';
import { maintenanceQueries } from './maintenance.ts';
import { nameQueries } from './names.ts';
import { linkQueries } from './one-time-links.ts';
import { outboxQueries } from './outbox.ts';
import { passwordQueries } from './passwords.ts';
import { personQueries } from './people.ts';
import { placeQueries } from './places.ts';
import { planQueries } from './plans.ts';
import { PolledChanges } from './polled-changes.ts';
import { pullQueries } from './pulls.ts';
import { registrationQueries } from './registration.ts';
import { routeQueries } from './routes.ts';
import { ruleQueries } from './rules.ts';
import { serverQueries } from './servers.ts';
import { settingQueries } from './settings.ts';
import { signInQueries } from './sign-in.ts';
import { suspensionQueries } from './suspensions.ts';
import type { Tables } from './tables.ts';
import { usageQueries } from './usage.ts';
import { viewQueries } from './views.ts';

export function relationalStore(db: Kysely<Tables>, engine: Engine): Store {
  const connection = connect(db, engine);
  const decide = <T>(transaction: Transaction<Tables>, work: (store: Store) => Promise<T>): Promise<T> =>
    deciding(async () => {
      const result = await work(relationalStore(transaction, engine));
      refuseDoomed(transaction);
      return result;
    });
  return {
    ...keyQueries(connection),
    ...accountQueries(connection),
    ...planQueries(connection),
    ...ruleQueries(connection),
    ...suspensionQueries(connection),
    ...auditQueries(connection),
    ...registrationQueries(connection),
    ...maintenanceQueries(connection),
    ...announcementQueries(connection),
    ...invitationQueries(connection),
    ...linkQueries(connection),
    ...leaseQueries(connection),
    ...pullQueries(connection),
    ...serverQueries(connection),
    ...routeQueries(connection),
    ...settingQueries(connection),
    ...nameQueries(connection),
    ...displayNameQueries(connection),
    ...usageQueries(connection),
    ...healthQueries(connection),
    ...creationQueries(connection),
    ...applicationQueries(connection),
    ...admissionQueries(connection),
    ...personQueries(connection),
    ...outboxQueries(connection),
    ...placeQueries(connection),
    ...certificateQueries(connection),
    ...signInQueries(connection),
    ...passwordQueries(connection),
    ...viewQueries(connection),
    signIn: { db, type: engine.type },
    changeFeed: (report) => new PolledChanges((known) => engine.version(known), report),
    loss: () => engine.loss(),
    now: async () => {
      const { now } = await db.selectNoFrom(engine.now.as('now')).executeTakeFirstOrThrow();
      return Number(now);
    },
    ping: async () => {
      await sql`select 1`.execute(db);
    },
    close: () => db.destroy(),
    atomically: (work) => connection.transact((transaction) => decide(transaction, work)),
    whileHeld: (lease, work) =>
      connection.transact(async (transaction) => {
        await keepHeld(transaction, engine, lease);
        return decide(transaction, work);
      }),
  };
}
