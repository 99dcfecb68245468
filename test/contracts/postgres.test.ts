import { join } from 'node:path';
import Database from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { type KeyId, newRequestId } from '../../src/domain/id.ts';
import type { ChangedAccounts } from '../../src/store/ports/change-feed.ts';
import { migrate } from '../../src/store/postgres/migrate.ts';
import { keptChanges } from '../../src/store/postgres/migrations/caller-changes.ts';
import { type Migration, migrations as postgresMigrations, run } from '../../src/store/postgres/migrations/list.ts';
import { openPostgres } from '../../src/store/postgres/open.ts';
import { Pool } from '../../src/store/postgres/pool.ts';
import { postgresRows } from '../../src/store/postgres/raw-rows.ts';
import { Registry } from '../../src/store/postgres/registry.ts';
import { SoleGate } from '../../src/store/postgres/sole-gate.ts';
import { migrations } from '../../src/store/sqlite/migrations/list.ts';
import { StoreAway, StoreBusy } from '../../src/store/unusable.ts';
import { author, eventually } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';
import { changesContract } from './changes.ts';
import { decisionsContract } from './decisions.ts';
import { leasesContract } from './leases.ts';
import { ledgerWriterContract } from './ledger-writer.ts';
import { namesContract } from './names.ts';
import { noticesContract } from './notices.ts';
import { peopleContract } from './people.ts';
import { policyContract } from './policy.ts';
import { racesContract } from './raced.ts';
import { reportsContract } from './reports.ts';
import { record, requestsContract } from './requests.ts';
import { routesContract } from './routes.ts';
import { serversContract } from './servers.ts';
import { type Database as Opened, storeContract } from './store.ts';

let server: PostgresServer;
/** Has the tables, which take longer to make than to copy. */
let made: string;
beforeAll(async () => {
  server = await startPostgres();
  made = await server.database();
  await (await openPostgres({ url: made, connections: 1 })).close();
});
afterAll(() => server.stop());

async function create(): Promise<Opened> {
  const settings = { url: await server.database(made), connections: 4 };
  return {
    open: () => openPostgres(settings),
    elsewhere: {
      module: join(import.meta.dirname, '../../src/store/postgres/open.ts'),
      name: 'openPostgres',
      given: [settings],
    },
    // The server's data is removed as a whole.
    drop: () => Promise.resolve(),
  };
}

storeContract('PostgreSQL', create);
policyContract('PostgreSQL', create);
peopleContract('PostgreSQL', create);
decisionsContract('PostgreSQL', create);
changesContract('PostgreSQL', create);
leasesContract('PostgreSQL', create);
racesContract('PostgreSQL', create);
serversContract('PostgreSQL', create);
routesContract('PostgreSQL', create);
namesContract('PostgreSQL', create);
noticesContract('PostgreSQL', create);
requestsContract('PostgreSQL', create);
reportsContract('PostgreSQL', create);
ledgerWriterContract('PostgreSQL', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 4 });
  const hold = async (): Promise<() => Promise<void>> => {
    const other = await connectTo(url);
    await other.query('begin; lock table usage, keys in exclusive mode');
    return () => other.end();
  };
  return { writer: store, store, hold, close: () => store.close() };
});

/** Tables that one database has for itself: the log of its migrations, changes, and one that is not used any more. */
const own = /^(store_version|caller_changes|migrations|notices|kysely_|sqlite_|usage_\d|usage_other)/;

interface Column {
  readonly table: string;
  readonly column: string;
  readonly required: boolean;
  readonly key: number;
}

const written = (columns: readonly Column[]): string[] =>
  columns
    .filter(({ table }) => !own.test(table))
    .map(({ table, column, required, key }) => `${table}.${column} ${required ? 'required' : 'optional'} ${key}`)
    .toSorted();

