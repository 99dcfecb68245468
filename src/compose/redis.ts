// What several gates share through Redis. Loaded only if REDIS_URL is set.
import { randomUUID } from 'node:crypto';
import type { RequestId } from '../domain/id.ts';
import type { Log } from '../observe/log.ts';
import type { Config } from '../settings/config.ts';
import { MemoryLimits } from '../store/memory/limit-store.ts';
import type { Gates } from '../store/ports/gates.ts';
import { addressIn } from '../store/redis/address.ts';
import { batchOf } from '../store/redis/batch.ts';
import { LedgerBooks } from '../store/redis/book-source.ts';
import { shareChanges } from '../store/redis/change-hints.ts';
import { RedisClient } from '../store/redis/client.ts';
import type { HeldNow } from '../store/redis/held-elsewhere.ts';
import { claimRedis } from '../store/redis/installation.ts';
import { type RedisLimitSettings, RedisLimits } from '../store/redis/limit-store.ts';
import { type Adapters, inMemory } from './adapters.ts';
import type { GateClocks } from './clocks.ts';
import { guessesThrough } from './redis-guesses.ts';
import { turnsThrough } from './redis-turns.ts';
import type { Start } from './start.ts';
import type { Storage } from './storage.ts';

/** Waits for Redis if it cannot be reached. @throws StoreUnusable */
export async function throughRedis(
  config: Config,
  { logger }: Log,
  clocks: GateClocks,
  storage: Storage,
  { beats, answerMs }: Pick<Adapters, 'beats' | 'answerMs'>,
  start: Pick<Start, 'closes' | 'signal'>,
): Promise<Adapters> {
  const closes = (close: () => unknown): void => start.closes(close);
  const { gates, changes, operator, onStored, patiently } = storage;
  const { clock, calendar } = clocks;
  const now = clock.steady;
  const address = addressIn(config.redisUrl);
  const client = await patiently(() => RedisClient.open({ address, now, answerMs }));
  closes(() => client.close());
  client.onState((state, reason) => {
    if (state === 'up') logger.info('over: Redis could not be used');
    else logger.error({ reason }, 'Redis cannot be used: short limits are shared out, longer ones refuse calls');
  });
  client.onReason((reason) => logger.error({ reason }, 'Redis answers again, but takes no writes'));
  if (Math.abs(client.offsetMs) > noticeableMs)
    logger.warn(
      { milliseconds: client.offsetMs },
      'the clock of Redis differs from the one that dates follow; limits follow that of Redis',
    );
  const closeClaim = await patiently(() =>
    claimRedis({
      client,
      name: operator.id,
      tenure: beats,
      tell: (sentence) => logger.warn(sentence),
      signal: start.signal,
      onShared: (isShared) =>
        isShared
          ? logger.error(
              'another installation or version uses this Redis: limits, turns and guesses of both may be mixed up',
            )
          : logger.info('over: another installation or version used this Redis'),
    }),
  );
  closes(closeClaim);
  const gate = `${gates.id}#${gates.epoch}.${randomUUID()}`;
  shareChanges(client, changes, gate);
  const books = await booksOf(storage, clocks, closes);
  const without = new MemoryLimits(calendar);
  const limits = await patiently(() =>
    RedisLimits.open({ client, calendar, now, books, gate, without, ...among(gates) }),
  );
  closes(() => limits.close());
  onStored((lines) => limits.landed(idsOf(lines)));
  return {
    ...inMemory,
    beats,
    limits: () => limits,
    shown: () => limits.heldNow && { held: limits.heldNow },
    send: () => batchOf(client).send(),
    queue: turnsThrough(client, { logger }, closes),
    ...guessesThrough(client, { logger }, gates),
  };
}

async function booksOf(
  { store, changes, patiently }: Storage,
  { clock, calendar }: GateClocks,
  closes: (close: () => unknown) => void,
): Promise<LedgerBooks> {
  const books = new LedgerBooks(store, calendar, clock);
  const unsubscribe = await patiently(() =>
    changes.subscribe({
      what: 'whose calls came from the journals of gateways that have ended could not be read; limits may lack them',
      run: (_, accounts) => books.hear(accounts),
    }),
  );
  closes(unsubscribe);
  return books;
}

/** What one gate asks of the others. */
const among = (gates: Gates): Pick<RedisLimitSettings, 'gates' | 'count' | 'others'> => ({
  gates: () => gates.alive,
  count: async () => {
    // A heartbeat that is under way may have read who is alive before the newest gateway was there.
    await gates.confirm();
    await gates.confirm();
  },
  others: async () =>
    (await gates.shown()).map(({ id, now: text }) => ({ id, held: (JSON.parse(text) as Shown).held })),
});

interface Shown {
  readonly held?: HeldNow;
}

const noticeableMs = 2_000;

/** The ids in the ledger's lines of ends. */
const idsOf = (lines: readonly string[]): RequestId[] =>
  lines.flatMap((line) => (/"id":"([^"]+)"/.exec(line)?.[1] ?? []) as RequestId);
