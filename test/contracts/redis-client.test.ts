// The client of Redis against a real server: what it does while the server is away, hung, full, read-only or someone else's.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient, type RedisState } from '../../src/store/redis/client.ts';
import { RedisAway, translatedAtStart } from '../../src/store/redis/failures.ts';
import { script } from '../../src/store/redis/script.ts';
import { eventually } from '../gate.ts';
import { type RedisServer, startRedis } from '../redis.ts';

let redis: RedisServer;
const clients: RedisClient[] = [];

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await redis.stop();
});

/** `answerMs`: longer than usual, for a busy machine. */
async function opened(url = redis.database(), answerMs = 2_000): Promise<RedisClient> {
  const client = await RedisClient.open({ address: readAddress(url)!, now: Date.now, answerMs });
  clients.push(client);
  return client;
}

const counts = script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
const statesOf = (client: RedisClient): RedisState[] => {
  const states: RedisState[] = [];
  client.onState((state) => states.push(state));
  return states;
};
const up = (client: RedisClient): Promise<void> =>
  eventually(() => {
    if (client.state !== 'up') throw new Error(client.state);
  });

describe('addresses', () => {
  test.each([
    ['redis://h', { kind: 'server', nodes: [{ host: 'h', port: 6379 }], database: 0, tls: undefined }],
    ['redis://:p%40ss@h:1/3', { nodes: [{ host: 'h', port: 1 }], user: undefined, password: 'p@ss', database: 3 }],
    ['rediss://u:p@[::1]:2', { nodes: [{ host: '::1', port: 2 }], user: 'u', password: 'p', tls: {} }],
    [
      'redis+sentinel://u:p@a,b:7/main/2?sentinel_password=s',
      {
        kind: 'sentinel',
        nodes: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 7 },
        ],
        name: 'main',
        database: 2,
        password: 'p',
        sentinelPassword: 's',
      },
    ],
    ['rediss+cluster://a:1,b:2', { kind: 'cluster', tls: {}, database: 0 }],
  ])('%s is understood', (text, expected) => {
    expect(readAddress(text)).toMatchObject(expected);
  });

  test.each([
    'http://h',
    'redis://',
    'redis://a,b',
    'redis://h/x',
    'redis://h/1/2',
    'redis://h:99999',
    'redis+sentinel://a',
    'redis+cluster://a/1',
    'redis://h?password=x',
    'redis://h?ca=/ca.pem',
  ])('%s is refused', (text) => expect(readAddress(text)).toBeUndefined());

  test('an authority that cannot be read is named without the address', () => {
    expect(() => readAddress('rediss://u:secret@h?ca=/nowhere.pem')).toThrow(/^The file .* ENOENT/);
  });
});

