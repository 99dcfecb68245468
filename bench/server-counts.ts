// What Redis and PostgreSQL count of a load, by their own figures and by the CPU time of their processes, which are children of the
// bench.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import type pg from 'pg';
import { connectTo } from '../test/postgres-client.ts';
import type { RedisServer } from '../test/redis.ts';
import { tokens } from './load.ts';
import { cpuUs, treeOf } from './processes.ts';

export interface Count {
  readonly redisUs: number;
  readonly postgresUs: number;
  readonly scripts: number;
  readonly commands: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly transactions: number;
  readonly wal: number;
  readonly rows: number;
}

/** Reads what Redis and PostgreSQL count themselves. Its own questions are part of it, which are few. */
export class Counts {
  readonly #redis: RedisServer;
  readonly #database: string | undefined;
  #client: pg.Client | undefined;

  constructor(redis: RedisServer, database: string | undefined) {
    this.#redis = redis;
    this.#database = database;
  }

  async open(): Promise<void> {
    if (this.#database === undefined) return;
    this.#client = await connectTo(this.#database);
  }

  async close(): Promise<void> {
    await this.#client?.end();
  }

  async read(): Promise<Count> {
    const servers = serversOf(process.pid);
    const text = await this.#redis.ask('INFO', 'everything');
    const figure = (name: RegExp): number => Number(name.exec(text)?.[1] ?? 0);
    const { rows } = (await this.#client?.query(
      `select xact_commit::float8 as transactions, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal,
         (select coalesce(sum(n_tup_ins), 0)::float8 from pg_stat_user_tables where relname ~ '^usage') as rows
       from pg_stat_database where datname = current_database()`,
    )) ?? { rows: [{ transactions: NaN, wal: NaN, rows: NaN }] };
    return {
      redisUs: this.#client ? cpuUs(servers.redis) : NaN,
      postgresUs: this.#client ? cpuUs(servers.postgres) : NaN,
      scripts: this.#client ? figure(/^cmdstat_evalsha:calls=(\d+)/m) : NaN,
      commands: this.#client ? figure(/^total_commands_processed:(\d+)/m) : NaN,
      bytesIn: this.#client ? figure(/^total_net_input_bytes:(\d+)/m) : NaN,
      bytesOut: this.#client ? figure(/^total_net_output_bytes:(\d+)/m) : NaN,
      ...(rows[0] as Pick<Count, 'transactions' | 'wal' | 'rows'>),
    };
  }

  /** Answers in the ledger with exactly the upstream's figures. */
  async booked(): Promise<number> {
    if (this.#database === undefined) return NaN;
    const client = await connectTo(this.#database);
    try {
      const { rows } = await client.query(
        `select count(*)::int as booked from usage where outcome = 'completed' and source = 'exact' and prompt_tokens = $1 and completion_tokens = $2`,
        [tokens.prompt, tokens.completion],
      );
      return (rows[0] as { booked: number }).booked;
    } finally {
      await client.end();
    }
  }
}

/** The processes of the two servers, which are children of this one. */
function serversOf(parent: number): { readonly redis: number[]; readonly postgres: number[] } {
  const named = treeOf(parent).map((pid) => [pid, nameOfProcess(pid)] as const);
  const those = (name: string): number[] => named.filter(([, each]) => each === name).map(([pid]) => pid);
  return { redis: those('redis-server'), postgres: those('postgres') };
}

function nameOfProcess(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '';
  }
}
