// The gates of one database, registered in a table. All times are the database's, so no gate's clock matters; what a gate measures
// itself is only how long ago it sent its last heartbeat.
import type { MonotonicMs } from '../../domain/time.ts';
import type { Gates, ShownGate } from '../ports/gates.ts';
import { StoreUnusable } from '../unusable.ts';
import { begin } from './dialect.ts';
import { type Beats, now, type ReadClock } from './heartbeat.ts';
import { lockMigrations, refuseNewer } from './migrate.ts';
import { Pool, type PoolSettings, type Taken } from './pool.ts';
import type { SoleGate } from './sole-gate.ts';

/** What a gate says of itself. */
export interface GateFacts {
  /** The same for every start with one data directory, and for no other gate. */
  readonly id: string;
  readonly version: string;
  readonly host: string;
  /** The fingerprint of the secret that sessions are signed with. */
  readonly secret: string;
  /** The names of the keys in its file for stored secrets, the one that seals first; empty without a file. */
  readonly sealing: () => readonly string[];
  /** In which the windows of its limits begin. */
  readonly timeZone: string;
  /** Names the place where it counts limits together with other gates; '': in its memory. */
  readonly counts: string;
}

const cloned =
  'Another gateway runs with a copy of this data directory (its gate.id). Give this one a directory of its own, or remove its gate.id.';

export class Registry implements Gates {
  readonly #pool: Pool;
  readonly #facts: GateFacts;
  readonly #sole: SoleGate;
  readonly #beats: Beats;
  readonly #readClock: ReadClock;
  readonly #nowMs = (): MonotonicMs => performance.now();
  #epoch = 0;
  #alive: readonly string[] = [];
  #certainUntilMs: MonotonicMs = -Infinity;
  #beating: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #loss: string | undefined;

  private constructor(pool: Pool, facts: GateFacts, sole: SoleGate, beats: Beats, readClock: ReadClock) {
    this.#pool = pool;
    this.#facts = facts;
    this.#sole = sole;
    this.#beats = beats;
    this.#readClock = readClock;
  }

  static async open(
    pool: Pool,
    facts: GateFacts,
    sole: SoleGate,
    beats: Beats,
    readClock: ReadClock = () => undefined,
  ): Promise<Registry> {
    const registry = new Registry(pool, facts, sole, beats, readClock);
    // Of two gates that start at once, the second sees the first; and one that a contracting migration has overtaken does not start.
    await pool.transact(begin, async (connection) => {
      await lockMigrations(connection);
      await refuseNewer(connection);
      await refuseOtherFacts(connection, facts);
      await registry.#register(connection);
    });
    await registry.#beat();
    registry.#timer = setInterval(() => void registry.confirm(), beats.renewMs).unref();
    return registry;
  }

  get id(): string {
    return this.#facts.id;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get alive(): readonly string[] {
    return this.#alive;
  }

  get certainUntilMs(): MonotonicMs {
    return this.#certainUntilMs;
  }

  /** A sentence if another process has taken this gate's place. */
  loss(): string | undefined {
    return this.#sole.loss() ?? this.#loss;
  }