test('PostgreSQL has the tables of SQLite, with the same columns in each and the same keys', async () => {
  const memory = new Database(':memory:');
  const sqlite = new Kysely<unknown>({ dialect: new SqliteDialect({ database: memory }) });
  for (const migration of Object.values(migrations)) await migration.up(sqlite);
  const ours = memory
    .prepare(
      `select tables.name as "table", info.name as "column", info."notnull" or info.pk > 0 as required, info.pk as key
       from sqlite_schema as tables, pragma_table_info(tables.name) as info where tables.type = 'table'`,
    )
    .all() as Column[];
  const theirs = await asking<Column & pg.QueryResultRow>(
    made,
    `select relname as "table", attname as "column", attnotnull as required,
       coalesce(array_position(conkey, attnum), 0)::int as key
     from pg_attribute join pg_class on pg_class.oid = attrelid
       left join pg_constraint on conrelid = attrelid and contype = 'p'
     where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and attnum > 0`,
  );
  expect(written(theirs)).toEqual(written(ours.map((column) => ({ ...column, required: Boolean(column.required) }))));
  const unique = memory
    .prepare(
      `select tables.name || ' ' || (select group_concat(name) from pragma_index_info(list.name)) as it
       from sqlite_schema as tables, pragma_index_list(tables.name) as list
       where list."unique" = 1 and list.origin <> 'pk' order by 1`,
    )
    .pluck()
    .all();
  const theirUnique = await asking<{ it: string }>(
    made,
    `select indrelid::regclass || ' ' || (
         select string_agg(attname, ',' order by place) from unnest(indkey) with ordinality as keys (number, place)
           join pg_attribute on attrelid = indrelid and attnum = number) as it
     from pg_index join pg_class on pg_class.oid = indrelid
     where indisunique and not indisprimary and relnamespace = 'public'::regnamespace order by 1`,
  );
  expect(theirUnique.map(({ it }) => it).toSorted()).toEqual((unique as string[]).toSorted());
  await sqlite.destroy();
});

test('stores a text with characters that PostgreSQL has none of, instead of stopping the ledger', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 2 });
  const id = newRequestId(Date.now());
  const row = { ...record(Date.now()), id, model: 'a\0b', detail: 'c\ud800d' };
  await store.appendUsage([row]);
  expect(await store.findUsage(id)).toMatchObject({ model: 'a\ufffdb', detail: 'c\ufffdd' });
  expect(await store.findAccount('a\0')).toBeUndefined();
  await store.close();
});

test('a store that is closed unused leaves no connection', async () => {
  const url = await server.database(made);
  await (await openPostgres({ url, connections: 1 })).close();
  const left = `select 1 from pg_stat_activity where datname = '${new URL(url).pathname.slice(1)}' and application_name = 'sekisho'`;
  await eventually(async () => expect(await asking(url, left)).toEqual([]));
});

test('a newer version may have added something, and must not have changed anything', async () => {
  const url = await server.database(made);
  await asking(url, "insert into migrations values ('9000-more', 1, 0)");
  await (await openPostgres({ url, connections: 1 })).close();
  await asking(url, "insert into migrations values ('9001-less', 0, 0)");
  await expect(openPostgres({ url, connections: 1 })).rejects.toThrow(/changed by a newer Sekisho/);
});

test('beside a newer version that has added columns, tables and indexes, this one starts and writes as before', async () => {
  const url = await server.database(made);
  const wide = ['usage', 'usage_quarterly', 'outcome_steps', 'latency_steps', 'keys', 'accounts', 'gates', 'leases'];
  await asking(url, wide.map((table) => `alter table ${table} add column later text not null default 'x'`).join(';'));
  await asking(url, 'create table later (id text primary key); create index later_ones on usage (later)');
  await asking(url, "insert into migrations values ('9000-more', 1, 0)");
  const store = await openPostgres({ url, connections: 2 }, factsOf('a'), beats);
  const rows = [record(Date.UTC(2031, 0, 1)), record(Date.UTC(2031, 1, 1))];
  await store.appendUsage(rows);
  await store.appendUsage(rows);
  expect(await store.listUsage(10)).toHaveLength(2);
  expect(await store.takeLease('work', 'a', 500)).toBeDefined();
  await store.close();
  expect(await asking(url, 'select distinct later from usage')).toEqual([{ later: 'x' }]);
  await expect(postgresRows({ url, connections: 1 })).rejects.toThrow(/changed by a newer Sekisho/);
});

