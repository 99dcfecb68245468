// Redis behind Sentinels, as a Cluster, encrypted, and with a user of few rights, each with real servers: limits are exact, also after
// a failover that lost the last second, and everything goes on by itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import type { Principal } from '../../src/domain/principal.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { RedisFailures } from '../../src/store/redis/failure-budget.ts';
import { RedisSignIns } from '../../src/store/redis/sign-in-throttle.ts';
import { RedisSignatures } from '../../src/store/redis/signatures.ts';
import { RedisTickets } from '../../src/store/redis/tickets.ts';
import { RedisTurnQueue } from '../../src/store/redis/turn-queue.ts';
import { makeAuthority, makeCertificate } from '../certificates.ts';
import { freePort } from '../free-ports.ts';
import { eventually, root, temporaryDirectory } from '../gate.ts';
import { type Asked, accountId, caller, isUp, type LimitGate, LimitGates, leasesOf } from '../limit-gates.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { passwords, startCluster, startSentinels } from '../redis-sets.ts';

const over: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  while (over.length > 0) await over.pop()!();
});

async function opened(url: string): Promise<RedisClient> {
  const client = await RedisClient.open({ address: readAddress(url)!, now: Date.now, answerMs: 5_000 });
  over.push(() => client.close());
  return client;
}

const refused = (url: string): Promise<Error> =>
  opened(url).then(
    () => new Error('it was opened'),
    (error: Error) => error,
  );

/** For ACL SETUSER. */
const documentedRights = /^ACL SETUSER (.+)$/m
  .exec(readFileSync(join(root, 'docs/redis.md'), 'utf8'))![1]!
  .replace('>password', '>right-word')
  .split(' ');

/** Everything that a gate asks of Redis, once. */
async function useAll(client: RedisClient): Promise<void> {
  const faults: unknown[] = [];
  const shared = {
    client,
    name: 'all',
    now: Date.now,
    gates: () => 2,
    onError: (error: unknown) => faults.push(error),
  };
  const failures = new RedisFailures({ ...shared, perMinute: () => 2 });
  expect([await failures.note('192.0.2.1'), await failures.note('192.0.2.1')]).toEqual([0, 0]);
  expect(failures.waitSeconds('192.0.2.1')).toBeGreaterThan(0);
  const signIns = new RedisSignIns(shared);
  expect(await signIns.attempt('192.0.2.1', 'a@example.org')).toBe(0);
  await signIns.answered('192.0.2.1', 'a@example.org');
  await signIns.succeeded('192.0.2.1', 'a@example.org');
  const signatures = new RedisSignatures({ ...shared, windowMs: 60_000 });
  const use = { signature: 'a', key: 'all' as KeyId, address: '192.0.2.1', body: 'one' };
  expect(await signatures.use(use)).toBe('good');
  expect(await new RedisSignatures({ ...shared, windowMs: 60_000 }).use(use)).toBe('replay');
  const tickets = new RedisTickets(shared);
  const ticket = {
    route: 'comfy',
    origin: 'https://app.example.com',
    key: { kind: 'secret', id: 'key_1', digest: 'd' },
  };
  expect(await tickets.keep('d', ticket as Parameters<RedisTickets['keep']>[1], 30_000)).toBe(true);
  expect([await tickets.take('d'), await tickets.take('d')]).toEqual([ticket, undefined]);
  expect(await servedInTurn(client, faults)).toEqual(['first', 'second']);
  expect(faults).toEqual([]);
}

/** Two calls for one slot, in the order in which they have it. */
async function servedInTurn(client: RedisClient, faults: unknown[]): Promise<string[]> {
  const lanes = 'all';
  await client.command('HSET', `{${lanes}}:run`, 'name', '000000000000000-0', 'server', await client.readServers());
  const settings = { serversFor: () => ['a'], slotsFor: () => 1, maxWaiting: 10, maxWaitMs: 1e9 };
  const queue = new RedisTurnQueue<string>(
    { ...settings, nameOf: (name) => name },
    { client, lanes, onError: (error) => faults.push(error) },
  );
  over.push(() => queue.close());
  const order: string[] = [];
  const next = Promise.withResolvers<void>();
  const turnOf = (name: string): Parameters<typeof queue.enter>[1] => ({
    accountId: name,
    cost: 1,
    most: 1,
    weight: 1,
    behind: false,
    start: () => {
      order.push(name);
      next.resolve();
    },
    refuse: (code) => next.reject(new Error(code)),
  });
  const first = await queue.enter('m', turnOf('first'), 0);
  if (first?.kind !== 'slot') throw new Error('it has no slot');
  order.push('first');
  expect((await queue.enter('m', turnOf('second'), 0))?.kind).toBe('place');
  first.release(1, { ms: 10, isReported: true });
  await next.promise;
  queue.sweep(performance.now());
  await queue.settled();
  return order;
}

