// How fast the lists are with ten million requests in the ledger, ten thousand keys and a thousand accounts:
//
//   node bench/large-ledger.ts [--rows 10000000] [--directory <kept data directory>] [--database postgres://…] [--runs 3] [--only failed,overview]
//
// Fills a database through the store, in the order of time, as a gateway does, with a million audit events; then asks a gateway
// of its own for every list page, each call `--runs` times, and prints the median of each, the 95th percentile, the slowest, and the
// median of the CPU time that the gateway took. With --directory the file is kept, and a second run measures without filling it again.
// --only measures the calls whose names contain one of these words. --database measures a PostgreSQL database to which a kept file was moved (`sekisho migrate --to`). It takes 5 GB and some minutes.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { auditEvent } from '../src/domain/audit.ts';
import { newRequestId } from '../src/domain/id.ts';
import { keptMs, type Step } from '../src/domain/latency.ts';
import type { UsageRecord } from '../src/domain/usage.ts';
import { createAccount } from '../src/management/accounts/accounts.ts';
import { createKey } from '../src/management/keys/keys.ts';
import { openStore } from '../src/store/open-store.ts';
import type { Store } from '../src/store/ports/store.ts';
import { databaseIn, openSqlite } from '../src/store/sqlite/open.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { author, spawnGate, temporaryDirectory } from '../test/gate.ts';
import { cpuUs } from './processes.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '10000000' },
    directory: { type: 'string' },
    database: { type: 'string', default: '' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
  },
});
const rows = Number(values.rows);
const runs = Number(values.runs);
const only = values.only.split(',');
const dataDir = values.directory ?? temporaryDirectory();
const [accounts, keys] = [1_000, 10_000];
const spanMs = 89 * 86_400_000;
const batch = 5_000;
const auditEvents = 1_000_000;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const models = Array.from({ length: 20 }, (_, at) => `model-${at}:latest`);
const servers = Array.from({ length: 8 }, (_, at) => `server-${at}`);
const refusals = ['rate_limited', 'quota_exceeded', 'queue_full', 'invalid_request', 'missing_scope'] as const;
const actions = ['account.plan', 'key.create', 'key.revoke', 'person.sign-in'] as const;
const failures = ['upstream_failed', 'upstream_timeout'] as const;

/** The same figures in every run. */
let seed = 20_261_126;
const random = (): number => {
  seed = (seed * 16_807) % 2_147_483_647;
  return seed / 2_147_483_647;
};
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
/** Many small values and few great ones. */
const skewed = (middle: number): number => Math.round(middle * Math.exp((random() + random() + random() - 1.5) * 2));

interface Owner {
  readonly id: UsageRecord['keyId'];
  readonly account: UsageRecord['accountId'];
}

async function fill(store: Store): Promise<void> {
  const owners: Owner[] = [];
  for (let at = 0; at < accounts; at++) await createAccount(store, `Person ${at}`, 'trusted', author());
  for (let at = 0; at < keys; at++) {
    const { key } = await createKey(store, { name: `key ${at}`, account: `Person ${at % accounts}` }, author());
    owners.push({ id: key.id, account: key.accountId });
  }
  const from = Date.now() - spanMs;
  const begunAt = performance.now();
  for (let first = 0; first < rows; first += batch) {
    const count = Math.min(batch, rows - first);
    await store.appendUsage(
      Array.from({ length: count }, (_, at) => recordOf(owners, Math.floor(from + ((first + at) / rows) * spanMs))),
    );
    // As the gate does it every ten minutes.
    for (const [step, ms] of Object.entries(keptMs) as [Step, number][])
      if (step !== 'quarterHour')
        await store.pruneSteps(step, from + ((first + count) / rows) * spanMs - ms, 2 * batch);
    if ((first / batch) % 200 === 199)
      say(`${first + count} rows, ${Math.round(((first + count) / (performance.now() - begunAt)) * 1000)} a second`);
  }
}

/** What operators did, a million times. */
async function fillAudit(store: Store): Promise<void> {
  const from = Date.now() - spanMs;
  for (let first = 0; first < auditEvents; first += batch)
    await store.atomically(async (within) => {
      for (let at = first; at < first + batch; at++) {
        const by = { ...author(), at: Math.floor(from + (at / auditEvents) * spanMs) };
        const subject = `Person ${Math.floor(random() * accounts)}`;
        await within.insertAudit(auditEvent(by, pick(actions), subject, { plan: 'default' }, { plan: 'trusted' }));
      }
    });
}

