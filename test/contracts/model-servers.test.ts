// What every kind of model server promises: it is recognized, its lists and states are read without waking or using a model,
// its streams are counted exactly wherever they report usage, a call ends when its caller leaves, and no key reaches more of
// it than the gate's own routes. One suite for all kinds; a kind says what differs.
import { afterEach, describe, expect, test } from 'vitest';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';
import { type ImitatedServer, type Imitation, imitate, type UsageForm } from '../model-servers/imitation.ts';
import { llamaRouter, llamaServer } from '../model-servers/llama-server.ts';
import { operatorOf } from '../visitor.ts';

interface Case {
  readonly name: string;
  readonly kind: string;
  readonly imitation: Imitation;
  readonly models: readonly string[];
  readonly loaded: readonly string[];
  /** The context of its first model. */
  readonly context: number | undefined;
  readonly slots: number | undefined;
  readonly queue: { readonly running: number; readonly waiting: number } | null;
  /** What the gate may ask it without a call: all of it only reads. */
  readonly looks: readonly string[];
  /** How a server of the kind that is starting is shown. */
  readonly starting: 'loading' | 'down';
  readonly chat: string;
  readonly streams: readonly (readonly [UsageForm, Partial<UsageRecord>])[];
  /** Fields that do not reach it as they were sent; null: emptied. */
  readonly bounded: readonly (readonly [name: string, sent: unknown, received: unknown])[];
  /** A route of the gate that such a server does not have. */
  readonly lacks: string;
  /** Its own routes that no key reaches. */
  readonly closed: readonly string[];
}

const shared = [
  '/tokenize',
  '/detokenize',
  '/metrics',
  '/health',
  '/slots',
  '/props',
  '/version',
  '/docs',
  '/openapi.json',
];

