// PgBouncer for tests, of the installed package, on a free loopback port before a PostgreSQL server, in transaction mode with very
// few connections, so that clients get another one at almost every transaction.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { freePort } from './free-ports.ts';
import { eventually, temporaryDirectory } from './gate.ts';
import { connectTo } from './postgres-client.ts';

export interface Pooler {
  /** The same database through it. */
  through(database: string): string;
  stop(): Promise<void>;
}

/** `connections`: how many it makes to each database. @throws if the program is missing. */
export async function startPgBouncer(serverPort: number, connections: number): Promise<Pooler> {
  const [place, port] = [temporaryDirectory(), await freePort()];
  const file = join(place, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=127.0.0.1 port=${serverPort} user=sekisho
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 1000
default_pool_size = ${connections}
server_login_retry = 1
logfile =
`,
  );
  chmodSync(place, 0o755);
  const child = spawn('pgbouncer', ['-q', file], { ...unprivileged(), stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close').catch(() => undefined);
  let said = '';
  child.on('error', () => (said = 'The tests need PgBouncer. Install it (Debian: pgbouncer), then run this again.'));
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  process.once('exit', () => child.kill('SIGKILL'));
  const through = (database: string): string => Object.assign(new URL(database), { port: String(port) }).href;
  await eventually(async () => {
    if (child.pid === undefined || child.exitCode !== null) throw new Error(`PgBouncer ended: ${said}`);
    const client = await connectTo(through('postgres://sekisho@127.0.0.1/postgres'));
    await client.end();
  });
  return {
    through,
    stop: async () => {
      child.kill('SIGKILL');
      await ended;
      rmSync(place, { recursive: true });
    },
  };
}

/** It refuses to run as root. */
function unprivileged(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' })));
  return { uid: uid as number, gid: gid as number };
}