/** Who works in a quarter of an hour: sixty keys, each with one model on one server. A few accounts are there more often. */
interface Session {
  readonly owner: Owner;
  readonly model: string;
  readonly upstream: string;
}
let sessions: Session[] = [];
let sessionsOf = -1;

function sessionAt(owners: readonly Owner[], at: number): Session {
  const quarter = Math.floor(at / 900_000);
  if (quarter !== sessionsOf)
    sessions = Array.from({ length: 60 }, () => ({
      owner: owners[Math.floor(random() ** 3 * (owners.length - 1))] as Owner,
      model: pick(models),
      upstream: pick(servers),
    }));
  sessionsOf = quarter;
  return pick(sessions);
}

/** One call in a million is of the last key, whose account makes few others. */
function recordOf(owners: readonly Owner[], at: number): UsageRecord {
  const session = sessionAt(owners, at);
  const { model, upstream } = session;
  const owner = random() < 1e-6 ? (owners.at(-1) as Owner) : session.owner;
  const luck = random();
  const queuedMs = random() < 0.2 ? skewed(900) : 0;
  const sentMs = queuedMs + 3;
  const firstTokenMs = sentMs + skewed(400);
  const completionTokens = skewed(250);
  const record: UsageRecord = {
    id: newRequestId(at),
    at,
    keyId: owner.id,
    accountId: owner.account,
    operation: 'chat',
    model,
    askedModel: null,
    fallbackFor: null,
    upstream,
    outcome: 'completed',
    status: 200,
    code: null,
    streamed: true,
    promptTokens: skewed(600),
    completionTokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    reasoningTokens: 0,
    source: 'exact',
    bytesIn: 2_400,
    bytesOut: completionTokens * 120,
    firstByteMs: firstTokenMs,
    durationMs: firstTokenMs + completionTokens * (15 + Math.floor(random() * 20)),
    queuedMs,
    readyMs: 2,
    sentMs,
    firstTokenMs,
    address: '192.0.2.1',
    repeats: 1,
  };
  if (luck > 0.04) return record;
  if (luck > 0.01) {
    const nothing = { promptTokens: 0, completionTokens: 0, source: 'none', durationMs: 3, sentMs: undefined } as const;
    const refused = {
      outcome: 'refused',
      status: 429,
      upstream: null,
      firstTokenMs: undefined,
      firstByteMs: null,
    } as const;
    return { ...record, ...nothing, ...refused, queuedMs: 0, code: pick(refusals) };
  }
  return { ...record, outcome: 'failed', status: 502, code: luck < 2e-6 ? 'upstream_untrusted' : pick(failures) };
}

const databaseUrl = values.database;
if (databaseUrl === '' && !existsSync(databaseIn(dataDir))) {
  mkdirSync(dataDir, { recursive: true });
  const store = await openSqlite(dataDir);
  await fill(store);
  await fillAudit(store);
  await store.close();
}
const fake = await startFakeOllama();
const store = await openStore({ dataDir, databaseUrl, databaseConnections: 4 });
// As the gate does it in the background, so that reports are measured as they are an hour later.
while (await store.sumUsage(Date.now() - 3_600_000, 500)) continue;
const operator = await createKey(store, { name: 'bench', account: 'operator', scopes: ['management'] }, author());
const [busy] = await store.listAccounts();
const rare = await store.findAccount(`Person ${accounts - 1}`);
const member = await createKey(store, { name: 'bench', account: 'Person 5' }, author());
const [oldest] = await store.listKeys(busy?.id);
await store.close();
const gate = await spawnGate({
  UPSTREAM: fake.url,
  DATA_DIR: dataDir,
  LOG_LEVEL: 'info',
  RETENTION_DAYS: '90',
  ...(databaseUrl === '' ? {} : { DATABASE_URL: databaseUrl }),
});
const ask = async (path: string, secret = operator.secret?.reveal() ?? ''): Promise<[ms: number, body: string]> => {
  for (;;) {
    const begunAt = performance.now();
    const response = await fetch(`${gate.url}/management/v1${path}`, { headers: { 'x-api-key': secret } });
    const body = await response.text();
    const ms = performance.now() - begunAt;
    if (response.ok) return [ms, body];
    if (response.status !== 429) throw new Error(`${path}: ${response.status} ${body.slice(0, 300)}`);
    // The gateway limits how much one caller may ask of the management API.
    await sleep(1_000);
  }
};
const ago = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();
const own = member.secret?.reveal() ?? '';
const [, firstPage] = await ask('/requests?limit=50');
const { items, next } = JSON.parse(firstPage) as { items: { id: string }[]; next: string };

