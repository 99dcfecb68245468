// The query builder's dialect for PostgreSQL, in which every transaction is a decision that runs alone.
import { CompiledQuery, type DatabaseConnection, type Driver, PostgresDialect } from 'kysely';
import type { Pool } from './pool.ts';

/**
 * How a transaction begins. A gate that stops in the middle of one must not hold up the others for long. The settings are
 * local to the transaction, because a pooler may give the connection to others afterwards.
 */
export const begin =
  "begin; set local lock_timeout = '5s'; set local statement_timeout = '30s'; " +
  "set local idle_in_transaction_session_timeout = '10s'";

/**
 * How a decision begins: it takes the only row of `store_version`, which every other writer needs, before it reads. So decisions
 * and other changes run one after the other, as in SQLite, and what a decision reads stays true until it commits. The lock is a
 * statement that takes no snapshot (PostgreSQL 13.2), so the first thing that a decision reads is as new as the lock.
 */
const beginDecision = `${begin}; lock table store_version in exclusive mode`;

export class DecidingDialect extends PostgresDialect {
  constructor(pool: Pool) {
    super({ pool: pool as never });
  }

  override createDriver(): Driver {
    const driver = super.createDriver();
    driver.beginTransaction = async (connection: DatabaseConnection) => {
      try {
        await connection.executeQuery(CompiledQuery.raw(beginDecision));
      } catch (error) {
        // The lock was not free in time. The builder thinks that nothing has begun, but the next user of the connection would be in the
        // failed transaction.
        await connection.executeQuery(CompiledQuery.raw('rollback')).catch(() => undefined);
        throw error;
      }
    };
    return driver;
  }
}
