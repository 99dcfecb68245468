// Keeps a database to one gate: each gate counts limits in its own memory, so two on one database would admit twice as much. The
// gate holds a lease in the database and renews it; times are the database's, so no gate's clock matters.
import { movingLease } from '../ports/raw-rows.ts';
import { StoreBusy, StoreUnusable } from '../unusable.ts';
import type { Pool } from './pool.ts';

const lifeMs = 20_000;
const renewMs = 5_000;

/** The time of the database in Unix milliseconds. */
const now = 'floor(extract(epoch from clock_timestamp()) * 1000)::bigint';

/** @throws StoreUnusable while a gate uses the database. */
export async function refuseRunningGate(pool: Pool): Promise<void> {
  const { rows } = await pool.ask(`select 1 from leases where name = 'gate' and until > ${now}`, []);
  if (rows.length > 0) throw new StoreUnusable('A gate uses this database. Stop it first.');
}

/** @throws StoreUnusable after a move that was not finished. */
async function refuseHalf(pool: Pool): Promise<void> {
  const { rows } = await pool.ask('select 1 from leases where name = $1', [movingLease]);
  if (rows.length > 0)
    throw new StoreUnusable(
      'An installation was being moved into this database and the move is not finished. Run `sekisho migrate` again.',
    );
}

export class SoleGate {
  readonly #pool: Pool;
  /** The same for every start with one data directory, so that a gate that was killed starts again at once. */
  readonly #id: string;
  #loss: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  private constructor(pool: Pool, id: string) {
    this.#pool = pool;
    this.#id = id;
  }

  /**
   * Waits as long as a gate that was killed may still hold the lease.
   * @throws StoreUnusable if another gate uses the database; StoreBusy while that is not certain.
   */
  static async open(pool: Pool, id: string): Promise<SoleGate> {
    await refuseHalf(pool);
    const gate = new SoleGate(pool, id);
    const held = await gate.#take();
    if (held !== undefined) {
      if (held.renewed)
        throw new StoreUnusable(
          'Another gate uses this database. One gate at a time can: stop that one, or give this one a database of its own.',
        );
      throw new StoreBusy(
        'The database belongs to a gate that has not been heard of for seconds; this one waits for its place.',
      );
    }
    gate.#timer = setInterval(() => void gate.#renew(), renewMs).unref();
    return gate;
  }

  /** A sentence after another gate has taken the database over. */
  loss(): string | undefined {
    return this.#loss;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#pool
      .ask('delete from leases where name = $1 and owner = $2', ['gate', this.#id])
      .catch(() => undefined);
  }

  async #renew(): Promise<void> {
    try {
      if ((await this.#take()) === undefined) return;
      this.#loss =
        'Another gate has taken the database over while this one did not answer. Start this one again when it may.';
      clearInterval(this.#timer);
    } catch {
      // The next try tells.
    }
  }

  /** Takes or renews the lease; returns who has it instead, and whether they renewed it lately. */
  async #take(): Promise<{ readonly renewed: boolean } | undefined> {
    const taken = await this.#pool.ask(
      `insert into leases (name, owner, until) values ('gate', $1, ${now} + ${lifeMs})
       on conflict (name) do update set owner = excluded.owner, until = excluded.until
         where leases.owner = excluded.owner or leases.until <= ${now}
       returning owner`,
      [this.#id],
    );
    if (taken.rows.length > 0) return undefined;
    const { rows } = await this.#pool.ask<{ left: number }>(
      `select until - ${now} as left from leases where name = 'gate'`,
      [],
    );
    return { renewed: (rows[0]?.left ?? 0) > lifeMs - 2 * renewMs };
  }
}