const calls: readonly (readonly [what: string, path: string, secret?: string])[] = [
  ['requests, the first page', '/requests?limit=50'],
  ['requests, the next page', `/requests?limit=50&cursor=${next}`],
  ['requests of a day two months ago', `/requests?since=${ago(60)}&until=${ago(59)}`],
  ['requests of a busy account', '/requests?account=Person%200'],
  ['requests of an account with ten', `/requests?account=${rare?.id}`],
  ['requests of accounts with a part of a name', '/requests?account=son%2099'],
  ['requests of keys with a part of a name', '/requests?key=key%20999'],
  ['requests of a key', `/requests?key=${oldest?.id}`],
  ['requests of a model on a server', '/requests?model=model-3:latest&server=server-2'],
  ['requests with a common code', '/requests?code=rate_limited'],
  ['requests with a code that twenty have', '/requests?code=upstream_untrusted'],
  ['requests of an account that failed', '/requests?account=Person%200&outcome=failed'],
  ['requests of a quiet account with a rare code', '/requests?account=Person%20700&code=upstream_untrusted'],
  ['requests of 30 s and more', '/requests?minDurationMs=30000'],
  ['requests that waited 20 s and more', '/requests?minQueuedMs=20000'],
  ['requests below 2 tokens/s', '/requests?maxTokensPerSecond=2'],
  ['one request', `/requests/${items[0]?.id}`],
  ['own requests of a member', '/me/requests', own],
  ['own requests of a member that failed', '/me/requests?outcome=failed', own],
  ...(['hour', 'day', 'week', 'month', 'quarter', 'year'] as const).map(
    (period) => [`latency of a ${period}`, `/latency?period=${period}`] as const,
  ),
  ['latency of a year of one model', '/latency?period=year&model=model-3:latest'],
  ['usage rows', '/usage'],
  ['usage rows of an account', '/usage?account=Person%200'],
  ...(['hour', 'day', 'month', 'account', 'key', 'model'] as const).flatMap((by) =>
    [30, 365].map((days) => [`usage by ${by}, ${days} days`, `/usage/report?by=${by}&since=${ago(days)}`] as const),
  ),
  ...(['hour', 'day', 'key', 'model'] as const).map(
    (by) =>
      [
        `usage of a busy account by ${by}, 365 days`,
        `/usage/report?by=${by}&account=Person%200&since=${ago(365)}`,
      ] as const,
  ),
  ['own usage by day', '/me/usage?by=day', own],
  ['own usage by model, 365 days', `/me/usage?by=model&since=${ago(365)}`, own],
  ['own limits', '/me/limits', own],
  ['accounts', '/accounts'],
  ['accounts, searched', '/accounts?search=son%2099'],
  ['keys', '/keys'],
  ['keys, searched', '/keys?search=key%20999'],
  ['plans', '/plans'],
  ['rules', '/rules'],
  ['suspensions', '/suspensions'],
  ['applications', '/applications'],
  ['invitations', '/invites'],
  ['model servers', '/servers'],
  ['model names', '/model-names'],
  ['published services', '/routes'],
  ['audit log', '/audit'],
  ['audit log, searched', '/audit?search=Person%20700'],
  ['audit log of an action', '/audit?action=key.revoke'],
  ['audit log, a part of a value', '/audit?text=trusted'],
  ['audit log of an actor', '/audit?actor=bench'],
  ['audit log of a day two months ago', `/audit?since=${ago(60)}&until=${ago(59)}`],
  ['overview', '/overview'],
  ['status', '/status'],
];
say('');
say('| call | median | p95 | slowest | CPU |');
say('| --- | ---: | ---: | ---: | ---: |');
for (const [what, path, secret] of calls) {
  if (!only.some((word) => what.includes(word))) continue;
  const times: number[] = [];
  const work: number[] = [];
  const { pid = 0 } = gate.process;
  for (let run = 0; run < runs; run++) {
    const before = cpuUs([pid]);
    times.push((await ask(path, secret))[0]);
    work.push((cpuUs([pid]) - before) / 1000);
  }
  work.sort((a, b) => a - b);
  times.sort((a, b) => a - b);
  const ms = (value: number | undefined): string => `${Math.round(value ?? 0)} ms`;
  const p95 = times[Math.ceil(runs * 0.95) - 1];
  say(
    `| ${what} | ${ms(times[Math.floor(runs / 2)])} | ${ms(p95)} | ${ms(times.at(-1))} | ${ms(work[Math.floor(runs / 2)])} |`,
  );
}
gate.process.kill('SIGTERM');
await gate.ended;
await fake.close();
if (values.directory === undefined) rmSync(dataDir, { recursive: true, force: true });
