// The accounting is right: after a thousand mixed exchanges each of them has one row in the ledger, the sums by quarter hour
// are the sums of the rows, the rows agree with the model server's own counts, and the limits use the same figures, also
// after a restart and a kill.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Calendar, type Window } from '../../src/domain/calendar.ts';
import type { KeyId } from '../../src/domain/id.ts';
import type { UsageRecord, UsageSum } from '../../src/domain/usage.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { createPlan } from '../../src/management/plans/plans.ts';
import type { ReportBy } from '../../src/store/ports/usage.ts';
import { defaultAnswer } from '../fake-ollama/answers.ts';
import { type Answer, type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, post, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';

// ---- the exchanges

interface Dialect {
  readonly path: string;
  readonly streams: boolean;
  /** Lines of a stream that pass before its first piece. */
  readonly body: (words: string, most: number) => Record<string, unknown>;
}

const messages = (words: string) => ({ messages: [{ role: 'user', content: words }] });
const completions: Dialect = {
  path: '/v1/chat/completions',
  streams: true,
  body: (words, most) => ({ ...messages(words), max_tokens: most }),
};
const dialects: readonly Dialect[] = [
  {
    path: '/api/chat',
    streams: true,
    body: (words, most) => ({ ...messages(words), options: { num_predict: most } }),
  },
  {
    path: '/api/generate',
    streams: true,
    body: (words, most) => ({ prompt: words, options: { num_predict: most } }),
  },
  completions,
  {
    ...completions,
    body: (words, most) => ({ ...completions.body(words, most), stream_options: { include_usage: true } }),
  },
  {
    path: '/v1/responses',
    streams: true,
    body: (words, most) => ({ input: words, max_output_tokens: most }),
  },
  {
    path: '/v1/messages',
    streams: true,
    body: (words, most) => ({ ...messages(words), max_tokens: most }),
  },
  { path: '/api/embed', streams: false, body: (words) => ({ input: [words, 'and more'] }) },
];

/** Ways in which a stream can be cut. */
const cuts = ['caller leaves in mid-stream', 'server resets', 'server ends without its mark'] as const;
/** How an exchange ends. */
const fates = [
  'completes',
  ...cuts,
  'whole answer breaks',
  'caller leaves before the first byte',
  'server answers 500',
  'server has no such model',
  'no such name',
  'no JSON',
  'hidden model',
  'stranger',
] as const;
type Fate = (typeof fates)[number];
const isCut = (fate: Fate): boolean => cuts.some((cut) => cut === fate);
const refusals: readonly Fate[] = ['no such name', 'no JSON', 'hidden model'];

interface Asked {
  readonly number: number;
  readonly dialect: Dialect;
  readonly fate: Fate;
  readonly stream: boolean;
  readonly caller: number;
  readonly model: string;
  /** The number of pieces after which it is cut. */
  readonly cutAfter: number;
  /** The model server's own count for this exchange. */
  readonly own: { promptTokens: number; completionTokens: number };
  /** Bytes of the answer that the model server wrote before it broke off a whole one. */
  wrote: number;
  /** Pieces that the caller had read when the exchange was over for them. */
  seen: number;
  /** The id of the row; undefined if the caller left before the head. */
  id: string | undefined;
  status: number;
  bytes: number;
  readonly reached: Promise<void>;
  readonly reach: () => void;
}

const total = 1000;
const models = ['gemma3:270m', 'llama3:latest'];
const piece = 'piece';

/** Always the same thousand, so that a failure can be reproduced. */
const mix: readonly Asked[] = Array.from({ length: total }, (_, number) => {
  const dialect = dialects[number % dialects.length] as Dialect;
  const wanted = number % 5 < 2 ? 'completes' : (fates[Math.floor(number / 5) % fates.length] as Fate);
  const fate = isCut(wanted) && !dialect.streams ? 'whole answer breaks' : wanted;
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    number,
    dialect,
    fate,
    stream: dialect.streams && fate !== 'whole answer breaks' && (isCut(fate) || number % 3 !== 0),
    // Every caller meets every way of ending: twelve ways take sixty exchanges.
    caller: (number + Math.floor(number / 60)) % 5,
    model: models[Math.floor(number / 7) % 2] as string,
    cutAfter: 1 + (number % 9),
    own: { promptTokens: 0, completionTokens: 0 },
    wrote: 0,
    seen: 0,
    id: undefined,
    status: 0,
    bytes: 0,
    reached: promise,
    reach: resolve,
  };
});

