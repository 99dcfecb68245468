// A PostgreSQL server for tests, of the installed packages, on a free loopback port with its data in a temporary directory. Each
// test file has a server of its own; each test a database of its own on it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type pg from 'pg';
import { freePort } from './free-ports.ts';
import { eventually, temporaryDirectory } from './gate.ts';
import { connectTo } from './postgres-client.ts';

export interface PostgresServer {
  readonly port: number;
  /** For DATABASE_URL: an empty database, or a copy of one that nobody uses. `options`: more of CREATE DATABASE. */
  database(copied?: string, options?: string): Promise<string>;
  /** A server that follows this one and has everything that it confirms; `select pg_promote()` makes it the primary. */
  replicate(): Promise<PostgresServer>;
  /** Sends the server and all its processes a signal, such as SIGSTOP. */
  signal(signal: NodeJS.Signals): void;
  /** Stops it at once, as a crash does, or starts it again with its data. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** The directory of its write-ahead log, also if that is on a disk that only the server sees. */
  readonly log: string;
  /** How often it was started. */
  readonly starts: number;
}

const restartMs = 200;

/** Where Debian puts the programs of each version, which are not on the path. */
const versions = '/usr/lib/postgresql';

/**
 * A directory that is a disk of its own for the server: one for a tablespace, or `log`, that of its write-ahead log. With the latter, a
 * server that ends by itself is started again, as systemd does.
 */
export interface Disk {
  readonly path: string;
  readonly mebibytes: number;
}

/** Only root can make a disk. @throws if the programs are missing. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  disk?: Disk,
): Promise<PostgresServer> {
  const programs = programsOfPostgres();
  const data = temporaryDirectory();
  const owner = ownerOf(data);
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', 'sekisho', '-E', 'UTF8', '--locale=C.UTF-8', '--auth=trust', '--no-sync'],
    { ...owner, stdio: 'pipe' },
  );
  const given = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
    // A transaction that waits for itself is an error of a test, which should not take a second each.
    deadlock_timeout: '100ms',
    ...settings,
  };
  return serverOf({ programs, data, owner, given, disk });
}

interface Installed {
  readonly programs: string;
  readonly data: string;
  readonly owner: ReturnType<typeof ownerOf>;
  readonly given: Readonly<Record<string, string>>;
  readonly disk?: Disk | undefined;
}

async function serverOf({ programs, data, owner, given, disk }: Installed): Promise<PostgresServer> {
  const port = await freePort();
  const log = join(data, 'pg_wal');
  const mounted = disk && (await mount(disk.path === 'log' ? log : disk.path, disk.mebibytes, owner));
  let server: ChildProcess;
  let said = '';
  let starts = 0;
  let isWanted = false;
  const launch = (): void => {
    starts++;
    const words = Object.entries({ ...given, port: String(port) }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ]);
    const [program = '', ...others] = [...(mounted?.enter ?? []), join(programs, 'postgres'), '-D', data, ...words];
    server = spawn(program, others, { ...(mounted ? {} : owner), stdio: ['ignore', 'ignore', 'pipe'] });
    server.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    if (disk?.path === 'log') server.once('exit', () => setTimeout(() => isWanted && launch(), restartMs));
  };
  const start = async (): Promise<void> => {
    isWanted = true;
    launch();
    await eventually(() => {
      if (server.exitCode !== null) throw new Error(`PostgreSQL ended: ${said}`);
      return asking(home(port), 'select 1');
    });
  };
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [server.pid as number, ...childrenOf(server.pid as number)])
      try {
        process.kill(pid, name);
      } catch {
        // It has ended meanwhile.
      }
  };
  const end = async (name: NodeJS.Signals): Promise<void> => {
    isWanted = false;
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(name);
    await ended;
  };
  await start();
  let databases = 0;
  return {
    port,
    database: async (copied, options = '') => {
      const name = `test_${process.pid}_${++databases}`;
      const like = copied === undefined ? '' : ` template ${new URL(copied).pathname.slice(1)}`;
      // Who closed the copied one may still be on its way out.
      await eventually(() => asking(home(port), `create database ${name}${like} ${options}`));
      return `postgres://sekisho@127.0.0.1:${port}/${name}`;
    },
    replicate: async () => {
      const copy = temporaryDirectory();
      ownerOf(copy);
      const words = [
        '-h',
        '127.0.0.1',
        '-p',
        String(port),
        '-U',
        'sekisho',
        '-D',
        copy,
        '-R',
        '-c',
        'fast',
        '--no-sync',
      ];
      execFileSync(join(programs, 'pg_basebackup'), words, { ...owner, stdio: 'pipe' });
      const replica = await serverOf({ programs, data: copy, owner, given });
      await asking(home(port), "alter system set synchronous_standby_names = '*'");
      await asking(home(port), 'select pg_reload_conf()');
      await eventually(async () => {
        const [follows] = await asking(home(port), "select 1 from pg_stat_replication where sync_state = 'sync'");
        if (!follows) throw new Error('the replica does not follow yet');
      });
      return replica;
    },
    signal,
    // SIGQUIT is its immediate shutdown.
    kill: () => end('SIGQUIT'),
    start,
    stop: async () => {
      signal('SIGCONT');
      await end('SIGINT');
      mounted?.holder.kill();
      rmSync(data, { recursive: true });
    },
    log: mounted ? `/proc/${mounted.holder.pid}/root${log}` : log,
    get starts() {
      return starts;
    },
  };
}

/** Makes the directory a disk, with what is in it, for programs that are started by `enter`. It ends with its holder. */
async function mount(
  path: string,
  mebibytes: number,
  { uid, gid }: Installed['owner'],
): Promise<{ readonly holder: ChildProcess; readonly enter: readonly string[] }> {
  const to = temporaryDirectory();
  const script = `mount -t tmpfs -o size=${mebibytes}m,mode=700 tmpfs ${to}
cp -a ${path}/. ${to}
chown -R ${uid}:${gid} ${to}
mount --bind ${to} ${path}
echo ready
exec sleep infinity`;
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = (): boolean => holder.kill('SIGKILL');
  process.once('exit', stop);
  holder.once('exit', () => process.off('exit', stop));
  await once(holder.stdout, 'data');
  const user = ['--reuid', String(uid), '--regid', String(gid), '--clear-groups'];
  return { holder, enter: ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`, 'setpriv', ...user] };
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

function programsOfPostgres(): string {
  const found = existsSync(versions) ? readdirSync(versions).toSorted((a, b) => Number(b) - Number(a)) : [];
  const place = [...found.map((version) => join(versions, version, 'bin')), ...(process.env['PATH'] ?? '').split(':')];
  const programs = place.find((each) => existsSync(join(each, 'initdb')) && existsSync(join(each, 'postgres')));
  if (programs === undefined)
    throw new Error('The tests need PostgreSQL. Install it (Debian: postgresql), then run this again.');
  return programs;
}

/** PostgreSQL refuses to run as root, so there it runs as the user that its package makes. */
export function ownerOf(data: string): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' })));
  chownSync(data, uid as number, gid as number);
  return { uid: uid as number, gid: gid as number };
}

const home = (port: number): string => `postgres://sekisho@127.0.0.1:${port}/postgres`;

/** One question over a connection of its own. @returns its rows. */
export async function asking<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = await connectTo(url);
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
