// The store's queries, the same for every relational database, put together from one file a subject. An adapter opens
// the connection, runs the migrations, says how "another process has written" is known, and may offer quicker ways for
// what the data plane asks.
// Queries go through Kysely's builder, so values are always parameters (LiteLLM CVE-2026-42208 was a key check that
// built its SQL from the Authorization header).
import { type Kysely, sql } from 'kysely';
import type { Store } from '../ports/store.ts';
import type { Tables } from '../sqlite/migrations/list.ts';
import { accountQueries } from './accounts.ts';
import { admissionQueries } from './admission.ts';
import { applicationQueries } from './applications.ts';
import { auditQueries } from './audit.ts';
import { certificateQueries } from './certificates.ts';
import { creationQueries } from './creations.ts';
import { type Adapter, deciding, inTransaction } from './engine.ts';
import { invitationQueries } from './invitations.ts';
import { keyQueries } from './keys.ts';
import { leaseQueries } from './leases.ts';
import { noticeQueries } from './notices.ts';
import { linkQueries } from './one-time-links.ts';
import { passwordQueries } from './passwords.ts';
import { personQueries } from './people.ts';
import { planQueries } from './plans.ts';
import { registrationQueries } from './registration.ts';
import { ruleQueries } from './rules.ts';
import { signInQueries } from './sign-in.ts';
import { suspensionQueries } from './suspensions.ts';
import { usageQueries } from './usage.ts';

export function relationalStore(db: Kysely<Tables>, adapter: Adapter): Store {
  return {
    ...keyQueries(db, adapter),
    ...accountQueries(db),
    ...planQueries(db),
    ...ruleQueries(db),
    ...suspensionQueries(db),
    ...auditQueries(db),
    ...registrationQueries(db),
    ...invitationQueries(db),
    ...linkQueries(db),
    ...leaseQueries(db),
    ...usageQueries(db, adapter),
    ...creationQueries(db),
    ...applicationQueries(db),
    ...admissionQueries(db),
    ...personQueries(db),
    ...noticeQueries(db),
    ...certificateQueries(db),
    ...signInQueries(db),
    ...passwordQueries(db),
    signIn: { db, type: adapter.type },
    version: adapter.version,
    loss: adapter.loss,
    ping: async () => {
      await sql`select 1`.execute(db);
    },
    close: () => db.destroy(),
    atomically: (work) =>
      inTransaction(db, (transaction) => deciding(() => work(relationalStore(transaction, adapter)))),
  };
}
