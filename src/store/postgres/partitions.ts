// The months of the ledger: a table each, made when its first row arrives and dropped as a whole when all its rows are old.
import { sql, type Transaction } from 'kysely';
import { firstRequestId, requestTime } from '../../domain/id.ts';
import type { Tables } from '../relational/tables.ts';
import { begin } from './dialect.ts';
import type { Pool } from './pool.ts';

interface Month {
  readonly table: string;
  /** Ids from this one on, up to but without `before`. */
  readonly from: string;
  readonly before: string;
}

/** The month in UTC in which a row belongs, by the time in its id. */
export function monthOf(id: string): Month {
  const at = new Date(requestTime(id));
  const [year, month] = [at.getUTCFullYear(), at.getUTCMonth()];
  return {
    table: `usage_${year}_${String(month + 1).padStart(2, '0')}`,
    from: firstRequestId(Date.UTC(year, month)),
    before: firstRequestId(Date.UTC(year, month + 1)),
  };
}

export class Partitions {
  readonly #pool: Pool;
  /** By its first id. A table that another gate drops holds rows too old to come again. */
  readonly #made = new Set<string>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Makes the months that these rows need. */
  async makeFor(ids: readonly string[]): Promise<void> {
    const missing = new Map<string, Month>();
    for (const id of ids) {
      const month = monthOf(id);
      if (!this.#made.has(month.from)) missing.set(month.from, month);
    }
    for (const month of missing.values()) {
      await this.#make(month);
      this.#made.add(month.from);
    }
  }

  /** Drops one month that ends before this id; false if there is none. */
  async dropBefore(transaction: Transaction<Tables>, id: string): Promise<boolean> {
    const { rows } = await sql<{ name: string }>`select child.relname as name from pg_inherits
      join pg_class child on child.oid = inhrelid where inhparent = 'usage'::regclass order by child.relname`.execute(
      transaction,
    );
    const old = rows.find(({ name }) => (endOf(name) ?? id) < id)?.name;
    if (old === undefined) return false;
    await sql`drop table ${sql.table(old)}`.execute(transaction);
    for (const month of this.#made) if (month < id) this.#made.delete(month);
    return true;
  }

  /** Attaching an empty table does not hold up readers and writers of the others, unlike making one in its place. */
  async #make({ table, from, before }: Month): Promise<void> {
    await this.#pool.transact(begin, async (connection) => {
      await connection.query("select pg_advisory_xact_lock(hashtext('sekisho months'))", []);
      const found = await connection.query('select 1 where to_regclass($1) is not null', [table]);
      if (found.rows.length > 0) return;
      await connection.query(
        `create table ${table} (like usage including all);
         alter table usage attach partition ${table} for values from ('${from}') to ('${before}')`,
        [],
      );
    });
  }
}

/** The first id after the month. */
function endOf(table: string): string | undefined {
  const [, year, month] = /^usage_(\d+)_(\d\d)$/.exec(table) ?? [];
  return year === undefined || month === undefined ? undefined : firstRequestId(Date.UTC(Number(year), Number(month)));
}
