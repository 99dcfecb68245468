// A change at one gate is looked for at the others as soon as Redis has told them, and without Redis when they look by themselves.
// The gates here share a figure, as they would share a database, and look only when they are told.
import { afterAll, expect, test } from 'vitest';
import { readAddress } from '../../src/store/redis/address.ts';
import { shareChanges } from '../../src/store/redis/change-hints.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { PolledChanges } from '../../src/store/relational/polled-changes.ts';
import { eventually } from '../gate.ts';
import { startRedis } from '../redis.ts';

const redis = await startRedis();
const clients: RedisClient[] = [];
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await redis.stop();
});

const report = { onFailure: () => undefined, onRecovery: () => undefined };
let version = 0;
let looks = 0;

interface Gate {
  readonly changes: PolledChanges;
  seen: number;
}

async function gateOf(name: string, url: string): Promise<Gate> {
  const client = await RedisClient.open({ address: readAddress(url)!, now: Date.now, answerMs: 5_000 });
  clients.push(client);
  const changes = new PolledChanges(() => {
    looks++;
    return Promise.resolve({ figure: version, accounts: 'all' });
  }, report);
  const gate: Gate = { changes, seen: -1 };
  const run = (): Promise<void> => {
    gate.seen = version;
    return Promise.resolve();
  };
  await changes.subscribe({ what: 'the test', run });
  shareChanges(client, changes, name);
  return gate;
}

test('a change at one gate reaches the others without a look of their own, and one look each', async () => {
  const url = redis.database();
  const gates = await Promise.all(['a', 'b', 'c'].map((name) => gateOf(name, url)));
  await eventually(async () => expect(await redis.ask('PUBSUB', 'NUMSUB', `sk1:0:changes`)).toContain(':3'));
  const before = looks;
  version++;
  await gates[0]!.changes.announce();
  await eventually(() => expect(gates.map(({ seen }) => seen)).toEqual([1, 1, 1]));
  expect(looks - before).toBe(3);
});

test('while Redis is gone a change is found by looking, and hints arrive again when it is back', async () => {
  const url = redis.database();
  const [one, other] = (await Promise.all(['d', 'e'].map((name) => gateOf(name, url)))) as [Gate, Gate];
  await redis.kill();
  version++;
  await one.changes.announce();
  expect([one.seen, other.seen]).toEqual([version, version - 1]);
  await other.changes.look();
  expect(other.seen).toBe(version);
  await redis.start();
  await eventually(async () => expect(await redis.ask('PUBSUB', 'NUMSUB', `sk1:1:changes`)).toContain(':2'));
  await eventually(() => expect(clients.map(({ state }) => state)).not.toContain('degraded'));
  version++;
  await one.changes.announce();
  await eventually(() => expect(other.seen).toBe(version));
});
