// The months of the ledger: a table each, made when its first row arrives and dropped as a whole when all its rows are old.
import { sql, type Transaction } from 'kysely';
import { firstRequestId, requestTime } from '../../domain/id.ts';
import type { Tables } from '../relational/tables.ts';
import { StoreBusy } from '../unusable.ts';
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

/**
 * Attaching a month locks the partition for rows of no month, which every report reads, and dropping one locks them all: it waits for
 * reports that run, and what comes later waits for it. So it gives way soon, and is tried again later.
 */
const giveWay = "set local lock_timeout = '300ms'";

export class Partitions {
  readonly #pool: Pool;
  /** By its first id. A table that another gate drops holds rows too old to come again. */
  readonly #made = new Set<string>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /**
   * Makes the months that these rows need, and the month after the last of them, so that no row waits when a month begins.
   * @throws StoreBusy while a report reads the ledger.
   */
  async makeFor(ids: readonly string[]): Promise<void> {
    const missing = new Map<string, Month>();
    for (const id of ids) {
      const month = monthOf(id);
      if (!this.#made.has(month.from)) missing.set(month.from, month);
    }
    for (const month of missing.values()) await this.#make(month);
    const last = [...missing.values()].toSorted((a, b) => (a.from < b.from ? -1 : 1)).at(-1);
    if (last)
      await this.#make(monthOf(last.before)).catch((error: unknown) => {
        if (!(error instanceof StoreBusy)) throw error;
      });
  }

  /** Drops one month that ends before this id; false if there is none. @throws StoreBusy while a report reads the ledger. */
  async dropBefore(transaction: Transaction<Tables>, id: string): Promise<boolean> {
    const { rows } = await sql<{ name: string }>`select child.relname as name from pg_inherits
      join pg_class child on child.oid = inhrelid where inhparent = 'usage'::regclass order by child.relname`.execute(
      transaction,
    );
    const old = rows.find(({ name }) => (endOf(name) ?? id) < id)?.name;
    if (old === undefined) return false;
    await sql.raw(giveWay).execute(transaction);
    await sql`drop table ${sql.table(old)}`.execute(transaction);
    for (const month of this.#made) if (month < id) this.#made.delete(month);
    return true;
  }

  async #make({ table, from, before }: Month): Promise<void> {
    if (this.#made.has(from)) return;
    await this.#pool.transact(`${begin}; ${giveWay}`, async (connection) => {
      await connection.query("select pg_advisory_xact_lock(hashtext('sekisho months'))", []);
      const found = await connection.query(
        `select 1 from pg_inherits join pg_class child on child.oid = inhrelid
         where inhparent = 'usage'::regclass and child.relname = $1`,
        [table],
      );
      if (found.rows.length > 0) return;
      await connection.query(
        `create table ${table} (like usage including all);
         alter table usage attach partition ${table} for values from ('${from}') to ('${before}')`,
        [],
      );
    });
    this.#made.add(from);
  }
}

/** The first id after the month. */
function endOf(table: string): string | undefined {
  const [, year, month] = /^usage_(\d+)_(\d\d)$/.exec(table) ?? [];
  return year === undefined || month === undefined ? undefined : firstRequestId(Date.UTC(Number(year), Number(month)));
}