const of = (...wanted: readonly Fate[]): Asked[] => mix.filter(({ fate }) => wanted.includes(fate));

// ---- the model server: it answers as usual, counts each exchange itself, and breaks off where the mix says

const answerMix: Script = async (request, answer, server) => {
  server.next(answerMix);
  const text = request.method === 'POST' ? (await request.body).toString() : '';
  const asked = mix[Number(/exchange-(\d+)/.exec(text)?.[1])];
  if (!asked)
    return defaultAnswer(request, text.includes('stall') ? stalling(answer, request.aborted) : answer, server);
  asked.reach();
  switch (asked.fate) {
    case 'caller leaves before the first byte':
      return request.aborted;
    case 'server answers 500':
      return answer.whole(500, { 'Content-Type': 'application/json' }, '{"error":"the runner has crashed"}');
    default: {
      const { host, port } = server;
      const counting = Object.create(server, {
        host: { value: host },
        port: { value: port },
        totals: { value: asked.own },
      }) as FakeOllama;
      return defaultAnswer(request, cutting(asked, answer, request.aborted), counting);
    }
  }
};

/** Sends one piece and then nothing more. */
function stalling(answer: Answer, aborted: Promise<void>): Answer {
  let said = 0;
  return view(answer, {
    chunk: async (bytes) => (said++ === 0 ? answer.chunk(bytes) : aborted.then(() => false)),
  });
}

/** An answer with some of its methods replaced. */
function view(answer: Answer, ways: Partial<Answer>): Answer {
  return {
    gone: answer.gone,
    head: (status, headers) => answer.head(status, headers),
    chunk: (bytes) => answer.chunk(bytes),
    whole: (status, headers, body) => answer.whole(status, headers, body),
    end: () => answer.end(),
    reset: () => answer.reset(),
    hangUp: () => answer.hangUp(),
    raw: (bytes) => answer.raw(bytes),
    ...ways,
  };
}

function cutting(asked: Asked, answer: Answer, aborted: Promise<void>): Answer {
  let said = 0;
  return view(answer, {
    chunk: async (bytes) => {
      if (!isCut(asked.fate) || said < asked.cutAfter) {
        if (typeof bytes === 'string' && bytes.includes(piece)) said++;
        return answer.chunk(bytes);
      }
      if (asked.fate === 'caller leaves in mid-stream') await aborted;
      else if (asked.fate === 'server resets') answer.reset();
      else answer.end();
      return false;
    },
    whole: (status, headers, body) => {
      if (asked.fate !== 'whole answer breaks') return answer.whole(status, headers, body);
      const half = body.slice(0, Math.floor(body.length / 2));
      asked.wrote = Buffer.byteLength(half);
      answer.raw(
        `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`,
      );
      answer.raw(half);
      return answer.hangUp();
    },
  });
}

// ---- the callers

async function ask(asked: Asked): Promise<void> {
  const { dialect, fate, number, stream } = asked;
  const words = `exchange-${number} ${'so many words '.repeat(number % 11)}`;
  const model =
    fate === 'server has no such model'
      ? 'missing'
      : fate === 'no such name'
        ? 'no such/name:at all'
        : fate === 'hidden model'
          ? 'hidden'
          : asked.model;
  const most = isCut(fate) ? 12 : 1 + (number % 12);
  const text =
    fate === 'no JSON' ? `{"exchange-${number}` : JSON.stringify({ model, stream, ...dialect.body(words, most) });
  asked.bytes = Buffer.byteLength(text);
  const { secret } = callers[asked.caller] as Caller;
  const controller = new AbortController();
  const answering = fetch(gate.url + dialect.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': fate === 'stranger' ? wrong(secret) : secret },
    body: text,
    signal: controller.signal,
  });
  if (fate === 'caller leaves before the first byte') {
    await asked.reached;
    controller.abort();
    await expect(answering).rejects.toThrow();
    return;
  }
  const response = await answering;
  asked.status = response.status;
  asked.id = response.headers.get('x-request-id') ?? undefined;
  let read = '';
  const decoder = new TextDecoder();
  try {
    for await (const bytes of response.body!) {
      read += decoder.decode(bytes, { stream: true });
      asked.seen = read.split(piece).length - 1;
      // Anywhere between its first piece and its last.
      if (fate === 'caller leaves in mid-stream' && asked.seen >= Math.ceil(asked.cutAfter / 2)) controller.abort();
    }
  } catch (error) {
    if (!isCut(fate) && fate !== 'whole answer breaks') throw error;
  }
}