/** What older gates rely on: each column, constraint, unique index, trigger and function, with what it demands. A function may do more. */
const relied = `
  select 'column' as kind, relname || '.' || attname as name, relname as "on",
    format_type(atttypid, atttypmod) || case when attnotnull and not atthasdef then ' required' else '' end as demands
  from pg_attribute join pg_class on pg_class.oid = attrelid
  where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
  union all select 'constraint', conrelid::regclass || '.' || conname, conrelid::regclass::text, pg_get_constraintdef(oid)
    || ' ' || confrelid::regclass from pg_constraint where connamespace = 'public'::regnamespace
  union all select 'unique index', indexrelid::regclass::text, indrelid::regclass::text, pg_get_indexdef(indexrelid)
  from pg_index join pg_class on pg_class.oid = indrelid where indisunique and relnamespace = 'public'::regnamespace
  union all select 'trigger', tgrelid::regclass || '.' || tgname, tgrelid::regclass::text, pg_get_triggerdef(pg_trigger.oid)
  from pg_trigger where not tgisinternal
  union all select 'function', proname, '', prorettype::regtype::text from pg_proc where pronamespace = 'public'::regnamespace`;

interface Relied extends pg.QueryResultRow {
  readonly kind: string;
  readonly name: string;
  readonly on: string;
  readonly demands: string;
}

test('a migration that is said to expand only adds: nothing that older gates rely on is gone, changed, or demands more', async () => {
  const url = await server.database();
  const pool = new Pool({ url, connections: 1 });
  let before: Relied[] = [];
  for (const migration of postgresMigrations) {
    await pool.transact('begin', (connection) => run(connection, migration));
    const after = await asking<Relied>(url, relied);
    if (migration.expands) {
      const said = (each: Relied): string => `${each.kind} ${each.name}: ${each.demands}`;
      const now = new Set(after.map(said));
      expect(before.map(said).filter((each) => !now.has(each))).toEqual([]);
      const tables = new Set(before.map((each) => each.on));
      const old = new Set(before.map(said));
      // In a table that older gates write, a new column must do without them, and nothing may refuse what they write.
      const added = after.filter((each) => !old.has(said(each)) && tables.has(each.on));
      expect(added.filter(({ kind, demands }) => kind !== 'column' || demands.endsWith(' required'))).toEqual([]);
    }
    before = after;
  }
  await pool.end();
});

test('the month of a row is made when it arrives, and dropped when it is old', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 2 });
  const months = [Date.UTC(2025, 0, 31, 23, 59), Date.UTC(2025, 1, 1), Date.UTC(2025, 11, 31), Date.UTC(2026, 0, 1)];
  await store.appendUsage(months.map((at) => record(at)));
  const tables = async (): Promise<string[]> =>
    (
      await asking<{ name: string }>(
        url,
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'usage'::regclass",
      )
    )
      .map(({ name }) => name)
      .toSorted();
  expect(await tables()).toEqual([
    'usage_2025_01',
    'usage_2025_02',
    'usage_2025_12',
    'usage_2026_01',
    'usage_2026_02',
    'usage_other',
  ]);
  // As retention does: until less than the limit was removed.
  while ((await store.pruneUsage(Date.UTC(2025, 11, 15), 10)) >= 10);
  expect(await tables()).toEqual(['usage_2025_12', 'usage_2026_01', 'usage_2026_02', 'usage_other']);
  expect((await store.listUsage(10)).map(({ at }) => at)).toEqual([months[3], months[2]]);
  await store.appendUsage([record(months[0]!)]);
  expect(await store.listUsage(10)).toHaveLength(3);
  await store.close();
});