const llama = {
  kind: 'llama-server',
  starting: 'loading',
  chat: '/v1/chat/completions',
  streams: [
    ['last', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
    ['otherwise', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
    ['every', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
  ],
  bounded: [
    ['n_predict', -1, 100],
    ['max_tokens', 5_000, 100],
    ['max_completion_tokens', 5_000, 100],
    ['id_slot', 0, null],
    ['cache_prompt', false, null],
    ['n_cache_reuse', 1, null],
    ['n_keep', -1, null],
    ['lora', [{ id: 0, scale: 9 }], null],
    ['ignore_eos', true, null],
    ['reasoning_control', true, null],
    ['chat_template', '{{ x }}', null],
    ['n_probs', 100_000, 100],
  ],
  lacks: '/api/chat',
  closed: [
    ...shared,
    '/slots/0?action=erase',
    '/slots/0?action=save',
    '/completion',
    '/completions',
    '/chat/completions',
    '/v1/chat/completions/control',
    '/v1/chat/completions/input_tokens',
    '/v1/responses/input_tokens',
    '/v1/systemone',
    '/infill',
    '/embedding',
    '/embeddings',
    '/rerank',
    '/reranking',
    '/v1/rerank',
    '/v1/reranking',
    '/apply-template',
    '/lora-adapters',
    '/tools',
    '/mcp',
    '/cors-proxy',
    '/models',
    '/models/load',
    '/models/unload',
    '/models/sse',
    '/v1/health',
    '/predict',
  ],
} as const satisfies Partial<Case>;

const cases: readonly Case[] = [
  {
    ...llama,
    name: 'llama-server',
    imitation: llamaServer,
    models: ['tiny.gguf'],
    loaded: ['tiny.gguf'],
    context: 256,
    slots: 2,
    queue: { running: 2, waiting: 3 },
    looks: ['/api/tags', '/v1/models', '/props', '/metrics'],
  },
  {
    ...llama,
    name: 'llama-server as a router',
    imitation: llamaRouter,
    models: [
      'org/one-GGUF:Q4_K_M',
      'org/two-GGUF:Q4_K_M',
      'org/three-GGUF:Q4_K_M',
      'org/four-GGUF:Q4_K_M',
      'org/five-GGUF:Q4_K_M',
    ],
    loaded: ['org/one-GGUF:Q4_K_M'],
    context: 256,
    slots: undefined,
    queue: null,
    looks: ['/api/tags', '/v1/models', '/props', '/metrics'],
  },
];

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

interface Stage {
  readonly server: ImitatedServer;
  readonly gate: TestGate;
  readonly secret: string;
  readonly status: () => Promise<Record<string, unknown>>;
}

async function stage(
  imitation: Imitation,
  others: readonly string[] = [],
  environment: Record<string, string> = {},
): Promise<Stage> {
  const server = await imitate(imitation);
  open.push(() => server.close());
  const gate = await openGate([server.url, ...others].join(), { PROBE_SECONDS: '0.05', ...environment });
  open.push(() => gate.stop());
  const { secret } = await gate.key();
  const operator = await operatorOf(gate);
  const status = async (): Promise<Record<string, unknown>> => {
    const { body } = await operator.get('/status');
    return (body as { upstreams: Record<string, unknown>[] }).upstreams[0] as Record<string, unknown>;
  };
  return { server, gate, secret, status };
}

const codeOf = (answer: Response): string => `${answer.status} ${answer.headers.get('x-sekisho-error-code')}`;

describe.each(cases)('$name', (kind) => {
  const messages = [{ role: 'user', content: 'hi' }];
  const model = kind.models[0] as string;

  test('is recognized, and its models, slots and queue are known', async () => {
    const { gate, secret, status } = await stage(kind.imitation);
    await eventually(async () => expect(await status()).toMatchObject({ kind: kind.kind, queue: kind.queue }));
    const get = async (path: string): Promise<{ data: { id: string }[]; models: { name: string }[] }> =>
      (await (await fetch(gate.url + path, { headers: { 'x-api-key': secret } })).json()) as never;
    expect((await get('/v1/models')).data.map(({ id }) => id)).toEqual(kind.models);
    expect((await get('/api/tags')).models.map(({ name }) => name)).toEqual(kind.models);
    expect((await get('/api/ps')).models.map(({ name }) => name)).toEqual(kind.loaded);
    const [server] = gate.servers.all;
    const canonical = [...(server?.models.names ?? [])][0] as string;
    await eventually(() =>
      expect([server?.details.contextOf(canonical), server?.details.slotsOf(canonical)]).toEqual([
        kind.context,
        kind.slots,
      ]),
    );
  });

  test('is only read from by the gate itself, and a sleeping model goes on sleeping', async () => {
    const { server, status } = await stage(kind.imitation);
    server.state.sleeps = true;
    await eventually(async () => expect(await status()).toMatchObject({ kind: kind.kind }));
    const { length } = server.heard;
    await eventually(() => expect(server.heard.length).toBeGreaterThan(length + 12));
    const asked = new Set(server.heard.map(({ method, url }) => `${method} ${url}`));
    expect(kind.looks.map((path) => `GET ${path}`)).toEqual(expect.arrayContaining([...asked]));
    expect(server.state.sleeps).toBe(true);
  });

  test('is shown while it starts and when it fails, and calls go on once it is up', async () => {
    const { server, gate, secret, status } = await stage(kind.imitation);
    await eventually(async () => expect(await status()).toMatchObject({ state: 'up', up: true }));
    server.state.health = 'loading';
    await eventually(async () => expect(await status()).toMatchObject({ state: kind.starting, up: false }));
    expect((await fetch(`${gate.url}/readyz`)).status).toBe(503);
    server.state.health = 'failed';
    await eventually(async () => expect(await status()).toMatchObject({ state: 'down', up: false }));
    server.state.health = 'up';
    await eventually(async () => expect(await status()).toMatchObject({ state: 'up', kind: kind.kind }));
    expect((await post(gate.url + kind.chat, secret, { model, messages, stream: true, max_tokens: 9 })).status).toBe(
      200,
    );
  });

  test.each(kind.streams)('counts a stream with usage %s exactly', async (usage, expected) => {
    const { server, gate, secret } = await stage(kind.imitation);
    server.state.usage = usage;
    const answer = await post(gate.url + kind.chat, secret, { model, messages, stream: true, max_tokens: 9 });
    await answer.text();
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'completed', ...expected }]);
  });

  test('stops working on a call whose caller has hung up', async () => {
    const { server, gate, secret } = await stage(kind.imitation);
    server.state.isHeld = true;
    const client = new RawClient(gate.port);
    const body = JSON.stringify({ model, messages, stream: true, max_tokens: 9 });
    client.write(
      `POST ${kind.chat} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\ncontent-type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await client.until('HTTP/1.1 200');
    client.socket.resetAndDestroy();
    await server.abandoned;
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'client_closed' }]);
  });

  test('gets no field with which one caller disturbs others', async () => {
    const { server, gate } = await stage(kind.imitation);
    const { secret } = await gate.member({
      maxOutputTokens: 100,
      reloadOptions: 'strip',
      templates: 'strip',
      debugFields: 'strip',
    });
    for (const [name, sent, received] of kind.bounded) {
      const answer = await post(gate.url + kind.chat, secret, { model, messages, stream: true, [name]: sent });
      await answer.text();
      expect(answer.status, name).toBe(200);
      expect(server.heard.findLast(({ method }) => method === 'POST')?.body[name], name).toEqual(received);
      expect(answer.headers.get('x-sekisho-changed'), name).toContain(name);
    }
  });

  test('does not get a call for a route that it lacks; another server that has it does', async () => {
    const { server, gate, secret, status } = await stage(kind.imitation);
    await eventually(async () => expect(await status()).toMatchObject({ kind: kind.kind }));
    const call = { model, messages, stream: false, max_tokens: 9 };
    const refused = await post(gate.url + kind.lacks, secret, call);
    expect(codeOf(refused)).toBe('501 upstream_lacks_route');
    expect(await refused.text()).toContain('No model server has this route');
    const able = await imitate({
      missing: '{}',
      answer: ({ url }) => ({
        body: url === '/api/tags' ? '{"models":[]}' : '{"done":true,"prompt_eval_count":1,"eval_count":1,"usage":{}}',
      }),
    });
    open.push(() => able.close());
    gate.servers.add(new URL(able.url));
    expect((await post(gate.url + kind.lacks, secret, call)).status).toBe(200);
    expect(server.heard.some(({ url }) => url === kind.lacks)).toBe(false);
  });

  test('shows no key its own routes', async () => {
    const { server, gate, secret } = await stage(kind.imitation);
    const forms = (path: string): string[] => [path, `/v1/..${path}`, `/v1/models/..${path}`, `/api/%2e%2e${path}`];
    const before = server.heard.length;
    for (const path of kind.closed)
      for (const target of [...forms(path), `/k/${secret}${path}`])
        for (const method of ['GET', 'POST']) {
          const client = new RawClient(gate.port);
          client.write(
            `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: ${secret}\r\nContent-Length: 2\r\n\r\n{}`,
          );
          await client.closed;
          // The gate has a /health and a /metrics of no one; its page answers only GET / itself.
          expect(client.text.slice(0, 13), `${method} ${target}`).toMatch(/^HTTP\/1\.1 4\d\d/);
        }
    const reached = server.heard.slice(before).filter(({ headers }) => headers['via'] !== undefined);
    expect(reached).toEqual([]);
  });
});
