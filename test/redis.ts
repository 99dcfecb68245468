// A Redis server for tests, of the installed package, on a free loopback port with its data in a temporary directory.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import process from 'node:process';
import { freePort } from './free-ports.ts';
import { eventually, temporaryDirectory } from './gate.ts';

export interface RedisServer {
  readonly port: number;
  /** For REDIS_URL: a database that no other test of this server uses. */
  database(): string;
  /** Sends one command over a connection of its own; resolves with the raw answer. */
  ask(...words: readonly string[]): Promise<string>;
  /** SIGSTOP hangs the server, SIGCONT lets it go on. */
  signal(signal: NodeJS.Signals): void;
  /** Ends it at once, as a crash does. `start` starts it again on the same port, with what `save` wrote. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Settings whose values are several words. */
const severalWords: ReadonlySet<string> = new Set(['user', 'replicaof']);

/** `settings` as in redis.conf. @throws if the program is missing. */
export async function startRedis(settings: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const data = temporaryDirectory();
  const port = await freePort();
  const given = {
    bind: '127.0.0.1',
    port: String(port),
    dir: data,
    save: '',
    appendonly: 'no',
    databases: '256',
    ...settings,
  };
  let server: ChildProcess;
  let said = '';
  const ask = (...words: readonly string[]): Promise<string> => askRedis(port, words, settings['requirepass']);
  const start = async (): Promise<void> => {
    const words = Object.entries(given).flatMap(([name, value]) => [
      `--${name}`,
      ...(severalWords.has(name) ? value.split(' ') : [value]),
    ]);
    server = spawn('redis-server', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    server.on('error', () => (said = 'The tests need Redis. Install it (Debian: redis-server), then run this again.'));
    for (const out of [server.stdout, server.stderr]) out?.on('data', (text: Buffer) => (said += text.toString()));
    await eventually(async () => {
      if (server.pid === undefined || server.exitCode !== null) throw new Error(`Redis ended: ${said}`);
      const answer = await ask('PING');
      if (!/PONG|NOAUTH/.test(answer)) throw new Error(answer);
    });
  };
  const kill = async (): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  };
  await start();
  let databases = 0;
  return {
    port,
    database: () => `redis://127.0.0.1:${port}/${databases++}`,
    ask,
    signal: (signal) => process.kill(server.pid as number, signal),
    kill,
    start,
    stop: async () => {
      await kill();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

/** Sends one command; resolves with the raw answer. */
export function askRedis(port: number, words: readonly string[], password?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createConnection(port, '127.0.0.1');
  let text = '';
  socket.on('error', reject);
  let isGreeted = password === undefined;
  socket.on('data', (piece) => {
    text += piece.toString();
    if (!isGreeted && text.includes('\r\n')) {
      isGreeted = true;
      text = text.slice(text.indexOf('\r\n') + 2);
    }
    if (isWhole(text)) socket.end(() => resolve(text));
  });
  socket.on('close', () => (isWhole(text) ? resolve(text) : reject(new Error(`Redis closed the connection: ${text}`))));
  socket.write((password === undefined ? '' : encoded(['AUTH', password])) + encoded(words));
  return promise;
}

const encoded = (words: readonly string[]): string =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;

/** Enough for the answers that tests ask for: a line, or one text. */
function isWhole(text: string): boolean {
  if (!text.endsWith('\r\n')) return false;
  const length = /^\$(\d+)\r\n/.exec(text);
  return !length || text.length >= length[0].length + Number(length[1]) + 2;
}
