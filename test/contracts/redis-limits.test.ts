// The limits in Redis against a real server: the contract of every store, and what several gates and lost memories must not break.
import { afterAll, beforeAll } from 'vitest';
import type { Calendar } from '../../src/domain/calendar.ts';
import type { AccountId } from '../../src/domain/id.ts';
import type { UsageBucket } from '../../src/domain/usage.ts';
import { MemoryLimits } from '../../src/store/memory/limit-store.ts';
import type { LimitStore } from '../../src/store/ports/limit-store.ts';
import { readAddress } from '../../src/store/redis/address.ts';
import type { BookSource } from '../../src/store/redis/book-source.ts';
import { RedisClient } from '../../src/store/redis/client.ts';
import { RedisLimits } from '../../src/store/redis/limit-store.ts';
import { type RedisServer, startRedis } from '../redis.ts';
import { limitStoreContract } from './limit-store.ts';

let redis: RedisServer;
let client: RedisClient;
const stores: RedisLimits[] = [];

beforeAll(async () => {
  redis = await startRedis();
  client = await RedisClient.open({ address: readAddress(redis.database())!, now: Date.now, answerMs: 5_000 });
});
afterAll(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await client.close();
  await redis.stop();
});

/** Each opening is another account, because what Redis holds outlives the store. */
let opened = 0;
const recordedOf = new Map<AccountId, readonly UsageBucket[]>();
const books: BookSource = {
  known: () => Promise.resolve(new Set()),
  recoveries: () => 0,
  sums: (account) => {
    const recorded = recordedOf.get(account) ?? [];
    return Promise.resolve({ recoveries: 0, minutes: recorded, quarters: recorded });
  },
};
const storeOf = new Map<Calendar, Promise<RedisLimits>>();

function openStore(calendar: Calendar): Promise<RedisLimits> {
  const gate = `gate#${storeOf.size}`;
  const without = new MemoryLimits(calendar);
  const store = RedisLimits.open({
    client,
    calendar,
    now: Date.now,
    books,
    gate,
    gates: () => [],
    count: () => Promise.resolve(),
    others: () => Promise.resolve([]),
    without,
  });
  void store.then((each) => stores.push(each));
  return store;
}

const contractStore = (calendar: Calendar): LimitStore => ({
  open: async (_account, recorded, at) => {
    const store = storeOf.get(calendar) ?? openStore(calendar);
    storeOf.set(calendar, store);
    const account = `acc_${++opened}` as AccountId;
    recordedOf.set(account, recorded);
    return (await store).open(account, recorded, at);
  },
});

limitStoreContract({
  name: 'Redis',
  open: contractStore,
  // What was given back is sent at the end of a turn of the event loop, and the connection answers in order.
  settled: async () => {
    await new Promise((resolve) => setImmediate(resolve));
    await client.command('GET', 'order');
  },
});
