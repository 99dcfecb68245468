// Services beside the models, as people run them: a vector store with a key of its own, and transcription by the second.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { Agent, fetch as undiciFetch } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, sekisho, type TestGate, temporaryDirectory } from '../gate.ts';
import { documentedRoute } from '../services/documented-route.ts';
import { type EchoService, echoAnswer, startEchoService } from '../services/echo-service.ts';
import { type Replayed, readRecording, startRecorded } from '../services/recorded-service.ts';

let fake: FakeOllama;
let gate: TestGate;
let store: EchoService;
let second: EchoService;
let whisper: EchoService;
let llama: Replayed;
let operator: string;

beforeAll(async () => {
  [fake, store, second, whisper, llama] = await Promise.all([
    startFakeOllama(),
    startEchoService(),
    startEchoService(),
    startEchoService(),
    startRecorded(readRecording('llama-server-0c1e570')),
  ]);
  const directory = temporaryDirectory();
  const secretFile = join(directory, 'qdrant.secret');
  writeFileSync(secretFile, '# for the vector store\napi-key: of-the-vector-store\n');
  const routes = join(directory, 'routes.jsonc');
  // Comments and commas as people write them are read by settings/jsonc.test.ts.
  writeFileSync(
    routes,
    JSON.stringify([
      documentedRoute('qdrant', { upstreams: [store.url, second.url], secretFile }),
      documentedRoute('whisper', { upstreams: [whisper.url], cost: { perSecond: 2 } }),
      documentedRoute('llama', { upstreams: [llama.url] }),
      {
        name: 'images',
        path: '/images',
        upstreams: [whisper.url],
        cost: { header: 'x-cost', cap: 10, unit: 'images' },
      },
      { name: 'pages', hostName: 'pages.example.com', upstreams: [store.url] },
      { name: 'fixed', path: '/fixed', upstreams: [whisper.url], cost: { fixed: 3, unit: 'images' } },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes, QUEUE_SECONDS: '30' });
  ({ secret: operator } = await gate.key({ scopes: ['management:read'] }));
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([store.stop(), second.stop(), whisper.stop(), llama.close(), fake.close()]);
});
afterEach(() => {
  for (const service of [store, second, whisper]) {
    service.answer = echoAnswer;
    service.seen.length = 0;
  }
});

const keyFor = async (...scopes: string[]): Promise<string> => (await gate.key({ scopes })).secret;

test('a vector store is used with the gate’s keys, and sees its own', async () => {
  const secret = await keyFor('route:qdrant');
  const headers = { 'api-key': secret, 'content-type': 'application/json' };
  const put = await fetch(`${gate.url}/qdrant/collections/notes/points?wait=true`, {
    method: 'PUT',
    headers,
    body: '{"points":[{"id":1,"vector":[0.1,0.2]}]}',
  });
  expect(put.status).toBe(200);
  expect(await put.json()).toMatchObject({
    method: 'PUT',
    url: '/collections/notes/points?wait=true',
    headers: { 'api-key': 'of-the-vector-store', 'content-type': 'application/json', 'x-forwarded-prefix': '/qdrant' },
    body: '{"points":[{"id":1,"vector":[0.1,0.2]}]}',
  });
  const removed = await fetch(`${gate.url}/qdrant/collections/notes`, { method: 'DELETE', headers });
  expect(removed.status).toBe(200);
});

test('of several servers the one with the fewest calls gets the next', async () => {
  const secret = await keyFor('route:qdrant');
  const held: (() => void)[] = [];
  for (const service of [store, second])
    service.answer = (request, response) => {
      if (request.url === '/healthz') response.end();
      else held.push(() => response.end());
    };
  const calls = Array.from({ length: 6 }, async () =>
    (await fetch(`${gate.url}/qdrant/x`, { headers: { 'x-api-key': secret } })).text(),
  );
  const called = (): number[] => [store, second].map(({ seen }) => seen.filter(({ url }) => url === '/x').length);
  await eventually(() => expect(called()).toEqual([3, 3]));
  for (const release of held) release();
  await Promise.all(calls);
});

test('a server that its health path shows as down gets no calls while another is up', async () => {
  const secret = await keyFor('route:qdrant');
  store.answer = (request, response) => void response.writeHead(request.url === '/healthz' ? 503 : 200).end('first');
  second.answer = (_, response) => void response.end('second');
  const ask = async (): Promise<string> =>
    (await fetch(`${gate.url}/qdrant/x`, { headers: { 'x-api-key': secret } })).text();
  await eventually(async () => {
    for (let at = 0; at < 4; at++) expect(await ask()).toBe('second');
  });
});

test('a transcription streams up and down, waits for its turn, and costs its seconds', async () => {
  const secret = await keyFor('route:whisper');
  const form = (): FormData => {
    const data = new FormData();
    data.set('model', 'whisper-1');
    data.set('file', new Blob([new Uint8Array(300_000)]), 'speech.wav');
    return data;
  };
  const finish: (() => void)[] = [];
  whisper.answer = (_, response, body) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: {"received":${body.length > 300_000}}\n\n`);
    finish.push(() => response.end('data: [DONE]\n\n'));
  };
  const send = (): Promise<Response> =>
    fetch(`${gate.url}/whisper/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${secret}` },
      body: form(),
    });
  const first = await send();
  const waiting = send();
  await eventually(() => expect(gate.waiting()).toBe(1));
  expect(whisper.seen).toHaveLength(1);
  expect(whisper.seen[0]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
  finish[0]?.();
  expect(await first.text()).toBe('data: {"received":true}\n\ndata: [DONE]\n\n');
  const next = await waiting;
  expect(next.headers.get('x-sekisho-queue-position')).toBe('1');
  finish[1]?.();
  await next.text();
  const rows = (await gate.ledger(2)).filter(({ operation }) => operation === 'route:whisper');
  expect(rows).toHaveLength(2);
  for (const { cost, bytesIn } of rows) {
    expect(cost?.unit).toBe('seconds');
    expect((cost?.units ?? 1) % 2).toBe(0);
    expect(cost?.units).toBeGreaterThanOrEqual(2);
    expect(bytesIn).toBeGreaterThan(300_000);
  }
});

test('the pages of a service have their own host: loaded with the key as a password, and streamed as they come', async () => {
  const secret = await keyFor('route:pages');
  let go = (): void => undefined;
  store.answer = (request, response) => {
    if (request.url === '/')
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>llama</title>');
    else {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: {"content":"a"}\n\n');
      go = () => response.end('data: {"content":"b","stop":true}\n\n');
    }
  };
  const basic = `Authorization: Basic ${Buffer.from(`me:${secret}`).toString('base64')}\r\n`;
  const page = new RawClient(gate.port);
  page.write(
    `GET / HTTP/1.1\r\nHost: pages.example.com\r\n${basic}Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n`,
  );
  expect(await page.until('<title>llama</title>')).toMatch(/^HTTP\/1\.1 200 /);
  page.write(
    `POST /completion HTTP/1.1\r\nHost: pages.example.com\r\n${basic}Origin: http://pages.example.com\r\nSec-Fetch-Site: same-origin\r\n` +
      'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"prompt":"x"}',
  );
  await page.until('{"content":"a"}');
  expect(page.text).not.toContain('"stop":true');
  go();
  await page.until('"stop":true');
  page.socket.destroy();
});