/** Two gates that know of one another. */
async function twoGates(url: string): Promise<{ all: LimitGates; one: LimitGate; other: LimitGate }> {
  const all = new LimitGates(url);
  over.push(() => all.close());
  const alive = [all.nextName(1), all.nextName(2)];
  const [one, other] = (await all.openGates(2, 0, alive)) as [LimitGate, LimitGate];
  return { all, one, other };
}

/** Many calls at all gates at once. One that is refused because Redis is away is sent again, as its caller is told. */
const patiently = (all: LimitGates, count: number, who: Principal): Promise<Asked[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => eventually(() => all.reserve(all.gates[i % 2]!, who))));

test('behind Sentinels limits are exact after a failover that lost the last second; a wrong password is named, without it', async () => {
  const set = await startSentinels();
  over.push(() => set.stop());
  const { all, one, other } = await twoGates(set.url());
  await useAll(one.client);
  const who = caller({ requestsPerDay: 20, concurrentRequests: 12 });
  const early = leasesOf(await all.storm(4, who));
  expect(early).toHaveLength(4);
  const offset = async (server: typeof set.primary): Promise<string> =>
    /(?:slave|master)_repl_offset:(\d+)/.exec(await server.ask('INFO', 'replication'))![1]!;
  await eventually(async () => expect(await set.replica.ask('HLEN', `sk1:{${accountId}}:ld`)).toBe(':4\r\n'));
  await set.cutReplica();
  // What the new primary never hears of: two calls end, one of them reaches the ledger, one is cancelled, and four begin.
  all.finish(one, early[0]!, who);
  early[1]!.settle({ requests: 1, promptTokens: 5, completionTokens: 5, units: 0 });
  early[2]!.cancel();
  const late = leasesOf(await all.storm(4, who));
  expect(late).toHaveLength(4);
  expect(await all.usedBy(one, who)).toEqual([7, 5]);
  expect(await offset(set.primary)).not.toBe(await offset(set.replica));
  await set.primary.kill();
  await expect(all.reserve(one, who)).rejects.toMatchObject({ code: 'limits_unavailable', status: 503 });
  await eventually(async () => expect(await set.replica.ask('ROLE')).toContain('master'));
  const through = leasesOf(await patiently(all, 60, who));
  all.gates.forEach(isUp);
  expect(late.length + 1 + through.length).toBe(12);
  expect(await all.usedBy(other, who)).toEqual([14, 12]);
  for (const lease of [...late, early[3]!, ...through]) all.finish(one, lease, who);
  await eventually(async () => expect(await all.usedBy(other, who)).toEqual([14, 0]));
  expect(leasesOf(await all.storm(60, who))).toHaveLength(6);
  for (const wrong of [{ servers: 'wrong-word' }, { sentinels: 'wrong-word' }]) {
    const error = await refused(set.url(wrong));
    expect(error.message).toMatch(/the user name or password in REDIS_URL is not accepted/);
    expect([error.message, error.stack, JSON.stringify(error)].join('')).not.toMatch(
      new RegExp(`wrong-word|${passwords.servers}|${passwords.sentinels}`),
    );
  }
});

test('in a Cluster everything works, also while a hash slot moves, and limits are exact after a server failed over', async () => {
  const cluster = await startCluster();
  over.push(() => cluster.stop());
  const rights = [...documentedRights, '+cluster|slots', '+cluster|info'];
  for (const server of cluster.servers) expect(await server.ask('ACL', 'SETUSER', ...rights)).toBe('+OK\r\n');
  const { all, one, other } = await twoGates(cluster.url.replace('://', '://gate:right-word@'));
  await useAll(one.client);
  const who = caller({ requestsPerDay: 60, concurrentRequests: 40 });
  expect(leasesOf(await all.storm(10, who))).toHaveLength(10);
  const [first, second, , replica] = cluster.servers as [RedisServer, RedisServer, RedisServer, RedisServer];
  await first.kill();
  await expect(all.reserve(one, who)).rejects.toMatchObject({ code: 'limits_unavailable' });
  await eventually(async () => expect(await replica.ask('ROLE')).toContain('master'));
  const more = leasesOf(await patiently(all, 10, who));
  await eventually(async () => expect(await all.usedBy(other, who)).toEqual([20, 20]));

  const finishMove = await cluster.move(`{${accountId}}`, replica, second);
  const elsewhere = (): Promise<unknown> => one.client.command('GET', '{elsewhere}:n');
  await expect(all.reserve(one, who)).rejects.toMatchObject({ code: 'limits_unavailable' });
  await elsewhere();
  const during = patiently(all, 4, who);
  await finishMove();
  const through = [...more, ...leasesOf(await during), ...leasesOf(await patiently(all, 80, who))];
  expect(10 + through.length).toBe(40);
  await eventually(async () => expect(await all.usedBy(one, who)).toEqual([40, 40]));
});

