// One-time links. A link is used up in one statement, so that only one of several attempts succeeds.
import type { Kysely } from 'kysely';
import type { LinkPurpose } from '../../domain/person.ts';
import type { WallMs } from '../../domain/time.ts';
import type { LinkStore } from '../ports/one-time-links.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

export function linkQueries({ db, transact }: Connection): LinkStore {
  return {
    insertLink: ({ digest, purpose, subject, createdAt, expiresAt }, event, beside) =>
      transact(async (transaction) => {
        // Links that are no longer valid are always removed.
        let old = transaction
          .deleteFrom('one_time_links')
          .where('subject', '=', subject)
          .where('purpose', '=', purpose);
        if (beside !== undefined)
          old = old.where((where) =>
            where.or([where('used_at', 'is not', null), where('expires_at', '<=', createdAt)]),
          );
        await old.execute();
        if (beside !== undefined) {
          const { count } = await transaction
            .selectFrom('one_time_links')
            .select(({ fn }) => fn.countAll().as('count'))
            .where('subject', '=', subject)
            .where('purpose', '=', purpose)
            .executeTakeFirstOrThrow();
          if (Number(count) >= beside) return false;
        }
        await transaction
          .insertInto('one_time_links')
          .values({ digest, purpose, subject, created_at: createdAt, expires_at: expiresAt, used_at: null })
          .execute();
        await writeAudit(transaction, event);
        return true;
      }),
    findLink: async (digest, purpose, at) => {
      const row = await db
        .selectFrom('one_time_links')
        .select('subject')
        .where('digest', '=', digest)
        .where('purpose', '=', purpose)
        .where('used_at', 'is', null)
        .where('expires_at', '>', at)
        .executeTakeFirst();
      return row?.subject;
    },
    useLink: (digest, purpose, at) => useUp(db, digest, purpose, at),
  };
}

/** Uses up a link, and in the same statement all others for the same subject; returns the subject. */
export async function useUp(
  db: Kysely<Tables>,
  digest: string,
  purpose: LinkPurpose,
  at: WallMs,
): Promise<string | undefined> {
  const row = await db
    .updateTable('one_time_links')
    .set({ used_at: at })
    .where('purpose', '=', purpose)
    .where('used_at', 'is', null)
    .where('subject', 'in', (where) =>
      where
        .selectFrom('one_time_links')
        .select('subject')
        .where('digest', '=', digest)
        .where('purpose', '=', purpose)
        .where('used_at', 'is', null)
        .where('expires_at', '>', at),
    )
    .returning('subject')
    .executeTakeFirst();
  return row?.subject;
}