test('a lease does not pass on while a change that belongs to it is being written', async () => {
  const url = await server.database(made);
  const [mine, other] = [await openPostgres({ url, connections: 2 }), await openPostgres({ url, connections: 2 })];
  const lease = (await mine.takeLease('work', 'a', 60_000))!;
  const order: string[] = [];
  const begun = Promise.withResolvers<void>();
  const taking = begun.promise.then(() =>
    eventually(async () => {
      if (!(await other.takeLease('work', 'b', 60_000))) throw new Error('not yet');
      order.push('taken');
    }),
  );
  await mine.whileHeld(lease, async (store) => {
    begun.resolve();
    // The other one waits for its row, and then the lease ends.
    await eventually(async () => {
      const waits = await asking(url, "select 1 from pg_stat_activity where wait_event_type = 'Lock'");
      expect(waits).toHaveLength(1);
    });
    await store.renewLease(lease, 0);
    await store.forgetPulls(0);
    order.push('written');
  });
  await taking;
  expect(order).toEqual(['written', 'taken']);
  await mine.close();
  await other.close();
});

/** None comes while a test runs, unless the test asks for it. */
const beats = { lifeMs: 600_000, renewMs: 200_000 };

const factsOf = (id: string, counts = 'r', keys: readonly string[] = []) => ({
  id,
  version: '1',
  host: `host-${id}`,
  secret: 's',
  counts,
  sealing: () => keys,
  timeZone: 'UTC',
});

test('gates that count together know of each other, and exclude one that counts alone', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const b = await openPostgres(settings, factsOf('b'), beats);
  const a = await openPostgres(settings, factsOf('a'), beats);
  expect([a.gates?.epoch, a.gates?.alive, b.gates?.epoch]).toEqual([1, ['a', 'b'], 1]);
  // A person who signs in at one of them is to be signed in at all.
  await expect(openPostgres(settings, { ...factsOf('e'), secret: 't' }, beats)).rejects.toThrow(/Copy cookie\.secret/);
  await b.gates?.confirm();
  expect(b.gates?.alive).toEqual(['a', 'b']);
  for (const elsewhere of ['', 'q'])
    await expect(openPostgres(settings, factsOf('c', elsewhere), beats)).rejects.toThrow(
      /^Another gateway uses this database\./,
    );
  await a.close();
  await b.gates?.confirm();
  expect(b.gates?.alive).toEqual(['b']);
  await expect(openPostgres(settings, factsOf('c', ''), beats)).rejects.toThrow(
    /^Another gateway uses this database\./,
  );
  const again = await openPostgres(settings, factsOf('a'), beats);
  expect(again.gates?.epoch).toBe(2);
  await again.close();
  await b.close();
  const alone = await openPostgres(settings, factsOf('c', ''), beats);
  await expect(openPostgres(settings, factsOf('d'), beats)).rejects.toThrow(/^Another gateway uses this database\./);
  await alone.close();
});

test('a gate that cannot open what the running ones encrypt does not start, also if both start at once', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const keys = ['old'];
  const first = await openPostgres(settings, factsOf('a', 'r', keys), beats);
  for (const others of [[], ['other']])
    await expect(openPostgres(settings, factsOf('b', 'r', others), beats)).rejects.toThrow(
      /^The gateway on host-a encrypts stored secrets with a key that this one does not have\. Copy its file of SERVER_SECRET_KEY/,
    );
  const second = await openPostgres(settings, factsOf('b', 'r', ['new', 'old']), beats);
  // The file of a running gate changes; its next heartbeat says so.
  keys.unshift('new');
  await first.gates?.confirm();
  await expect(openPostgres(settings, factsOf('c', 'r', ['old']), beats)).rejects.toThrow(/SERVER_SECRET_KEY/);
  await Promise.all([first.close(), second.close()]);
  const started = await Promise.allSettled(
    ['d', 'e', 'f', 'g'].map((id) => openPostgres(settings, factsOf(id, 'r', [id]), beats)),
  );
  expect(started.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const each of started) if (each.status === 'fulfilled') await each.value.close();
});

