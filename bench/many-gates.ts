// `node bench/many-gates.ts`: how much of one Redis many gates use, at rest and for each call. Each gate is what a gate has of Redis:
// its connections, limits and turns, with the timers of a real one; all of them are in this process, on core 1. Redis has core 0.
// The CPU time of Redis for a call is that under load, less what the same gates use at rest.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { StoredKey } from '../src/domain/api-key.ts';
import { Calendar } from '../src/domain/calendar.ts';
import type { AccountId, RequestId } from '../src/domain/id.ts';
import { openTerms } from '../src/domain/plan.ts';
import { type Principal, principalOf } from '../src/domain/principal.ts';
import { MemoryLimits } from '../src/store/memory/limit-store.ts';
import type { Slot } from '../src/store/ports/turn-queue.ts';
import { readAddress } from '../src/store/redis/address.ts';
import { RedisClient } from '../src/store/redis/client.ts';
import { RedisLimits } from '../src/store/redis/limit-store.ts';
import { Presence } from '../src/store/redis/turn-presence.ts';
import { RedisTurnQueue } from '../src/store/redis/turn-queue.ts';
import { startRedis } from '../test/redis.ts';
import { cpuUs, loadCore, moveTo, pinSelf, subjectCore, treeOf } from './processes.ts';

const usage = `node bench/many-gates.ts [--gates <n>,…] [--accounts <n>] [--models <n>] [--rate <n>] [--seconds <n>]
  --gates     how many, one after the other; default 1,4,40,400
  --accounts  whose calls take turns at all gates; default 200
  --models    between which the calls are spread, each with 16 slots on each of 4 servers; default 20
  --rate      calls per second over all gates; default 200
  --seconds   at rest, and under load; default 10
`;
const { values: given } = parseArgs({
  options: {
    gates: { type: 'string', default: '1,4,40,400' },
    accounts: { type: 'string', default: '200' },
    models: { type: 'string', default: '20' },
    rate: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '10' },
    help: { type: 'boolean', default: false },
  },
});
const sizes = given.gates.split(',').map(Number);
const [accounts, models, rate, seconds] = [given.accounts, given.models, given.rate, given.seconds].map(Number) as [
  number,
  number,
  number,
  number,
];
if (given.help || ![...sizes, accounts, models, rate, seconds].every((each) => Number.isInteger(each) && each > 0)) {
  process.stdout.write(usage);
  process.exit(given.help ? 0 : 2);
}

/** How often a real gate looks after its queue (src/compose/jobs.ts). */
const sweepMs = 250;
const servers = ['http://10.0.0.1:11434', 'http://10.0.0.2:11434', 'http://10.0.0.3:11434', 'http://10.0.0.4:11434'];
/** How long a call holds its turn. */
const heldMs = 50;
const burstMs = 5;
const ask = { requests: 1, promptTokens: 100, completionTokens: 500, units: 600, spends: true };
const use = { promptTokens: 100, completionTokens: 120, units: 220 };

interface Gate {
  readonly client: RedisClient;
  readonly limits: RedisLimits;
  readonly queue: RedisTurnQueue<string>;
  readonly presence: Presence;
  readonly timer: NodeJS.Timeout;
}

pinSelf(loadCore);
const calendar = new Calendar('UTC');
const callers = Array.from({ length: accounts }, (_, i) => callerOf(i));
let asked = 0;
const columns = [
  'gates',
  '% of Redis at rest',
  'commands/s',
  'kB/s to it',
  'from it',
  'calls/s',
  '% under load',
  'CPU µs/call',
  'MB',
];
process.stdout.write(`| ${columns.join(' | ')} |\n|${columns.map(() => ' --: |').join('')}\n`);
for (const size of sizes) process.stdout.write(`| ${(await measure(size)).join(' | ')} |\n`);
process.exit(0);

async function measure(size: number): Promise<string[]> {
  const redis = await startRedis();
  const [pid] = treeOf(process.pid).slice(1);
  moveTo(String(subjectCore), pid as number);
  const url = redis.database();
  const names = Array.from({ length: size }, (_, i) => `gate-${i}`);
  const gates: Gate[] = [];
  for (const name of names) gates.push(await openGate(url, name, names));
  const count = async (): Promise<{ us: number; commands: number; received: number; sent: number; bytes: number }> => {
    const text = await redis.ask('INFO', 'everything');
    const figure = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
    return {
      us: cpuUs([pid as number]),
      commands: figure('total_commands_processed'),
      received: figure('total_net_input_bytes'),
      sent: figure('total_net_output_bytes'),
      bytes: figure('used_memory'),
    };
  };
  // Until all have met, and have seen that nothing is held.
  await sleep(4_000);
  const begun = await count();
  await sleep(seconds * 1_000);
  const rested = await count();
  await load(gates, 2);
  const before = await count();
  const calls = await load(gates, seconds);
  const after = await count();
  for (const { client, limits, queue, presence, timer } of gates) {
    clearInterval(timer);
    await queue.close();
    await presence.close();
    await limits.close();
    await client.close();
  }
  await redis.stop();
  const restUs = (rested.us - begun.us) / seconds;
  const loadUs = (after.us - before.us) / seconds;
  const perS = (name: 'commands' | 'received' | 'sent'): number => (rested[name] - begun[name]) / seconds;
  return [
    String(size),
    (restUs / 1e4).toFixed(2),
    perS('commands').toFixed(0),
    (perS('received') / 1e3).toFixed(0),
    (perS('sent') / 1e3).toFixed(0),
    (calls / seconds).toFixed(0),
    (loadUs / 1e4).toFixed(1),
    (((loadUs - restUs) * seconds) / calls).toFixed(0),
    (after.bytes / 1e6).toFixed(1),
  ];
}

