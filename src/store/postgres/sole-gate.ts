// Keeps a database to one gate, or to gates that count together. A gate that counts limits in its own memory must be the only one,
// or both would admit twice as much. The gate holds a lease in the database and renews it; gates that share their counts hold it
// together.
import { movingLease } from '../ports/raw-rows.ts';
import { StoreBusy, StoreUnusable, unfinishedMove } from '../unusable.ts';
import { type Beats, now } from './heartbeat.ts';
import type { Pool } from './pool.ts';

/** Before the name of the place where gates count together: these hold the lease, and none that counts elsewhere. */
export const together = 'together ';

/** @throws StoreUnusable while a gate uses the database. */
export async function refuseRunningGate(pool: Pool): Promise<void> {
  const { rows } = await pool.ask(`select 1 from leases where name = 'gate' and until > ${now}`, []);
  if (rows.length > 0) throw new StoreUnusable('A gateway uses this database. Stop it first.');
}

/** @throws StoreUnusable after a move that was not finished. */
export async function refuseHalf(pool: Pool): Promise<void> {
  const { rows } = await pool.ask('select 1 from leases where name = $1', [movingLease]);
  if (rows.length > 0) throw unfinishedMove();
}

export class SoleGate {
  readonly #pool: Pool;
  /** The same for every start with one data directory, so that a gate that was killed starts again at once; or where they count. */
  readonly #id: string;
  readonly #beats: Beats;
  #loss: string | undefined;

  private constructor(pool: Pool, id: string, beats: Beats) {
    this.#pool = pool;
    this.#id = id;
    this.#beats = beats;
  }

  /**
   * Waits as long as a gate that was killed may still hold the lease.
   * @throws StoreUnusable if another gate uses the database; StoreBusy while that is not certain.
   */
  static async open(pool: Pool, id: string, beats: Beats): Promise<SoleGate> {
    const gate = new SoleGate(pool, id, beats);
    const held = await gate.#take();
    if (held !== undefined) {
      if (held.renewed)
        throw new StoreUnusable(
          'Another gateway uses this database. Several gateways must count limits in one place: set the same REDIS_URL at each, ' +
            'with the same servers and database number, or give this gateway a database of its own.',
        );
      throw new StoreBusy(
        'The database belongs to a gateway that has not been heard of for seconds; this one waits for its place.',
      );
    }
    return gate;
  }

  /** A sentence after another gate has taken the database over. */
  loss(): string | undefined {
    return this.#loss;
  }

  async close(): Promise<void> {
    await this.#pool
      .ask(
        `delete from leases where name = 'gate' and owner = $1
           and (not starts_with($1, $2) or not exists (select from gates where until > ${now}))`,
        [this.#id, together],
      )
      .catch(() => undefined);
  }

  /** With every heartbeat. */
  async renew(): Promise<void> {
    if (this.#loss !== undefined || (await this.#take()) === undefined) return;
    this.#loss =
      'Another gateway has taken the database over while this one did not answer. Start this one again when it may.';
  }

  /** Takes or renews the lease; returns who has it instead, and whether they renewed it lately. */
  async #take(): Promise<{ readonly renewed: boolean } | undefined> {
    const { lifeMs, renewMs } = this.#beats;
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
