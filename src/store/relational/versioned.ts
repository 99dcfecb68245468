// Rows that operators change at run time, and of which each version follows the one before: stored and removed with the event in
// the audit log, in one transaction.
import type { Transaction } from 'kysely';
import type { AuditEvent } from '../../domain/audit.ts';
import { writeAudit } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Tables } from './tables.ts';

type Name = 'announcements' | 'model_names' | 'routes' | 'servers' | 'settings';

/** Kysely types a statement for one table. These have the same columns where the statements below name one. */
const asOne = (table: Name): 'routes' => table as 'routes';

/**
 * Stores a new row (version 1), or the next version of one. `taken` says what another row already has of it. `gone`: the row is
 * missing, or was changed meanwhile. `also`: what else is written with it.
 */
export const putVersioned = <Table extends Name, Taken>(
  { transact }: Connection,
  table: Table,
  row: Tables[Table],
  taken: (transaction: Transaction<Tables>) => Promise<Taken | undefined>,
  event: AuditEvent,
  also: (transaction: Transaction<Tables>) => Promise<void> = () => Promise.resolve(),
): Promise<Taken | 'gone' | undefined> =>
  transact(async (transaction) => {
    const other = await taken(transaction);
    if (other !== undefined) return other;
    const { id, created_at, version, ...rest } = row as Tables['routes'];
    if (version === 1)
      await transaction
        .insertInto(asOne(table))
        .values({ ...rest, id, created_at, version })
        .execute();
    else {
      const next = transaction.updateTable(asOne(table)).set({ ...rest, version });
      const changed = await next
        .where('id', '=', id)
        .where('version', '=', version - 1)
        .executeTakeFirst();
      if (Number(changed.numUpdatedRows) === 0) return 'gone';
    }
    await also(transaction);
    await writeAudit(transaction, event);
    return undefined;
  });

/** False if there is no such row. */
export const deleteVersioned = <Table extends Name>(
  { transact }: Connection,
  table: Table,
  id: Tables[Table]['id'],
  event: AuditEvent,
): Promise<boolean> =>
  transact(async (transaction) => {
    const gone = transaction.deleteFrom(asOne(table)).where('id', '=', id as Tables['routes']['id']);
    if (Number((await gone.executeTakeFirst()).numDeletedRows) === 0) return false;
    await writeAudit(transaction, event);
    return true;
  });