test('a gate whose days begin at another time than those of the running ones does not start', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const first = await openPostgres(settings, factsOf('a'), beats);
  const elsewhere = { ...factsOf('b'), timeZone: 'Asia/Tokyo' };
  await expect(openPostgres(settings, elsewhere, beats)).rejects.toThrow(
    /^The limits of the gateway on host-a begin in the time zone UTC, and those of this one in Asia\/Tokyo\. Set the same TIME_ZONE/,
  );
  // One of an older version does not say.
  await asking(settings.url, "update gates set time_zone = ''");
  await (await openPostgres(settings, elsewhere, beats)).close();
  await first.close();
});

test.each(['LATIN1', 'SQL_ASCII'])('a database with the encoding %s is refused with a sentence', async (encoding) => {
  const url = await server.database(undefined, `template template0 encoding '${encoding}' lc_collate 'C' lc_ctype 'C'`);
  await expect(openPostgres({ url, connections: 2 })).rejects.toThrow(
    new RegExp(`has the encoding ${encoding}, .* createdb --encoding UTF8`),
  );
});

test.each(['serializable', 'repeatable read'])(
  'a database whose transactions are %s is refused with a sentence',
  async (level) => {
    const url = await server.database(made);
    await asking(
      url,
      `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = '${level}'`,
    );
    await expect(openPostgres({ url, connections: 2 })).rejects.toThrow(
      new RegExp(`^Transactions in this database are ${level} .* set default_transaction_isolation`),
    );
  },
);

test('an installation in a schema of its own has all its tables there, beside one that runs in another schema', async () => {
  const url = await server.database(made);
  const first = await openPostgres({ url, connections: 2 }, factsOf('a'), beats);
  const at = Date.UTC(2026, 4, 5);
  await first.appendUsage([record(at, {})]);
  await asking(url, 'create schema own');
  const beside = { url: `${url}?options=${encodeURIComponent('-c search_path=own,public')}`, connections: 2 };
  const second = await openPostgres(beside, factsOf('b', ''), beats);
  await second.appendUsage([record(at + 1, {})]);
  expect(await asking(url, 'select tableoid::regclass::text as place from own.usage')).toEqual([
    { place: 'own.usage_2026_05' },
  ]);
  expect((await first.listUsage(9)).length).toBe(1);
  await Promise.all([first.close(), second.close()]);
});

test('what would take something from gates that run waits until they have ended; what only adds does not', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const pool = new Pool(settings);
  const column = (name: string, expands: boolean) => ({
    name: `9000-${name}`,
    expands,
    statements: [`alter table accounts ${expands ? 'add' : 'drop'} column ${name}${expands ? ' text' : ''}`],
  });
  const [added, dropped] = [column('later', true), column('skeleton', false)];
  const old = await openPostgres(settings, { ...factsOf('a'), version: '0.9' }, beats);
  const apply = (list: readonly Migration[], gateId?: string): Promise<void> =>
    migrate(pool, 0, { list: [...postgresMigrations, ...list], gateId });
  await apply([added]);
  await expect(apply([added, dropped])).rejects.toThrow(/these run: host-a \(0\.9\)\. Stop them/);
  expect(await asking(settings.url, 'select skeleton, later from accounts')).toEqual([]);
  // The process before had the same place.
  const again = await openPostgres(settings, factsOf('a'), beats);
  await old.close();
  await apply([added, dropped], 'a');
  await again.close();
  await expect(openPostgres(settings, factsOf('a'), beats)).rejects.toThrow(/changed by a newer Sekisho/);
  await pool.end();
});

