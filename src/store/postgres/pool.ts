// The connections to PostgreSQL, in the form that the query builder needs. Every value is sent as a parameter of an unnamed
// statement, so that a pooler that gives each transaction another connection (PgBouncer) works.
import { once } from 'node:events';
import { connect } from 'node:net';
import pg from 'pg';
import { isDeciding } from '../relational/connection.ts';
import { StoreAway } from '../unusable.ts';
import { Addresses } from './addresses.ts';
import { readOnly, translated } from './errors.ts';

export interface PoolSettings {
  readonly url: string;
  readonly connections: number;
  /** How long an answer may take; ten seconds if it is not given. */
  readonly answerMs?: number;
}

/** Much longer than any report takes; a server that does not answer for so long is given up. */
const usualAnswerMs = 10_000;
/** How long before that PostgreSQL is told to give the question up. If it does, it is not away: another session has a lock. */
const cancelMs = 2_000;
/** After a failure nobody waits for the server before this time is over, but is told at once that it is away. */
const awayMs = 500;
const connectMs = 5_000;
const idleMs = 30_000;
const keepAliveAfterMs = 10_000;

const int8 = 20;
const numeric = 1700;

/** 64-bit integers and their sums are numbers in JavaScript; every figure of the store is below 2^53. */
const types = new pg.TypeOverrides();
types.setTypeParser(int8, Number);
types.setTypeParser(numeric, Number);

/** One connection while it is taken. */
export interface Taken {
  query<Row>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<Row & pg.QueryResultRow>>;
  release(isDiscarded?: boolean): void;
}

export class Pool {
  readonly options = {};
  readonly #pool: pg.Pool;
  #awayUntil = 0;
  #away: unknown;
  #ended: Promise<void> | undefined;
  /** Grows when the server was away: connections made before may lead to one that is gone or has become a replica. */
  #generation = 0;
  readonly #madeIn = new WeakMap<pg.PoolClient, number>();
  readonly #addresses: Addresses;
  readonly #patienceMs: number;

  /** @throws StoreUnusable if the address asks for a server that can only be read. */
  constructor({ url, connections, answerMs = usualAnswerMs }: PoolSettings) {
    const addresses = new Addresses(url);
    this.#addresses = addresses;
    this.#patienceMs = answerMs - cancelMs;
    this.#pool = new pg.Pool({
      Client: class extends pg.Client {
        constructor(config?: pg.ClientConfig) {
          super({ ...config, connectionString: addresses.now });
        }
      },
      // The pool waits for it, which its type does not say.
      ...({ onConnect: (client: pg.ClientBase) => refuseOthers(client, addresses) } as object),
      max: connections,
      connectionTimeoutMillis: connectMs,
      idleTimeoutMillis: idleMs,
      query_timeout: answerMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: keepAliveAfterMs,
      application_name: 'sekisho',
      types,
    });
    // Without a listener, the end of an idle connection would end this process; the pool has removed it already.
    this.#pool.on('error', () => {});
    this.#pool.on('connect', (client) => this.#madeIn.set(client, this.#generation));
  }

  /** @throws StoreAway if no connection can be made or becomes free within five seconds. */
  async connect(): Promise<Taken> {
    // A decision that waits for a second connection while it has one could wait forever.
    if (isDeciding()) throw new Error('a decision uses the store that it was given, and no other');
    if (performance.now() < this.#awayUntil) throw this.#away;
    const client = await this.#connect();
    return new Connected(client, {
      note: (error) => this.#note(error),
      isOld: () => this.#madeIn.get(client) !== this.#generation,
      patienceMs: this.#patienceMs,
    });
  }

  /** Tries each server once. */
  async #connect(): Promise<pg.PoolClient> {
    for (let tries = 1; ; tries++) {
      const address = this.#addresses.now;
      try {
        return await this.#pool.connect();
      } catch (error) {
        const isAway = translated(error) instanceof StoreAway;
        if (isAway) this.#addresses.leave(address);
        if (!isAway || tries === this.#addresses.count) throw this.#note(error);
      }
    }
  }

  /** Remembers that the server is away; returns the error as callers know it. */
  #note(error: unknown): unknown {
    const known = translated(error);
    if (known instanceof StoreAway) {
      this.#away = known;
      this.#awayUntil = performance.now() + awayMs;
      this.#endIdle();
    }
    return known;
  }

  /** After a failover each of them would fail by itself, or be silent for as long as an answer may take. */
  #endIdle(): void {
    this.#generation++;
    for (let idle = this.#pool.idleCount; idle > 0; idle--)
      void this.#pool.connect().then(
        (client) => client.release(true),
        () => undefined,
      );
  }

  /** One statement on any connection. */
  async ask<Row>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<Row & pg.QueryResultRow>> {
    const connection = await this.connect();
    try {
      return await connection.query<Row>(text, values);
    } finally {
      connection.release();
    }
  }

  /** Runs statements in one transaction on one connection; without values, a text may hold several. */
  async transact<T>(begin: string, work: (connection: Taken) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    let isOver = false;
    try {
      await connection.query(begin, []);
      const result = await work(connection);
      await connection.query('commit', []);
      isOver = true;
      return result;
    } catch (error) {
      await connection.query('rollback', []).then(
        () => (isOver = true),
        () => undefined,
      );
      throw error;
    } finally {
      connection.release(!isOver);
    }
  }

  /** Also more than once: the query builder ends it, but only if it has asked something. */
  end(): Promise<void> {
    return (this.#ended ??= this.#pool.end());
  }
}