  /** Once it is closed, a heartbeat would take the place again that was given back. */
  async confirm(): Promise<void> {
    if (this.#isClosing) return;
    this.#beating ??= this.#beat()
      // The next heartbeat tells.
      .catch(() => undefined)
      .finally(() => {
        this.#beating = undefined;
      });
    await this.#beating;
  }

  async show(text: string): Promise<void> {
    await this.#pool.ask('update gates set live = $3 where id = $1 and epoch = $2', [this.id, this.#epoch, text]);
  }

  async shown(): Promise<readonly ShownGate[]> {
    const { rows } = await this.#pool.ask<ShownGate>(
      `select id, host, live as now from gates where until > ${now} and id <> $1 and live <> '' order by host, id`,
      [this.id],
    );
    return rows;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#timer);
    await this.#beating;
    await this.#pool
      .ask('update gates set until = 0 where id = $1 and epoch = $2', [this.id, this.#epoch])
      .catch(() => undefined);
    await this.#sole.close();
  }

  async #beat(): Promise<void> {
    // Measured before the questions, since others count from when the database has answered them, which is later.
    let sentMs = this.#nowMs();
    await this.#sole.renew();
    if (this.loss() !== undefined) return;
    const askedAt = Date.now();
    const renewed = await this.#pool.ask<{ at: number }>(
      `update gates set until = ${now} + $3, sealing = $4 where id = $1 and epoch = $2 and until > ${now} returning ${now} as at`,
      [this.id, this.#epoch, this.#beats.lifeMs, this.#facts.sealing()[0] ?? ''],
    );
    const at = renewed.rows[0]?.at;
    if (at !== undefined) this.#readClock(at, askedAt, Date.now());
    else {
      // This heartbeat may have been held up for longer than the lease lasts.
      sentMs = this.#nowMs();
      await this.#sole.renew();
      if (this.loss() !== undefined || !(await this.#register())) return;
    }
    const { rows } = await this.#pool.ask<{ id: string }>(`select id from gates where until > ${now} order by id`, []);
    const ids = rows.map(({ id }) => id);
    this.#alive = ids.includes(this.id) ? ids : [...ids, this.id].toSorted();
    this.#certainUntilMs = sentMs + this.#beats.lifeMs;
  }

  /** Takes part under a new epoch. False: another process has done so under the same id. */
  async #register(connection?: Taken): Promise<boolean> {
    const { id, version, host, secret, sealing, timeZone } = this.#facts;
    const statement = `insert into gates (id, epoch, until, started_at, version, host, secret, sealing, time_zone)
         values ($1, 1, ${now} + $2, ${now}, $3, $4, $6, $7, $8)
       on conflict (id) do update set epoch = gates.epoch + 1, until = excluded.until, version = excluded.version,
         host = excluded.host, secret = excluded.secret, sealing = excluded.sealing, time_zone = excluded.time_zone,
         live = '', started_at = case when $5 = 0 then excluded.started_at else gates.started_at end
         where $5 = 0 or gates.epoch = $5
       returning epoch`;
    const values = [id, this.#beats.lifeMs, version, host, this.#epoch, secret, sealing()[0] ?? '', timeZone];
    const { rows } = await (connection
      ? connection.query<{ epoch: number }>(statement, values)
      : this.#pool.ask<{ epoch: number }>(statement, values));
    const epoch = rows[0]?.epoch;
    if (epoch === undefined) {
      this.#loss = cloned;
      return false;
    }
    this.#epoch = epoch;
    return true;
  }
}

/**
 * Who signs in at one gate is not signed in at another that has another secret; links in emails and second steps fail there, too. And a
 * day that begins at two times begins twice: a limit per day would be twice as much.
 */
async function refuseOtherFacts(connection: Taken, { id, secret, sealing, timeZone }: GateFacts): Promise<void> {
  const { rows } = await connection.query<{ host: string }>(
    `select host from gates where until > ${now} and id <> $1 and secret not in ('', $2) limit 1`,
    [id, secret],
  );
  if (rows[0])
    throw new StoreUnusable(
      `The gateways of this database have different secrets for sessions. Copy cookie.secret from the DATA_DIR of the gateway on ${rows[0].host} into this one's, and start this gateway again.`,
    );
  const others = await connection.query<{ host: string }>(
    `select host from gates where until > ${now} and id <> $1 and sealing <> '' and sealing <> all ($2) limit 1`,
    [id, sealing()],
  );
  if (others.rows[0])
    throw new StoreUnusable(
      `The gateway on ${others.rows[0].host} encrypts stored secrets with a key that this one does not have. Copy its file of SERVER_SECRET_KEY, and start this gateway again.`,
    );
  const elsewhere = await connection.query<{ host: string; zone: string }>(
    `select host, time_zone as zone from gates where until > ${now} and id <> $1 and time_zone not in ('', $2) limit 1`,
    [id, timeZone],
  );
  const other = elsewhere.rows[0];
  if (other)
    throw new StoreUnusable(
      `The limits of the gateway on ${other.host} begin in the time zone ${other.zone}, and those of this one in ${timeZone}. Set the same TIME_ZONE at both, and start this gateway again.`,
    );
}

/** Whether a gateway with this id has renewed its place lately. */
export async function isAlive(settings: PoolSettings, id: string): Promise<boolean> {
  const pool = new Pool(settings);
  try {
    const { rows } = await pool.ask(`select 1 from gates where id = $1 and until > ${now}`, [id]);
    return rows.length > 0;
  } finally {
    await pool.end();
  }
}