test('a gate that a contracting migration has overtaken between its look at the tables and its place does not start', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const pool = new Pool(settings);
  const sole = await SoleGate.open(pool, 'together r', beats);
  await asking(settings.url, "insert into migrations values ('9001-less', 0, 0)");
  await expect(Registry.open(pool, factsOf('a'), sole, beats)).rejects.toThrow(/changed by a newer Sekisho/);
  expect(await asking(settings.url, 'select 1 from gates')).toEqual([]);
  await pool.end();
});

test('a gate that was given up takes part under a new epoch, and one whose id another process has taken ends', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const a = await openPostgres(settings, factsOf('a'), beats);
  const untilMs = a.gates?.certainUntilMs ?? 0;
  expect(untilMs).toBeGreaterThan(performance.now());
  await asking(settings.url, 'update gates set until = 0');
  await a.gates?.confirm();
  expect([a.gates?.epoch, a.gates?.alive, a.loss()]).toEqual([2, ['a'], undefined]);
  const copy = await openPostgres(settings, factsOf('a'), beats);
  expect(copy.gates?.epoch).toBe(3);
  await a.gates?.confirm();
  expect(a.loss()).toMatch(/^Another gateway runs with a copy of this data directory/);
  await a.close();
  await copy.gates?.confirm();
  expect([copy.gates?.epoch, copy.loss()]).toEqual([3, undefined]);
  await copy.close();
});

test('a gate that is closed while it is asked whether it still has its place gives the place back', async () => {
  const settings = { url: await server.database(made), connections: 2 };
  const gate = await openPostgres(settings, factsOf('a', ''), beats);
  const closed = gate.close();
  await Promise.all([gate.gates?.confirm(), closed]);
  expect(await asking(settings.url, "select name from leases where name = 'gate'")).toEqual([]);
  expect(await asking(settings.url, 'select id from gates where until > 0')).toEqual([]);
});

test('a server that ends a connection between two statements of a decision fails the decision, and nothing else', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 2 });
  const end = "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'";
  const failing = store.atomically(async (within) => {
    await within.readRegistration();
    await new Promise((resolve) => setImmediate(resolve));
    await eventually(async () => expect(await asking(url, end)).toHaveLength(1));
    await eventually(async () => expect(await asking(url, end)).toHaveLength(0));
    await within.readRegistration();
  });
  await expect(failing).rejects.toThrow();
  await eventually(() => store.readRegistration());
  await store.close();
});

test('a decision that could not begin in time leaves its connection to the next one as it was', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 1 });
  const other = await connectTo(url);
  await other.query('begin; lock table store_version in exclusive mode');
  await expect(store.atomically((within) => within.readRegistration())).rejects.toThrow(StoreBusy);
  await other.end();
  expect(await store.atomically((within) => within.readRegistration())).toBeDefined();
  await store.close();
});

test('after a failover no connection to a server that can only be read is used again, once one of them has said so', async () => {
  const url = await server.database(made);
  const name = new URL(url).pathname.slice(1);
  const pool = new Pool({ url, connections: 4 });
  const asks = async (text: string): Promise<unknown> => pool.ask(text, []);
  // From now on, these connections are as those to a server that was the primary.
  await Promise.all(
    Array.from({ length: 4 }, () => asks('set default_transaction_read_only = on; select pg_sleep(0.05)')),
  );
  const writes = 'update store_version set n = n';
  await expect(asks(writes)).rejects.toThrow(StoreAway);
  const left = `select 1 from pg_stat_activity where datname = '${name}' and pid <> pg_backend_pid()`;
  await eventually(async () => expect(await asking(url, left)).toEqual([]));
  await eventually(() => asks(writes));
  await Promise.all(Array.from({ length: 4 }, () => asks(writes)));
  await pool.end();
});