/** A key with a typing error. */
const wrong = (secret: string): string => `${secret.slice(0, -1)}${secret.endsWith('x') ? 'y' : 'x'}`;

interface Caller {
  readonly id: KeyId;
  readonly secret: string;
  /** Undefined for the operator, whom no limit counts. */
  readonly account: string | undefined;
}

const limits = {
  requestsPerHour: 900_000,
  tokensPerHour: 1_900_000_000,
  requestsPerDay: 1_000_000,
  tokensPerDay: 2_000_000_000,
  tokensPerWeek: 2_500_000_000,
  tokensPerMonth: 3_000_000_000,
  promptTokensPerDay: 4_000_000_000,
  promptTokensPerMonth: 5_000_000_000,
  completionTokensPerDay: 6_000_000_000,
  completionTokensPerMonth: 7_000_000_000,
};

let fake: FakeOllama;
let gate: GateProcess;
let callers: readonly Caller[];
let rows: UsageRecord[];
/** How many of the thousand reached the model server. */
let calls: number;
let byId: ReadonlyMap<string, UsageRecord>;
const environment = { DATA_DIR: temporaryDirectory(), TIME_ZONE: 'UTC' };
const identified = total - of('stranger').length;

beforeAll(async () => {
  fake = await startFakeOllama();
  fake.pieces = Array.from({ length: 12 }, () => piece);
  gate = await spawnGate({ ...environment, UPSTREAM: fake.url });
  const made = await gate.manage(async (store, by) => {
    await createPlan(store, 'wide', { ...limits, models: 'gemma3:*,llama3,missing' }, undefined, by);
    const alice = await createAccount(store, 'alice', 'wide', by);
    const bob = await createAccount(store, 'bob', 'wide', by);
    return [alice.id, bob.id];
  });
  const own = { models: ['gemma3:*', 'llama3', 'missing'] };
  callers = [
    { ...(await gate.key({ name: 'one of alice', account: 'alice' })), account: made[0] },
    { ...(await gate.key({ name: 'other of alice', account: 'alice', limits })), account: made[0] },
    { ...(await gate.key({ name: 'one of bob', account: 'bob' })), account: made[1] },
    { ...(await gate.key({ name: 'other of bob', account: 'bob', limits })), account: made[1] },
    { ...(await gate.key({ name: 'operator', ...own })), account: undefined },
  ];
  fake.next(answerMix);
  const waiting = mix.values();
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      for (const asked of waiting) await ask(asked);
    }),
  );
  calls = fake.calls.length;
  rows = await gate.ledger(identified);
  byId = new Map(rows.map((row) => [row.id, row]));
});
afterAll(async () => {
  gate.process.kill('SIGTERM');
  await gate.ended;
  await fake.close();
});

const rowOf = ({ id }: Asked): UsageRecord => byId.get(id ?? '') as UsageRecord;
const sum = <T>(values: readonly T[], figure: (value: T) => number): number =>
  values.reduce((all, value) => all + figure(value), 0);