/** What a connection tells its pool, and asks it. */
interface Owner {
  readonly note: (error: unknown) => unknown;
  readonly isOld: () => boolean;
  readonly patienceMs: number;
}

class Connected implements Taken {
  readonly #client: pg.PoolClient;
  readonly #owner: Owner;
  #broken = false;
  /** The pool listens only while the connection is idle. A server that ends it between two questions would end this process. */
  readonly #onError = (error: unknown): void => {
    this.#broken = true;
    this.#owner.note(error);
  };

  constructor(client: pg.PoolClient, owner: Owner) {
    this.#client = client;
    this.#owner = owner;
    client.on('error', this.#onError);
  }

  async query<Row>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<Row & pg.QueryResultRow>> {
    const giveUp = setTimeout(() => {
      // The request may arrive when another question has begun.
      this.#broken = true;
      void cancel(this.#client);
    }, this.#owner.patienceMs);
    try {
      return await this.#client.query<Row & pg.QueryResultRow>(text, values.map(storable));
    } catch (error) {
      const known = this.#owner.note(error);
      // Its answer may still come, and would be taken for the answer to another question.
      if (known instanceof StoreAway) this.#broken = true;
      throw known;
    } finally {
      clearTimeout(giveUp);
    }
  }

  /** A connection on which a question was given up is closed (brianc/node-postgres#2973). */
  release(isDiscarded = false): void {
    this.#client.off('error', this.#onError);
    this.#client.release(this.#broken || isDiscarded || this.#owner.isOld());
  }
}

/** A replica, or a former primary, is not used even for what only reads: it may lack the last changes, such as revocations. */
async function refuseOthers(client: pg.ClientBase, addresses: Addresses): Promise<void> {
  const writes = await client.query<{ transaction_read_only: string }>('show transaction_read_only');
  if (writes.rows[0]?.transaction_read_only === 'on') throw readOnly();
  if (addresses.count === 1) return;
  const { rows } = await client.query<{ timeline: string }>(
    'select left(pg_walfile_name(pg_current_wal_lsn()), 8) as timeline',
  );
  addresses.refuseFormer(rows[0]?.timeline ?? '');
}

const cancelRequest = 80_877_102;

/**
 * Tells the server to give up what it does for this client (PostgreSQL, "Canceling Requests in Progress"). Without it, a question
 * that waits for a lock would go on waiting there, and hold its connection, after nobody here does.
 */
async function cancel(client: pg.PoolClient): Promise<void> {
  const { host, port, processID, secretKey } = client as unknown as Record<'host', string> &
    Record<'port' | 'processID' | 'secretKey', number>;
  const request = Buffer.alloc(16);
  [16, cancelRequest, processID, secretKey].forEach((part, at) => request.writeInt32BE(part, 4 * at));
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.setTimeout(cancelMs, () => socket.destroy()).on('error', () => undefined);
  await once(socket.end(request).resume(), 'close');
}

/** A value as the tables hold it: flags are integers, and texts contain no character that PostgreSQL cannot store. */
function storable(value: unknown): unknown {
  if (typeof value === 'boolean') return value ? 1 : 0;
  return typeof value === 'string' ? storableText(value) : value;
}

/** PostgreSQL stores every character but U+0000, and no unpaired surrogate. */
const storableText = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');

/** Rows as one parameter, for json_populate_recordset. JSON of PostgreSQL has the limits of its texts. */
export const storableRows = (rows: readonly object[]): string =>
  JSON.stringify(rows, (_name, value: unknown) => (typeof value === 'string' ? storableText(value) : value));