test('a recording is transcribed by OpenAI’s client, with the key of the gateway', async () => {
  whisper.answer = (_, response) =>
    void response.writeHead(200, { 'content-type': 'application/json' }).end('{"text":"こんにちは"}');
  const apiKey = await keyFor('route:whisper');
  const openai = new OpenAI({ baseURL: `${gate.url}/whisper/v1`, apiKey, maxRetries: 0 });
  const file = new File([new Uint8Array(1_000)], '音声.wav', { type: 'audio/wav' });
  expect((await openai.audio.transcriptions.create({ model: 'whisper-1', file, language: 'ja' })).text).toBe(
    'こんにちは',
  );
  const [seen] = whisper.seen;
  expect(seen?.url).toBe('/v1/audio/transcriptions');
  expect(seen?.body).toContain('filename="音声.wav"');
  expect(JSON.stringify(seen)).not.toContain(apiKey);
});

/** Resolves every host name to this machine, as the DNS entry of a service does. */
const toGate = (): Agent =>
  new Agent({ connect: { lookup: (_name, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]) } });

test('llama-server’s own API, as it was recorded, is used by OpenAI’s client and by hand under a host name', async () => {
  const secret = await keyFor('route:llama');
  const dispatcher = toGate();
  const own: typeof fetch = (url, init) => undiciFetch(url, { ...(init as object), dispatcher });
  const at = `http://llama.example.com:${gate.port}`;
  const headers = { 'x-api-key': secret };
  const props = (await (await own(`${at}/props`, { headers })).json()) as { total_slots: number; build_info: string };
  expect(props).toMatchObject({ total_slots: 2, build_info: 'b1-0c1e570' });
  const openai = new OpenAI({ baseURL: `${at}/v1`, apiKey: secret, maxRetries: 0, fetch: own });
  expect((await openai.models.list()).data.map(({ id }) => id)).toEqual(['tiny']);
  const asked = {
    model: 'tiny',
    messages: [{ role: 'user' as const, content: 'なぜ空は青いのですか?' }],
    max_tokens: 8,
    seed: 1,
  };
  const usage = { prompt_tokens: 85, completion_tokens: 8, total_tokens: 93 };
  expect((await openai.chat.completions.create(asked)).usage).toMatchObject(usage);
  const stream = await openai.chat.completions.create({
    ...asked,
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  expect(chunks.length).toBe(9);
  expect(chunks.at(-1)?.usage).toMatchObject(usage);
  const post = async (path: string, body: object): Promise<string> => {
    const sent = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' } };
    return (await own(at + path, { ...sent, body: JSON.stringify(body) })).text();
  };
  expect(JSON.parse(await post('/tokenize', { content: 'Hello' }))).toEqual({
    tokens: [229, 153, 132, 299, 328, 335, 335, 338],
  });
  const completion = await post('/completion', { prompt: 'Hello', n_predict: 4, seed: 1, stream: true });
  expect(completion.match(/^data: /gm)).toHaveLength(3);
  expect(llama.strange).toEqual([]);
  expect(JSON.stringify(llama.asked)).not.toContain(secret);
  await dispatcher.close();
});

test('a cost from a header is rounded up and capped, and a fault of the service does not make it free', async () => {
  const secret = await keyFor('route:images', 'route:fixed');
  const costs: (number | undefined)[] = [];
  const ask = async (path: string, status: number, cost: string | undefined): Promise<void> => {
    whisper.answer = (_, response) =>
      void response.writeHead(status, cost === undefined ? {} : { 'x-cost': cost }).end();
    const answer = await fetch(`${gate.url}${path}`, { headers: { 'x-api-key': secret } });
    expect(answer.headers.get('x-cost')).toBeNull();
  };
  const asked = [
    ['2', 200],
    ['2.25', 200],
    ['9999999', 200],
    [undefined, 200],
    ['-5', 200],
    ['1e9', 200],
    ['NaN', 200],
    ['0', 200],
    [undefined, 500],
    ['4', 500],
  ] as const;
  for (const [cost, status] of asked) await ask('/images/x', status, cost);
  await ask('/fixed/x', 200, undefined);
  await gate.ledger(asked.length + 1);
  await eventually(async () => {
    const rows = (await gate.ledger(1)).filter(({ operation }) => /route:(?:images|fixed)/.test(operation));
    expect(rows).toHaveLength(asked.length + 1);
    costs.splice(0, costs.length, ...rows.map(({ cost }) => cost?.units));
  });
  // Rows of one millisecond have no order.
  const counted = costs.map((units) => units ?? 0).toSorted((a, b) => a - b);
  expect(counted).toEqual([0, 0, 2, 3, 3, 4, 10, 10, 10, 10, 10]);
});

describe('reports', () => {
  test('name services beside models, with what they cost by unit', async () => {
    const answer = await fetch(`${gate.url}/management/v1/usage/report?by=model`, {
      headers: { 'x-api-key': operator },
    });
    const { items } = (await answer.json()) as { items: { group: string; units?: Record<string, number> }[] };
    const of = (group: string) => items.find((each) => each.group === group);
    expect(of('route:images')).toMatchObject({ requests: 10, units: { images: 59 } });
    expect(of('route:fixed')).toMatchObject({ requests: 1, units: { images: 3 } });
    expect(of('route:qdrant')).not.toHaveProperty('units');
    const day = await fetch(`${gate.url}/management/v1/usage/report?by=day`, { headers: { 'x-api-key': operator } });
    const days = ((await day.json()) as { items: { units?: Record<string, number> }[] }).items;
    expect(days.reduce((sum, { units }) => sum + (units?.['images'] ?? 0), 0)).toBe(62);
  });

  test('of the command line show them, too', async () => {
    const { out } = await sekisho(['usage', '--by', 'model'], { DATA_DIR: gate.dataDir });
    expect(out).toMatch(/route:images .* 59 images/);
    const rows = await sekisho(['usage', '--model', 'route:fixed'], { DATA_DIR: gate.dataDir });
    expect(rows.out).toMatch(/route:fixed .* 3 images/);
  });

  test('rows have their cost in the API and in CSV', async () => {
    const headers = { 'x-api-key': operator };
    const answer = await fetch(`${gate.url}/management/v1/usage?model=route:fixed`, { headers });
    expect(((await answer.json()) as { items: unknown[] }).items).toMatchObject([
      { operation: 'route:fixed', unit: 'images', units: 3 },
    ]);
    const csv = await (await fetch(`${gate.url}/management/v1/usage/export?by=model`, { headers })).text();
    expect(csv).toContain('""images"":59');
  });
});

describe('a limit on the cost of services', () => {
  const begun = async (terms: Readonly<Record<string, unknown>>, own: Readonly<Record<string, number>> = {}) => {
    const scopes = ['route:fixed', 'route:images', 'route:whisper'];
    const { account } = await gate.member({ waitingRequests: 100, scopes: ['inference', ...scopes], ...terms });
    return { account, ...(await gate.key({ account: account.name, scopes, limits: own })) };
  };
  interface Asked {
    readonly status: number;
    readonly headers: Headers;
    readonly body: string;
  }
  const ask = async (secret: string, path: string, method = 'GET'): Promise<Asked> => {
    const answer = await fetch(`${gate.url}${path}`, { method, headers: { 'x-api-key': secret } });
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  };
  const left = (answer: Asked, label: string): number =>
    Number(new RegExp(`"${label}";r=(\\d+)`).exec(answer.headers.get('ratelimit') ?? '')?.[1]);
  const statuses = (answers: readonly Asked[]) => Object.groupBy(answers, ({ status }) => String(status));

  test('lets parallel calls of one account have exactly what fits, however many there are', async () => {
    const { secret, account } = await begun({ unitsPerDay: 20 });
    const { secret: other } = await gate.key({ account: account.name, scopes: ['route:fixed', 'route:images'] });
    whisper.answer = (_, response) => void response.writeHead(200, { 'x-cost': '10' }).end();
    const fixed = await Promise.all(Array.from({ length: 60 }, (_, at) => ask(at % 2 ? secret : other, '/fixed/x')));
    // Six of three units each.
    expect(statuses(fixed)[200]).toHaveLength(6);
    expect(statuses(fixed)[429]).toHaveLength(54);
    const refused = statuses(fixed)[429]?.[0] as Asked;
    expect(JSON.parse(refused.body)).toMatchObject({
      error: {
        code: 'quota_exceeded',
        message: expect.stringMatching(
          /^This account may use 20 units a day; 18 are used and this call needs about 3\. /,
        ),
      },
    });
    expect(refused.headers.get('ratelimit-policy')).toContain('"units-day";q=20;w=86400;qu="units"');
    expect(left(refused, 'units-day')).toBe(2);
  });

  test('holds the cap of a cost that the service says, until it has said it', async () => {
    const { secret } = await begun({ unitsPerDay: 30 });
    const answers: (() => void)[] = [];
    whisper.answer = (_, response) => void answers.push(() => void response.writeHead(200, { 'x-cost': '2' }).end());
    const asked = Array.from({ length: 40 }, () => ask(secret, '/images/x'));
    let refused = 0;
    for (const each of asked) void each.then(({ status }) => (refused += status === 429 ? 1 : 0));
    await eventually(() => expect([refused, answers.length]).toEqual([37, 3]));
    for (const answer of answers) answer();
    expect(statuses(await Promise.all(asked))[200]).toHaveLength(3);
    // Two for each of the three, and the cap for this one.
    whisper.answer = (_, response) => void response.writeHead(200, { 'x-cost': '1' }).end();
    expect(left(await ask(secret, '/images/x'), 'units-day')).toBe(30 - 6 - 10);
  });

  test('of a key narrows that of its plan, is previewed, and is read back from the ledger', async () => {
    const { secret, id, account } = await begun({ unitsPerDay: 100 }, { unitsPerDay: 7 });
    const preview = async (question: object): Promise<Record<string, unknown>> => {
      const answer = await fetch(`${gate.url}/management/v1/preview`, {
        method: 'POST',
        headers: { 'x-api-key': operator, 'content-type': 'application/json' },
        body: JSON.stringify({ path: '/fixed', ...question }),
      });
      return (await answer.json()) as Record<string, unknown>;
    };
    const needs = (name: string, used: number, needed: number) => ({
      limits: expect.arrayContaining([expect.objectContaining({ name, used, needed })]),
    });
    whisper.answer = (_, response) => void response.end();
    expect(await preview({ account: account.name })).toMatchObject({ passes: true, ...needs('units-day', 0, 3) });
    for (const _ of [1, 2]) expect((await ask(secret, '/fixed/x')).status).toBe(200);
    expect(await preview({ key: id })).toMatchObject({ code: 'quota_exceeded', ...needs('key-units-day', 6, 3) });
    expect(await preview({ key: id, path: '/qdrant' })).toMatchObject({ passes: false, code: 'missing_scope' });
    const refused = await ask(secret, '/fixed/x');
    expect(JSON.parse(refused.body)).toMatchObject({
      error: {
        message: expect.stringMatching(
          /^This API key may use 7 units a day; 6 are used and this call needs about 3\. /,
        ),
      },
    });
    // Its first second costs two.
    expect((await ask(secret, '/whisper/x', 'POST')).status).toBe(429);
    await eventually(async () => {
      const [minutes, quarters] = await gate.manage((opened) =>
        Promise.all([
          opened.usageByMinute(Date.now() - 600_000, undefined, account.id),
          opened.usageByQuarter(account.id, 0, Date.now()),
        ]),
      );
      const sum = (buckets: readonly { units: number }[]): number => buckets.reduce((all, { units }) => all + units, 0);
      expect([sum(minutes), sum(quarters)]).toEqual([6, 6]);
    });
  });

  test('counts the seconds of a call when it has ended', async () => {
    const { secret } = await begun({ unitsPerDay: 3 });
    whisper.answer = (_, response) => void response.end();
    // Two for its first second, of three.
    const first = await ask(secret, '/whisper/x', 'POST');
    expect(first.status).toBe(200);
    expect(left(first, 'units-day')).toBe(1);
    const refused = await ask(secret, '/whisper/x', 'POST');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });
});