describe('the client of Redis', () => {
  test('runs a script that the server has forgotten', async () => {
    const client = await opened();
    expect(await client.run(counts, ['{a}:n'], [2])).toBe(2);
    await redis.ask('SCRIPT', 'FLUSH');
    expect(await client.run(counts, ['{a}:n'], [2])).toBe(4);
  });

  test('an answer that arrives while this process is held up is taken', async () => {
    const answerMs = 250;
    const client = await opened(redis.database(), answerMs);
    const states = statesOf(client);
    for (let i = 1; i <= 3; i++) {
      const answer = client.run(counts, ['{held}:n'], [1]);
      // Redis answers in order.
      execFileSync('redis-cli', ['-p', String(redis.port), 'PING']);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.5 * answerMs);
      expect(await answer).toBe(i);
    }
    expect(states).toEqual([]);
  });

  test('a server that hangs is given up after three answers that did not come, and taken up again by itself', async () => {
    const client = await opened();
    const states = statesOf(client);
    redis.signal('SIGSTOP');
    try {
      const asked = await Promise.allSettled(Array.from({ length: 3 }, () => client.run(counts, ['{a}:n'], [1])));
      expect(asked.every((each) => each.status === 'rejected' && each.reason instanceof RedisAway)).toBe(true);
      expect(client.state).toBe('degraded');
      await expect(client.command('GET', '{a}:n')).rejects.toThrow(RedisAway);
    } finally {
      redis.signal('SIGCONT');
    }
    await up(client);
    expect(states).toEqual(['degraded', 'up']);
    expect(await client.command('SET', '{a}:x', 1)).toBe('OK');
  });

  test('a server that ends and starts again is found, with its subscriptions, and known to be another', async () => {
    const client = await opened();
    const before = await client.readServers();
    const heard: string[] = [];
    client.subscribe('ev', (message) => heard.push(message));
    await redis.kill();
    await eventually(() => {
      if (client.state === 'up') throw new Error('up');
    });
    await redis.start();
    await up(client);
    expect(await client.readServers()).not.toBe(before);
    await eventually(async () => {
      await client.publish('ev', 'hello');
      expect(heard).toContain('hello');
    });
  });

  test('a connection that is lost while it asks for its subscriptions again leaves no rejection that nobody handles', async () => {
    let cuts = 0;
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      const redisSide = connect(redis.port, '127.0.0.1');
      for (const each of [socket, redisSide]) each.on('error', () => undefined);
      redisSide.pipe(socket);
      socket.on('data', (bytes) => {
        const asks = /\bsubscribe\b/i.test(String(bytes));
        if (asks) sockets.add(socket);
        if (asks && cuts > 0 && cuts < 4) {
          cuts++;
          socket.destroy();
        } else redisSide.write(bytes);
      });
      socket.on('close', () => redisSide.destroy());
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = await opened(`redis://127.0.0.1:${(server.address() as AddressInfo).port}/3`);
    const unhandled: unknown[] = [];
    const note = (error: unknown): unknown => unhandled.push(error);
    process.on('unhandledRejection', note);
    const heard: string[] = [];
    const hears = (message: string): Promise<void> =>
      eventually(async () => {
        await client.publish('again', message);
        expect(heard).toContain(message);
      });
    client.subscribe('again', (message) => heard.push(message));
    await hears('before');
    cuts = 1;
    for (const socket of sockets) socket.destroy();
    await hears('after');
    process.off('unhandledRejection', note);
    await client.close();
    server.close();
    expect([cuts, unhandled]).toEqual([4, []]);
  });

  test('a server that becomes a replica, or whose memory is full, counts as away until it takes writes', async () => {
    const client = await opened();
    const states = statesOf(client);
    await redis.ask('REPLICAOF', '127.0.0.1', '1');
    await expect(client.run(counts, ['{a}:n'], [1])).rejects.toThrow(RedisAway);
    expect(client.state).toBe('degraded');
    await redis.ask('REPLICAOF', 'NO', 'ONE');
    await up(client);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '1');
    await expect(client.run(counts, ['{a}:n'], [1])).rejects.toThrow(RedisAway);
    await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    await up(client);
    expect(states).toEqual(['degraded', 'up', 'degraded', 'up']);
  });

  test('a server that comes back and takes no writes is named with its reason', async () => {
    const own = await startRedis();
    const client = await RedisClient.open({ address: readAddress(own.database())!, now: Date.now });
    const reasons: string[] = [];
    client.onReason((reason) => reasons.push(reason));
    const states = statesOf(client);
    await own.ask('CONFIG', 'SET', 'min-replicas-to-write', '1');
    await own.ask('CLIENT', 'KILL', 'TYPE', 'normal');
    await eventually(() => expect([states, reasons]).toEqual([['degraded'], ['NOREPLICAS']]));
    await own.ask('CONFIG', 'SET', 'min-replicas-to-write', '0');
    await up(client);
    await client.close();
    await own.stop();
  });

  test('a server that would evict keys is refused', async () => {
    await redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    await expect(opened()).rejects.toThrow('its maxmemory-policy is allkeys-lru. Set it to noeviction.');
    await redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  });

  test('a server older than 6.2 is refused', async () => {
    // A proxy that makes the server say so, in as many bytes.
    const version = /redis_version:(\S+)/.exec(await redis.ask('INFO', 'server'))![1]!;
    const old = '6.0.16'.padEnd(version.length, '9').slice(0, version.length);
    const proxy = createServer((caller) => {
      const server = connect(redis.port, '127.0.0.1');
      for (const socket of [caller, server]) socket.on('error', () => undefined);
      caller.pipe(server);
      server.on('data', (piece) => caller.write(piece.toString('latin1').replace(version, old), 'latin1'));
      caller.on('close', () => server.destroy());
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    await expect(opened(`redis://127.0.0.1:${port}/0`)).rejects.toMatchObject({
      name: 'StoreUnusable',
      message: `Redis ${old} is too old: Sekisho needs 6.2 or newer.`,
    });
    proxy.close();
  });

  test('a user and password are needed and used, and no error repeats them', async () => {
    await redis.ask('ACL', 'SETUSER', 'gate', 'on', '>right-word', '~sk1:*', '&sk1:*', '+@all');
    const wrong = await opened(`redis://gate:wrong-word@127.0.0.1:${redis.port}/9`).catch((error: unknown) => error);
    expect(String(wrong)).toContain('the user name or password in REDIS_URL is not accepted');
    expect(JSON.stringify([wrong, String((wrong as Error).stack), (wrong as Error).cause])).not.toContain('wrong-word');
    const client = await opened(`redis://gate:right-word@127.0.0.1:${redis.port}/9`);
    expect(await client.run(counts, ['{a}:n'], [1])).toBe(1);
  });

  test('the difference to the clock of Redis is measured', async () => {
    const client = await RedisClient.open({
      address: readAddress(redis.database())!,
      now: () => Date.now() - 3_600_000,
    });
    clients.push(client);
    expect(Math.abs(client.offsetMs - 3_600_000)).toBeLessThan(1_000);
    expect(Math.abs(client.now() - Date.now())).toBeLessThan(1_000);
  });

  test('a database that the server does not have, and a Cluster that is none, are refused', async () => {
    await expect(opened(`redis://127.0.0.1:${redis.port}/9999`)).rejects.toThrow(/has no database of the number/);
    await expect(opened(`redis+cluster://127.0.0.1:${redis.port}`)).rejects.toThrow(/it is no Cluster/);
  });

  test('where only one side takes TLS, the error of the start says what to set', () => {
    expect(translatedAtStart(new Error('connect ETIMEDOUT'), true).message).toContain('set REDIS_URL to redis://');
    expect(translatedAtStart(new Error('read ECONNRESET'), false).message).toContain('set REDIS_URL to rediss://');
    expect(translatedAtStart(new Error('connect ETIMEDOUT'), false).message).not.toContain('TLS');
  });

  test('a server that is not there is named as away, so that a start can wait for it', async () => {
    for (const url of ['redis://127.0.0.1:1', 'redis+sentinel://127.0.0.1:1/main', 'redis+cluster://127.0.0.1:1'])
      await expect(opened(url)).rejects.toThrow(RedisAway);
  });
});