async function openGate(url: string, gate: string, names: readonly string[]): Promise<Gate> {
  const client = await RedisClient.open({ address: readAddress(url)!, now: Date.now, answerMs: 5_000 });
  const books = {
    known: () => Promise.resolve(new Set<string>()),
    recoveries: () => 0,
    sums: () => Promise.resolve({ recoveries: 0, minutes: [], quarters: [] }),
  };
  const limits = await RedisLimits.open({
    client,
    calendar,
    now: Date.now,
    books,
    gate,
    gates: () => names,
    count: () => Promise.resolve(),
    others: () => Promise.resolve([]),
    without: new MemoryLimits(calendar),
  });
  const settings = {
    serversFor: () => servers,
    slotsFor: () => 16,
    maxWaiting: 1_000,
    maxWaitMs: 60_000,
    nameOf: (server: string) => server,
  };
  const onError = (error: unknown): never => {
    throw error;
  };
  const presence = new Presence(client, 'turns', () => performance.now(), onError);
  const queues = ['models', 'services'].map(
    (lanes) => new RedisTurnQueue<string>(settings, { client, lanes, presence, onError }),
  );
  const timer = setInterval(() => {
    for (const queue of queues) queue.sweep(performance.now());
  }, sweepMs);
  return { client, limits, queue: queues[0] as RedisTurnQueue<string>, presence, timer };
}

/** At a steady rate. @returns how many calls ended. */
async function load(gates: readonly Gate[], forS: number): Promise<number> {
  const began = performance.now();
  const running: Promise<void>[] = [];
  while (performance.now() - began < forS * 1_000) {
    const due = ((performance.now() - began) * rate) / 1_000;
    while (running.length < due) {
      const at = running.length;
      running.push(call(gates[at % gates.length] as Gate, callers[at % accounts] as Principal, `model-${at % models}`));
    }
    await sleep(burstMs);
  }
  await Promise.all(running);
  return running.length;
}

/** What a call of a gate asks of Redis, in its order. @throws if it was not let through. */
async function call({ limits, queue }: Gate, caller: Principal, model: string): Promise<void> {
  const id = `req_${++asked}` as RequestId;
  const account = await limits.open(caller.accountId, [], Date.now());
  const { promise, resolve, reject } = Promise.withResolvers<Slot<string>>();
  const turn = {
    accountId: caller.accountId,
    cost: 300,
    most: 600,
    weight: 1,
    behind: false,
    start: resolve,
    refuse: reject,
  };
  const joint = queue.prepare(model, turn, performance.now());
  const lease = await account.of(caller.lineage).reserve(id, ask, caller, Date.now(), false, joint);
  if (lease.kind !== 'lease') throw new Error(`a call was refused: ${lease.kind}`);
  const entered = joint?.answer ? joint.answer.entered : await queue.enter(model, turn, performance.now());
  const slot = entered?.kind === 'slot' ? entered : await promise;
  await sleep(heldMs);
  slot.release(220, { ms: heldMs, isReported: true });
  lease.settle({ ...use, requests: 1 });
  limits.landed([id]);
}

/** With the limits of the first plan that comes with the product, far away. */
function callerOf(index: number): Principal {
  const far = 1_000_000_000_000;
  const terms = {
    ...openTerms,
    requestsPerMinute: far,
    tokensPerMinute: far,
    tokensPerDay: far,
    concurrentRequests: 1_000,
  };
  const id = `key_${index}`;
  const key = { id, lineage: id, accountId: `acc_${index}` as AccountId, kind: 'secret', digest: '', status: 'active' };
  const rest = {
    scopes: [],
    models: ['*'],
    cidr: [],
    allowPath: false,
    boundCertificate: null,
    expiresAt: null,
    narrowing: {},
  };
  return principalOf({ ...key, ...rest } as unknown as StoredKey, { ...terms, name: 'p', version: 1 }, []);
}
