// A proxy before a Redis server whose clock can be set: scripts and commands that ask for the time get that of the server and a
// difference. The lives of keys still end by the server's own clock.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface RedisClock {
  /** For REDIS_URL. */
  readonly url: string;
  /** The clock shows so much more than that of this machine from now on. */
  set(seconds: number): void;
  close(): Promise<void>;
}

const sha = (text: string): string => createHash('sha1').update(text).digest('hex');
const encoded = (words: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]),
  ]);

export async function startRedisClock(target: string): Promise<RedisClock> {
  const { hostname, port, pathname } = new URL(target);
  const sockets = new Set<Socket>();
  /** Names of scripts, as the client and as the server knows them. */
  const names = new Map<string, string>();
  let difference = 0;
  // The difference is an argument of each script, after those that it knows of, so it is one text however the clock is set.
  const shifted = (text: string): string =>
    `local difference = table.remove(ARGV)
local function timeThere() local t = redis.call('TIME') return {string.format('%d', t[1] + difference), t[2]} end
${text.replaceAll(/(?:redis\.)?call\('TIME'\)/g, 'timeThere()')}`;
  const changed = (words: readonly Buffer[]): readonly Buffer[] => {
    const [name = '', first = ''] = words.slice(0, 2).map(String);
    const more = Buffer.from(String(difference));
    if (/^time$/i.test(name))
      return ['EVAL', shifted("return redis.call('TIME')"), '0', String(difference)].map((word) => Buffer.from(word));
    if (/^evalsha$/i.test(name) && names.has(first))
      return [words[0]!, Buffer.from(names.get(first)!), ...words.slice(2), more];
    if (!/^eval$/i.test(name)) return words;
    names.set(sha(first), sha(shifted(first)));
    return [words[0]!, Buffer.from(shifted(first)), ...words.slice(2), more];
  };
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true).on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    let kept: Buffer = Buffer.alloc(0);
    client.on('data', (piece: Buffer) => {
      kept = Buffer.concat([kept, piece]);
      for (let command = commandIn(kept); command; command = commandIn(kept)) {
        kept = kept.subarray(command.length);
        upstream.write(encoded(changed(command.words)));
      }
    });
    upstream.pipe(client);
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    set: (seconds) => (difference = seconds),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The command that the bytes begin with, as an array of strings, which is how clients send it; undefined while it is not complete. */
function commandIn(bytes: Buffer): { readonly words: readonly Buffer[]; readonly length: number } | undefined {
  let at = 0;
  const line = (): string | undefined => {
    const end = bytes.indexOf('\r\n', at);
    if (end < 0) return undefined;
    const text = bytes.toString('latin1', at, end);
    at = end + 2;
    return text;
  };
  const count = line();
  if (count === undefined) return undefined;
  const words: Buffer[] = [];
  while (words.length < Number(count.slice(1))) {
    const head = line();
    if (head === undefined) return undefined;
    const length = Number(head.slice(1));
    if (bytes.length < at + length + 2) return undefined;
    words.push(bytes.subarray(at, at + length));
    at += length + 2;
  }
  return { words, length: at };
}