test('encrypted connections are made, and an authority that is not the one of the server is refused with a sentence', async () => {
  const files = temporaryDirectory();
  const authority = makeAuthority(files);
  const { cert, key } = makeCertificate(files, ['IP:127.0.0.1', 'DNS:localhost'], { authority });
  const port = await freePort();
  const redis = await startRedis({
    'tls-port': String(port),
    'tls-cert-file': cert,
    'tls-key-file': key,
    'tls-auth-clients': 'no',
  });
  over.push(() => redis.stop());
  await useAll(await opened(`rediss://127.0.0.1:${port}/1?ca=${authority.cert}`));
  const sentence =
    'Redis cannot be used: its certificate is not trusted. Name the authority in REDIS_URL: ?ca=/path/to/ca.pem';
  expect((await refused(`rediss://127.0.0.1:${port}/1`)).message).toBe(sentence);
  const stranger = makeAuthority(files, 'Stranger').cert;
  expect((await refused(`rediss://127.0.0.1:${port}/1?ca=${stranger}`)).message).toBe(sentence);
});

test('Sentinels, with a user, and a Cluster are reached through encrypted connections, and limits are exact after a failover', async () => {
  const files = temporaryDirectory();
  const authority = makeAuthority(files);
  const { cert, key } = makeCertificate(files, ['IP:127.0.0.1'], { authority, use: 'serverAuth,clientAuth' });
  const set = await startSentinels({ cert, key, ca: authority.cert });
  over.push(() => set.stop());
  const { all, one } = await twoGates(set.url());
  await useAll(one.client);
  const who = caller({ requestsPerDay: 20, concurrentRequests: 6 });
  expect(leasesOf(await all.storm(4, who))).toHaveLength(4);
  await set.primary.kill();
  await eventually(async () => expect(await set.replica.ask('ROLE')).toContain('master'));
  expect(leasesOf(await patiently(all, 20, who))).toHaveLength(2);
  expect((await refused(set.url({ sentinels: 'wrong-word' }))).message).toMatch(
    /the user name or password in REDIS_URL is not accepted/,
  );

  const cluster = await startCluster({ cert, key, ca: authority.cert });
  over.push(() => cluster.stop());
  const inCluster = await twoGates(cluster.url);
  await useAll(inCluster.one.client);
  expect(leasesOf(await inCluster.all.storm(20, who))).toHaveLength(6);
});

test('a user with the rights that docs/redis.md names does everything, and one with fewer is told where they are', async () => {
  const redis = await startRedis({ requirepass: 'admin-word' });
  over.push(() => redis.stop());
  expect(await redis.ask('ACL', 'SETUSER', ...documentedRights)).toBe('+OK\r\n');
  const url = `redis://gate:right-word@127.0.0.1:${redis.port}/0`;
  const { all, one, other } = await twoGates(url);
  await useAll(one.client);
  const who = caller({ requestsPerDay: 10, concurrentRequests: 4 });
  const through = leasesOf(await all.storm(20, who));
  expect(through).toHaveLength(4);
  for (const lease of through) all.finish(one, lease, who);
  await eventually(async () => expect(await all.usedBy(other, who)).toEqual([4, 0]));
  const heard = new Promise((resolve) => other.client.subscribe('ev', resolve));
  await eventually(async () => {
    await one.client.publish('ev', 'hello');
    expect(await Promise.race([heard, Promise.resolve('')])).toBe('hello');
  });
  await redis.ask('ACL', 'SETUSER', 'few', 'on', '>right-word', '~other:*', '+@all');
  expect((await refused(`redis://few:right-word@127.0.0.1:${redis.port}/0`)).message).toContain(
    'docs/redis.md says what its rights must include',
  );
  const error = await refused(`redis://gate:wrong-word@127.0.0.1:${redis.port}/0`);
  expect(error.message).toContain('the user name or password in REDIS_URL is not accepted');
  expect(String(error.stack)).not.toMatch(/wrong-word|right-word/);
});