describe('the ledger after a thousand mixed exchanges', () => {
  test('holds exactly one row for each identified caller, and none for unidentified ones', () => {
    expect(rows).toHaveLength(identified);
    expect(byId.size).toBe(identified);
    const left = of('caller leaves before the first byte');
    const told = mix.filter(({ fate }) => fate !== 'stranger' && fate !== 'caller leaves before the first byte');
    for (const asked of told) {
      expect(rowOf(asked)).toMatchObject({
        operation: asked.dialect.path.replace(/^\/(api|v1)\//, '').replace('/', '-'),
        keyId: callers[asked.caller]?.id,
        status: asked.status,
        streamed: asked.fate === 'no JSON' ? expect.any(Boolean) : asked.stream,
        bytesIn: asked.bytes,
      });
    }
    // A caller who left before the head received no id; theirs are the rows that nobody else claims.
    const ids = new Set(told.map(({ id }) => id));
    expect(ids.size + left.length).toBe(identified);
    const others = rows.filter(({ id }) => !ids.has(id));
    const ordered = (bytes: readonly number[]): number[] => bytes.toSorted((a, b) => a - b);
    expect(ordered(others.map(({ bytesIn }) => bytesIn))).toEqual(ordered(left.map(({ bytes }) => bytes)));
    for (const asked of of('stranger')) expect([asked.status, rowOf(asked)]).toEqual([401, undefined]);
  });

  test('contains every way of ending, for every caller', () => {
    for (const fate of fates) {
      expect(of(fate).length, fate).toBeGreaterThanOrEqual(40);
      expect(new Set(of(fate).map(({ caller }) => caller)).size, fate).toBe(callers.length);
    }
    for (const dialect of dialects)
      for (const stream of dialect.streams ? [true, false] : [false])
        expect(of('completes').filter((asked) => asked.dialect === dialect && asked.stream === stream)).not.toEqual([]);
  });

  test('holds, for completed exchanges, the model server’s own counts, to the token', () => {
    for (const asked of of('completes'))
      expect(rowOf(asked), String(asked.number)).toMatchObject({
        outcome: 'completed',
        status: 200,
        source: 'exact',
        ...asked.own,
      });
    const exact = rows.filter(({ source }) => source === 'exact');
    expect(exact).toHaveLength(of('completes').length);
    const own = of('completes').map((asked) => asked.own);
    for (const figure of ['promptTokens', 'completionTokens'] as const) {
      expect(sum(exact, (row) => row[figure])).toBe(sum(own, (counted) => counted[figure]));
      expect(sum(own, (counted) => counted[figure])).toBeGreaterThan(1000);
    }
  });

  // docs/request-flow.md, Counting: the prompt is a quarter of the request's bytes, the answer the pieces that passed. A
  // piece is a line of the stream. The lower bound is what the caller had read, since a piece is counted when it is passed
  // on; the upper bound is what the model server had sent, with the lines with which two dialects open a stream.
  test('holds, for a cut stream, at least what the caller received and at most what the model server sent', () => {
    for (const asked of of(...cuts)) {
      const row = rowOf(asked);
      const left = asked.fate === 'caller leaves in mid-stream';
      expect(row, String(asked.number)).toMatchObject({
        outcome: left ? 'client_closed' : 'failed',
        source: 'estimated',
        // A message's first event carries the server's count of the prompt.
        promptTokens: asked.dialect.path === '/v1/messages' ? expect.any(Number) : Math.ceil(asked.bytes / 4),
      });
      expect(row.promptTokens).toBeGreaterThan(0);
      expect(asked.own.completionTokens).toBe(asked.cutAfter);
      expect(row.completionTokens).toBeGreaterThanOrEqual(asked.seen);
      expect(row.completionTokens).toBeLessThanOrEqual(asked.own.completionTokens);
      // All of it had arrived before the missing end.
      if (asked.fate === 'server ends without its mark') expect(row.completionTokens).toBe(asked.cutAfter);
      if (left) expect(asked.seen).toBeGreaterThan(0);
    }
  });

  test('holds, for a broken whole answer, a quarter of the received bytes, and nothing for embeddings', () => {
    for (const asked of of('whole answer breaks')) {
      expect(rowOf(asked), String(asked.number)).toMatchObject({
        outcome: 'failed',
        source: 'estimated',
        promptTokens: Math.ceil(asked.bytes / 4),
        completionTokens: asked.dialect.path === '/api/embed' ? 0 : Math.ceil(asked.wrote / 4),
      });
      expect(asked.wrote).toBeGreaterThan(0);
    }
  });

  test('holds the prompt and no answer for a caller who left before the first byte', () => {
    const ids = new Set(mix.map(({ id }) => id));
    for (const row of rows.filter(({ id }) => !ids.has(id)))
      expect(row).toMatchObject({
        outcome: 'client_closed',
        source: 'estimated',
        promptTokens: Math.ceil(row.bytesIn / 4),
        completionTokens: 0,
      });
  });

  test('holds no tokens for refusals and for errors of the model server', () => {
    const free = { promptTokens: 0, completionTokens: 0, source: 'none' };
    for (const asked of of(...refusals))
      expect(rowOf(asked), String(asked.number)).toMatchObject({ ...free, outcome: 'refused', upstream: null });
    for (const asked of of('server answers 500', 'server has no such model'))
      expect(rowOf(asked), String(asked.number)).toMatchObject({
        ...free,
        outcome: 'upstream_error',
        status: asked.fate === 'server answers 500' ? 500 : 404,
      });
    expect(calls).toBe(total - of(...refusals, 'stranger').length);
  });
});

// ---- sums

/** Refused, or abandoned by the caller, before it went to a model server. */
const neverLeft = ({ outcome, upstream }: UsageRecord): boolean =>
  outcome === 'refused' || (outcome === 'client_closed' && upstream === null);
const ended = ['completed', 'client_closed'];

function summed(some: readonly UsageRecord[], group: (row: UsageRecord) => string): Record<string, UsageSum> {
  const groups = Map.groupBy(some, group);
  return Object.fromEntries(
    [...groups].map(([name, found]) => [
      name,
      {
        requests: found.length,
        refused: found.filter(neverLeft).length,
        failed: found.filter((row) => !neverLeft(row) && !ended.includes(row.outcome)).length,
        promptTokens: sum(found, (row) => row.promptTokens),
        completionTokens: sum(found, (row) => row.completionTokens),
        estimated: found.filter(({ source }) => source === 'estimated').length,
        cacheReadTokens: sum(found, (row) => row.cacheReadTokens),
        cacheWriteTokens: sum(found, (row) => row.cacheWriteTokens),
        reasoningTokens: sum(found, (row) => row.reasoningTokens),
      },
    ]),
  );
}

const quarterOf = ({ at }: UsageRecord): number => Math.floor(at / 900_000);
const groupings: Record<ReportBy, (row: UsageRecord) => string> = {
  key: (row) => row.keyId,
  account: (row) => row.accountId,
  model: (row) => row.model ?? '',
  hour: (row) => String(Math.floor(quarterOf(row) / 4)),
  quarter: (row) => String(quarterOf(row)),
};

/** Calls that no model answered may be summed without its name, which the caller may have made up. */
function checkModels(report: readonly (UsageSum & { readonly model: string })[]): void {
  const answered = rows.filter(({ upstream, status }) => upstream !== null && status >= 200 && status < 400);
  const least = summed(answered, groupings.model);
  expect(new Set(report.map(({ model }) => model))).toEqual(new Set(['', ...Object.keys(least)]));
  const whole = summed(rows, () => '')[''] as UsageSum;
  for (const figure of Object.keys(whole) as Exclude<keyof UsageSum, 'units'>[]) {
    expect(
      sum(report, (sums) => sums[figure]),
      figure,
    ).toBe(whole[figure]);
    for (const sums of report)
      expect(sums[figure], `${figure} of ${sums.model}`).toBeGreaterThanOrEqual(least[sums.model]?.[figure] ?? 0);
  }
}

describe('the sums by quarter of an hour', () => {
  test.each(Object.keys(groupings) as ReportBy[])('by %s are the sums of the rows', async (by) => {
    const times = rows.map(({ at }) => at);
    const report = await gate.manage((store) => store.reportUsage(by, Math.min(...times), Math.max(...times) + 1));
    if (by === 'model') {
      checkModels(report.map((row) => ({ ...row, model: row.group })));
      return;
    }
    const wanted = summed(rows, groupings[by]);
    expect(report).toHaveLength(Object.keys(wanted).length);
    for (const { group, name, ...sums } of report) {
      expect(sums, `${by} ${name ?? group}`).toEqual(wanted[group]);
    }
    expect(sum(report, ({ requests }) => requests)).toBe(identified);
  });

  const date = (length: number) => (row: UsageRecord) => new Date(row.at).toISOString().slice(0, length);
  test.each([
    ['key', groupings.key],
    ['account', groupings.account],
    ['model', groupings.model],
    ['day', date(10)],
    ['month', date(7)],
  ] as const)('are what `sekisho usage --by %s` prints', async (by, group) => {
    const { code, out, err } = await sekisho(['usage', '--by', by, '--json'], environment);
    expect([code, err]).toEqual([0, '']);
    const printed = JSON.parse(out) as (Record<string, unknown> & UsageSum & { tokens: number })[];
    if (by === 'model') {
      checkModels(printed.map((row) => ({ ...row, model: (row['model'] as string | null) ?? '' })));
      return;
    }
    const wanted = summed(rows, group);
    expect(printed).toHaveLength(Object.keys(wanted).length);
    for (const { [by]: name, ...sums } of printed) {
      const expected = wanted[(name as string | null) ?? ''] as UsageSum;
      expect(sums).toMatchObject({ ...expected, tokens: expected.promptTokens + expected.completionTokens });
    }
  });
});

// ---- limits

const labels: readonly (readonly [label: string, limit: number, window: Window, of: (r: UsageRecord) => number])[] = [
  ['requests-hour', limits.requestsPerHour, 'hour', (row) => (neverLeft(row) ? 0 : 1)],
  ['tokens-hour', limits.tokensPerHour, 'hour', (row) => row.promptTokens + row.completionTokens],
  ['requests-day', limits.requestsPerDay, 'day', (row) => (neverLeft(row) ? 0 : 1)],
  ['tokens-day', limits.tokensPerDay, 'day', (row) => row.promptTokens + row.completionTokens],
  ['tokens-week', limits.tokensPerWeek, 'week', (row) => row.promptTokens + row.completionTokens],
  ['tokens-month', limits.tokensPerMonth, 'month', (row) => row.promptTokens + row.completionTokens],
  ['prompt-tokens-day', limits.promptTokensPerDay, 'day', (row) => row.promptTokens],
  ['prompt-tokens-month', limits.promptTokensPerMonth, 'month', (row) => row.promptTokens],
  ['completion-tokens-day', limits.completionTokensPerDay, 'day', (row) => row.completionTokens],
  ['completion-tokens-month', limits.completionTokensPerMonth, 'month', (row) => row.completionTokens],
];

/**
 * Makes a call that costs no tokens, and compares the figures in its headers with the ledger, which has it by then as
 * well.
 */
async function holdAgainstLedger({ id, secret, account }: Caller): Promise<void> {
  const response = await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
  expect(response.status).toBe(200);
  await response.text();
  const requestId = response.headers.get('x-request-id');
  const { known, probe } = await eventually(async () => {
    const found = await gate.ledger(identified);
    const last = found.find((row) => row.id === requestId);
    if (!last) throw new Error('the row has not been written yet');
    return { known: found, probe: last };
  });
  const fields = response.headers.get('ratelimit');
  if (account === undefined) {
    expect(fields).toBeNull();
    return;
  }
  const told = Object.fromEntries(
    [...(fields ?? '').matchAll(/"([a-z-]+)";r=(\d+);t=\d+/g)].map(([, label, left]) => [label, Number(left)]),
  );
  const calendar = new Calendar('UTC');
  const wanted: Record<string, number> = {};
  for (const [label, limit, window, figure] of labels) {
    const { startsAt, endsAt } = calendar[window](probe.at);
    const within = known.filter(({ at }) => at >= startsAt && at < endsAt);
    const used = (whose: (row: UsageRecord) => boolean): number => sum(within.filter(whose), figure);
    wanted[label] = limit - used((row) => row.accountId === account);
    if (`key-${label}` in told) wanted[`key-${label}`] = limit - used((row) => row.keyId === id);
  }
  expect(told).toEqual(wanted);
  const own = Object.keys(told).filter((label) => label.startsWith('key-'));
  expect(own).toHaveLength(callers.findIndex((caller) => caller.id === id) % 2 === 1 ? labels.length : 0);
}

async function holdAllAgainstLedger(): Promise<void> {
  for (const caller of callers) await holdAgainstLedger(caller);
}

describe('the usage that limits count agrees with the ledger', () => {
  test('on the running gate, for the account and for a key with limits of its own', holdAllAgainstLedger);

  test('after a restart', async () => {
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
    gate = await spawnGate({ ...environment, UPSTREAM: fake.url });
    await holdAllAgainstLedger();
  });

  test('after a kill during answers', async () => {
    const chat = { model: 'gemma3:270m', ...messages('stall') };
    const before = (await gate.ledger(identified)).length;
    for (const { secret } of callers) {
      const whole = await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false });
      expect(await whole.json()).toMatchObject({ done: true });
      const reader = (await post(`${gate.url}/api/chat`, secret, chat)).body!.getReader();
      await reader.read();
    }
    gate.process.kill('SIGKILL');
    expect(await gate.ended).toBe('SIGKILL');
    gate = await spawnGate({ ...environment, UPSTREAM: fake.url });
    const now = await gate.ledger(before + 2 * callers.length);
    expect(now.filter(({ outcome }) => outcome === 'interrupted')).toHaveLength(callers.length);
    await holdAllAgainstLedger();
  });
});
