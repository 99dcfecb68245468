// The store's queries, the same for every relational database, put together from one file a subject. An adapter opens
// the connection, runs the migrations, says how "another process has written" is known, and may offer quicker ways for
// what the data plane asks.
// Queries go through Kysely's builder, so values are always parameters (LiteLLM CVE-2026-42208 was a key check that
// built its SQL from the Authorization header).
import { type Kysely, sql } from 'kysely';
import type { Store } from '../ports.ts';
import type { Tables } from '../sqlite/migrations/list.ts';
import { accountQueries } from './accounts.ts';
import { admissionQueries } from './admission.ts';
import { applicationQueries } from './applications.ts';
import { certificateQueries } from './certificates.ts';
import { type Adapter, deciding, inTransaction } from './engine.ts';
import { keyQueries } from './keys.ts';
import { ladderQueries } from './ladder.ts';
import { noticeQueries } from './notices.ts';
import { passwordQueries } from './passwords.ts';
import { personQueries } from './people.ts';
import { repeatableQueries } from './repeatables.ts';
import { signInQueries } from './sign-in.ts';
import { usageQueries } from './usage.ts';

export function relationalStore(db: Kysely<Tables>, adapter: Adapter): Store {
  return {
    ...keyQueries(db, adapter),
    ...accountQueries(db),
    ...ladderQueries(db),
    ...usageQueries(db, adapter),
    ...repeatableQueries(db),
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