test('a gate reads everything again from another server, even if the figure of changes there is the one it knows', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 2 });
  const seen: number[] = [];
  const feed = store.changeFeed({ onFailure: () => undefined, onRecovery: () => undefined });
  await feed.subscribe({ what: 'read', run: async () => void seen.push((await store.readRegistration()).maxPending) });
  await feed.look();
  expect(seen).toHaveLength(1);
  // As a replica that lacked the last changes when it became the primary, and has had as many others since.
  await server.kill();
  await server.start();
  await asking(
    url,
    `begin; create temporary table known as select n from store_version;
     update registration set definition = jsonb_set(definition::jsonb, '{maxPending}', '77')::text;
     update store_version set n = (select n from known); commit`,
  );
  await feed.look();
  expect(seen.slice(1)).toEqual([77]);
  await feed.look();
  expect(seen).toHaveLength(2);
  await store.close();
});

test('a gate is told which accounts a change concerns, and all where that is not known', async () => {
  const url = await server.database(made);
  const store = await openPostgres({ url, connections: 2 });
  const heard: ChangedAccounts[] = [];
  const feed = store.changeFeed({ onFailure: () => undefined, onRecovery: () => undefined });
  await feed.subscribe({
    what: 'callers',
    run: (_, accounts) => Promise.resolve(void (accounts && heard.push(accounts))),
  });
  const after = async (change: string): Promise<readonly string[] | 'all' | undefined> => {
    heard.length = 0;
    await asking(url, change);
    await feed.look();
    const [accounts] = heard;
    return accounts === undefined || accounts === 'all' ? accounts : [...accounts].toSorted();
  };
  const keyOf = (account: string): string =>
    `insert into keys (id, account_id, name, kind, digest, status, scopes, models, cidr, allow_path, created_at)
     values ('key_${account}', '${account}', '', 'secret', '${account}', 'active', '[]', '[]', '[]', 0, 0)`;
  // It has just subscribed.
  expect(
    await after("insert into accounts (id, name, created_at) values ('acc_1', 'one', 0), ('acc_2', 'two', 0)"),
  ).toBe('all');
  expect(await after(keyOf('acc_1'))).toEqual(['acc_1']);
  expect(
    await after(`begin; ${keyOf('acc_2')}; update accounts set plan = 'standard' where id = 'acc_1'; commit`),
  ).toEqual(['acc_1', 'acc_2']);
  expect(await after("update keys set status = 'revoked' where id = 'key_acc_2'")).toEqual(['acc_2']);
  expect(await after("update keys set last_used_at = 5 where id = 'key_acc_2'")).toBeUndefined();
  expect(
    await after(
      "insert into suspensions (id, account_id, step, reason, shadow, created_at) values ('sus_1', 'acc_1', 'slow', '', 0, 0)",
    ),
  ).toEqual(['acc_1']);
  expect(await after("delete from suspensions where id = 'sus_1'")).toEqual(['acc_1']);
  expect(await after("insert into audit_events values ('aud_1', 0, '', '', '', null, null)")).toEqual([]);
  expect(await after('update plans set version = version + 1')).toBe('all');
  expect(await after("insert into model_names values ('name_1', 'm', 1, 0, 0, '{}')")).toBe('all');
  // What this process changes is in the figure, too.
  heard.length = 0;
  await store.revokeKey('key_acc_1' as KeyId, 6, auditEvent(author(), 'test', 'x', null, null));
  await feed.announce();
  expect(heard).toEqual([new Set(['acc_1'])]);
  const many = `do $$ begin for i in 1..${keptChanges} loop update keys set status = i::text where id = 'key_acc_2'; end loop; end $$`;
  expect(await after(many)).toBe('all');
  expect(await asking(url, 'select distinct account_id from caller_changes')).toEqual([{ account_id: 'acc_2' }]);
  await store.close();
});
