// What callers and operators see of a gateway whose PostgreSQL has a fault: each row of the table in docs/database.md, with real
// servers. A row without a test fails, and so does a test without a row.
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inMemory } from '../../src/compose/adapters.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { type FaultProxy, startFaultProxy } from '../fault-proxy.ts';
import { eventually, openGate, post, root, spawnGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { connectTo } from '../postgres-client.ts';

/** A fault, and the address of the database that gets it. */
interface Fault {
  readonly url: string;
  /** Returns when it is there. */
  begin(): Promise<unknown>;
  end(): Promise<unknown>;
  /** The database afterwards, if it is elsewhere. `works`: whether other calls do. */
  afterwards?(works: () => Promise<void>): Promise<string>;
  /** What somebody asks of the management API; what they know of themselves if it is not given. */
  readonly asks?: (url: string, secret: string) => Promise<Response>;
}

const heading = '## When PostgreSQL fails\n';
const section = readFileSync(join(root, 'docs/database.md'), 'utf8').split(heading)[1]?.split('\n## ')[0] ?? '';
/** The cells of the documented table: the fault, calls with a key that was seen, other calls, the management API, the log. */
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| ---'))
  .slice(1)
  .map(
    (line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()) as [string, string, string, string, string],
  );

/** What is closed when a test is over, the last one first. */
type Over = (() => unknown)[];

let ollama: FakeOllama;
beforeAll(async () => {
  ollama = await startFakeOllama();
});
afterAll(() => ollama.close());

async function server(over: Over, ...given: Parameters<typeof startPostgres>): Promise<PostgresServer> {
  const started = await startPostgres(...given);
  over.push(() => started.stop());
  return started;
}

async function clientOf(over: Over, url: string): Promise<pg.Client> {
  const client = await connectTo(url);
  over.push(() => client.end());
  return client;
}

/** Another program holds a lock until the fault ends. */
async function locked(over: Over, statement: string, asks?: Fault['asks']): Promise<Fault> {
  const url = await (await server(over)).database();
  const other = await clientOf(over, url);
  return {
    url,
    begin: () => other.query(`begin; ${statement}`),
    end: () => other.query('rollback'),
    ...(asks && { asks }),
  };
}

/** A primary that crashes, and a replica that had confirmed every commit and takes its place. */
async function failover(
  over: Over,
  reached: (
    primary: PostgresServer,
    replica: PostgresServer,
  ) => Promise<{ readonly hosts: string; readonly lead: (port: number) => void }>,
): Promise<Fault> {
  const primary = await server(over);
  const url = await primary.database();
  const replica = await primary.replicate();
  over.push(() => replica.stop());
  const { hosts, lead } = await reached(primary, replica);
  const at = (host: string): string => url.replace(`127.0.0.1:${primary.port}`, host);
  const follower = at(`127.0.0.1:${replica.port}`);
  return {
    url: at(hosts),
    begin: () => primary.kill(),
    end: async () => {
      await asking(follower, 'select pg_promote()');
      lead(replica.port);
    },
    afterwards: async (works) => {
      // The former primary comes back as one, with what it had, and the gateway has to connect again.
      await primary.start();
      const ours = "from pg_stat_activity where application_name = 'sekisho'";
      await asking(follower, `select pg_terminate_backend(pid) ${ours}`);
      await eventually(works);
      expect(await asking(url, `select 1 ${ours}`)).toEqual([]);
      return follower;
    },
  };
}

const faults: Readonly<Record<string, (over: Over) => Promise<Fault>>> = {
  'stopped, or it crashed': async (over) => {
    const postgres = await server(over);
    return { url: await postgres.database(), begin: () => postgres.kill(), end: () => postgres.start() };
  },
  'failing over to a replica behind one address': (over) =>
    failover(over, async (primary) => {
      const address = await startFaultProxy(`http://127.0.0.1:${primary.port}`);
      over.push(() => address.close());
      const host = new URL(address.url).host;
      return { hosts: host, lead: (port) => address.lead(`http://127.0.0.1:${port}`) };
    }),
  'failing over to a replica, `DATABASE_URL` names both': (over) =>
    failover(over, (primary, replica) =>
      Promise.resolve({ hosts: `127.0.0.1:${replica.port},127.0.0.1:${primary.port}`, lead: () => undefined }),
    ),
  'hung: it takes connections, and answers nothing': async (over) => {
    const postgres = await server(over);
    return {
      url: await postgres.database(),
      begin: () => Promise.resolve(postgres.signal('SIGSTOP')),
      end: () => Promise.resolve(postgres.signal('SIGCONT')),
    };
  },
  'cut off: bytes go out, and none come back': async (over) => {
    const postgres = await server(over);
    const address = await startFaultProxy(`http://127.0.0.1:${postgres.port}`);
    over.push(() => address.close());
    const url = Object.assign(new URL(await postgres.database()), { port: new URL(address.url).port }).href;
    const set = (now: FaultProxy['faults']): Promise<void> => Promise.resolve(void (address.faults = now));
    return { url, begin: () => set({ timeout: true }), end: () => set({}) };
  },
  'waiting for a lock on `usage`': (over) =>
    locked(over, 'lock table usage in access exclusive mode', (url, secret) => ask(url, secret, '/me/requests')),
  'waiting for a lock on `accounts`': (over) => locked(over, 'lock table accounts in access exclusive mode'),
  'waiting for a lock on `leases`': (over) => locked(over, 'lock table leases in access exclusive mode'),
  'without tables or columns that it had': async (over) => {
    const url = await (await server(over)).database();
    return {
      url,
      begin: () => asking(url, 'alter table store_version rename to away; alter table keys rename id to away'),
      end: () => asking(url, 'alter table away rename to store_version; alter table keys rename away to id'),
    };
  },
  'out of disk space': async (over) => {
    const path = temporaryDirectory();
    const postgres = await server(over, {}, { path, mebibytes: 40 });
    const home = `postgres://sekisho@127.0.0.1:${postgres.port}/postgres`;
    await asking(home, `create tablespace small location '${path}'`);
    const url = await postgres.database(undefined, 'tablespace small');
    const other = await clientOf(over, url);
    const full = async (text: string): Promise<void> => {
      for (;;)
        try {
          await other.query(text);
        } catch (error) {
          expect(error).toMatchObject({ code: '53100' });
          return;
        }
    };
    return {
      url,
      begin: async () => {
        await other.query('create table filler (text text)');
        await full("insert into filler select repeat('x', 7000) from generate_series(1, 100)");
        await full("insert into filler select repeat('x', 7000)");
        await full("insert into audit_events values (gen_random_uuid(), 0, '', '', '', null, null)");
      },
      end: () => other.query('drop table filler'),
      asks: (address, secret) =>
        post(`${address}/management/v1/keys`, secret, { name: 'x'.repeat(60), account: 'operator' }),
    };
  },
  'out of disk space for its write-ahead log': async (over) => {
    const sizes = { min_wal_size: '32MB', max_wal_size: '32MB' };
    const postgres = await server(over, sizes, { path: 'log', mebibytes: 100 });
    const url = await postgres.database();
    const filler = join(postgres.log, 'filler');
    over.push(() => rmSync(filler, { force: true }));
    const fill = (): void => {
      for (let bytes = 1 << 20; bytes > 0; )
        try {
          appendFileSync(filler, Buffer.alloc(bytes));
        } catch {
          bytes >>= 1;
        }
    };
    const write = "select pg_logical_emit_message(false, '', repeat('x', 1000000)) from generate_series(1, 50)";
    return {
      url,
      begin: async () => {
        // It panics, and may come up again as long as a segment has room; then it cannot even start.
        for (let from = postgres.starts; postgres.starts < from + 3; ) {
          fill();
          await asking(url, write).then(
            () => (from = postgres.starts),
            () => undefined,
          );
        }
      },
      end: () => Promise.resolve(rmSync(filler)),
    };
  },
  'read only, or a replica': async (over) => {
    const postgres = await server(over);
    const url = await postgres.database();
    const name = new URL(url).pathname.slice(1);
    return {
      url,
      begin: async () => {
        await asking(url, `alter database ${name} set default_transaction_read_only = on`);
        await asking(url, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sekisho'");
      },
      end: () => asking(url, `begin read write; alter database ${name} reset default_transaction_read_only; commit`),
    };
  },
  'out of connections': async (over) => {
    const postgres = await server(over, { max_connections: '20', superuser_reserved_connections: '0' });
    const url = await postgres.database();
    const other = await clientOf(over, url);
    const taken: pg.Client[] = [];
    return {
      url,
      begin: async () => {
        const ours = "from pg_stat_activity where application_name = 'sekisho'";
        do {
          await other.query(`select pg_terminate_backend(pid) ${ours}`);
          for (let isFull = false; !isFull; ) {
            isFull = await connectTo(url).then(
              (client) => taken.push(client) < 0,
              () => true,
            );
          }
        } while ((await other.query(`select 1 ${ours}`)).rowCount !== 0);
      },
      end: () => Promise.all(taken.map((client) => client.end())),
    };
  },
};

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const send = async (gate: TestGate, secret: string): Promise<string> =>
  codeIn(await post(`${gate.url}/api/chat`, secret, chat));
const ask = (url: string, secret: string, path = '/me'): Promise<Response> =>
  fetch(`${url}/management/v1${path}`, { headers: { 'x-api-key': secret } });

async function codeIn(answer: Response): Promise<string> {
  const text = await answer.text();
  return answer.ok ? 'ok' : `${answer.status} ${(JSON.parse(text) as { code?: string }).code}`;
}

/** “503 `some_code`”, or that they go on. */
const expected = (cell: string): string =>
  cell
    .match(/503 `(\w+)`/)
    ?.slice(0, 1)
    .join('')
    .replaceAll('`', '') ?? 'ok';

test('the table has a row for each fault, and a fault for each row', () => {
  expect(rows.map(([fault]) => fault)).toEqual(Object.keys(faults));
});

/** How long others count on a gateway here, instead of 20 seconds: longer than most faults take to begin on a busy machine. */
const beats = { lifeMs: 15_000, renewMs: 500 };

test.concurrent.for(rows)('PostgreSQL is %s: %s', async ([name, known, others, managed, log], { onTestFinished }) => {
  const over: Over = [];
  onTestFinished(async () => {
    for (const close of over.toReversed()) await close();
  });
  const fault = await faults[name]!(over);
  // Their making is a change, after which a gateway reads known keys again; so another one has seen it.
  const maker = await openGate(ollama.url, { DATABASE_URL: fault.url });
  const [first, fresh, late, manager] = [
    await maker.key(),
    await maker.key(),
    await maker.key(),
    await maker.key({ scopes: ['management'] }),
  ];
  await maker.stop();
  const gate = await openGate(ollama.url, { DATABASE_URL: fault.url }, { ...inMemory, beats });
  over.push(() => gate.stop());
  let finished = 0;
  const call = async ({ secret }: { readonly secret: string }): Promise<string> => {
    const code = await send(gate, secret);
    if (code === 'ok') finished++;
    return code;
  };
  const works = async (): Promise<void> => expect(await call(late)).toBe('ok');
  expect(await call(first)).toBe('ok');
  await gate.ledger(1);
  const begunMs = performance.now();
  await fault.begin();
  const begun = await call(first);
  // Some faults take their time to begin, and what was read before is known for so long.
  if (!known.includes('20 seconds') || performance.now() - begunMs < beats.lifeMs - 1_000) expect(begun).toBe('ok');
  const manage = async (): Promise<string> => codeIn(await (fault.asks ?? ask)(gate.url, manager.secret));
  // On a busy machine PostgreSQL may take longer to give a question up than the gateway waits for that.
  await eventually(async () => expect(await manage()).toBe(expected(managed)));
  expect(await call(fresh)).toBe(expected(others));
  for (const [, said] of (log ?? '').matchAll(/`([^`]+)`/g))
    await eventually(async () => {
      // Each of them may be the one that asks PostgreSQL, and what it hears there depends on the time, too.
      if (!gate.log().includes(said!)) await Promise.all([call(first), call(fresh), manage()]);
      expect(gate.log().includes(said!)).toBe(true);
    });
  if (known.includes('20 seconds'))
    await eventually(async () => expect(await call(first)).toBe('503 identity_unavailable'));
  else {
    // It sends heartbeats, so that it would not have been given up however long this lasts.
    const until = async (): Promise<number> =>
      Number((await asking(fault.url, 'select until from gates'))[0]!['until']);
    const before = await until();
    await eventually(async () => expect(await until()).toBeGreaterThan(before + beats.lifeMs));
    expect(await call(first)).toBe('ok');
  }
  await fault.end();
  await eventually(works);
  expect(await call(first)).toBe('ok');
  const url = (await fault.afterwards?.(works)) ?? fault.url;
  await eventually(async () => {
    const [held] = await asking(
      url,
      `select count(*) filter (where outcome = 'completed')::int as finished, count(*) - count(distinct id) as twice,
         sum(repeats) - (select sum(requests) from usage_quarterly) as off from usage`,
    );
    expect(held).toEqual({ finished, twice: '0', off: 0 });
  });
});

/** A gateway with a server of its own, and another connection to its database. */
async function withConnection(onTestFinished: (end: () => Promise<void>) => void) {
  const postgres = await startPostgres();
  const url = await postgres.database();
  const gate = await openGate(ollama.url, { DATABASE_URL: url });
  const other = await connectTo(url);
  onTestFinished(async () => {
    await other.end();
    await gate.stop();
    await postgres.stop();
  });
  return { url, gate, other };
}

test.concurrent('a key that was revoked while accounts are locked is not let in as it was known before', async ({
  onTestFinished,
}) => {
  const { url, gate, other } = await withConnection(onTestFinished);
  const { id, secret } = await gate.key();
  expect(await send(gate, secret)).toBe('ok');
  await other.query('begin; lock table accounts in access exclusive mode');
  await asking(url, `update keys set status = 'revoked' where id = '${id}'`);
  await eventually(async () => expect(await send(gate, secret)).toBe('503 identity_unavailable'));
  await other.query('rollback');
  await eventually(async () => expect(await send(gate, secret)).toBe('401 key_revoked'));
});

test.concurrent('while accounts are locked, a change stops only the keys that it concerns', async ({
  onTestFinished,
}) => {
  const { url, gate, other } = await withConnection(onTestFinished);
  const [mine, theirs] = [await gate.member({}), await gate.member({})];
  // Another change, such as one of the gateway's start, may concern everyone and be noticed only then.
  await eventually(async () => {
    for (const { secret } of [mine, theirs]) expect(await send(gate, secret)).toBe('ok');
    await other.query('begin; lock table accounts in access exclusive mode');
    try {
      await asking(
        url,
        `update keys set expires_at = coalesce(expires_at, 4000000000000) + 1 where id = '${theirs.id}'`,
      );
      await asking(url, "insert into audit_events values (gen_random_uuid(), 0, '', '', '', null, null)");
      await eventually(async () => expect(await send(gate, theirs.secret)).toBe('503 identity_unavailable'));
      expect(await send(gate, mine.secret)).toBe('ok');
    } finally {
      await other.query('rollback');
    }
  });
});

test.concurrent.for(['has crashed', 'is frozen'])(
  'a gateway that is stopped while PostgreSQL %s ends in order, says how many records wait, and writes them when it starts again',
  async (what, { onTestFinished }) => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    // A key of the settings, because others are read again after a change, and a start makes some.
    const secret = 'a-static-key-of-a-test-0123456789';
    const place = {
      DATABASE_URL: await postgres.database(),
      DATA_DIR: temporaryDirectory(),
      UPSTREAM: ollama.url,
      API_KEYS: secret,
    };
    const gate = await spawnGate(place);
    const call = async (): Promise<void> =>
      expect(await codeIn(await post(`${gate.url}/api/chat`, secret, chat))).toBe('ok');
    await call();
    await gate.ledger(1);
    const isFrozen = what === 'is frozen';
    if (isFrozen) postgres.signal('SIGSTOP');
    else await postgres.kill();
    await call();
    await call();
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
    expect(gate.output()).toMatch(/"records":[23],[^\n]*they are in the journal, and the next start writes them/);
    expect(gate.output()).not.toContain('some data could not be written');
    if (isFrozen) postgres.signal('SIGCONT');
    else await postgres.start();
    const again = await spawnGate(place);
    const found = await again.ledger(3);
    expect(new Set(found.map(({ id }) => id)).size).toBe(3);
    again.process.kill('SIGTERM');
    expect(await again.ended).toBe(0);
  },
);
