// What every kind of model server promises: it is recognized, its lists and states are read without waking or using a model,
// its streams are counted exactly wherever they report usage, a call ends when its caller leaves, and no key reaches more of
// it than the gate's own routes. One suite for all kinds; a kind says what differs.
import { afterEach, describe, expect, test } from 'vitest';
import { scopes } from '../../src/domain/scope.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';
import { anthropic } from '../model-servers/anthropic.ts';
import { closed } from '../model-servers/closed.ts';
import { type ImitatedServer, type Imitation, imitate, type Said, type UsageForm } from '../model-servers/imitation.ts';
import { llamaRouter, llamaServer } from '../model-servers/llama-server.ts';
import { lmstudio } from '../model-servers/lmstudio.ts';
import { openai } from '../model-servers/openai.ts';
import { sglang } from '../model-servers/sglang.ts';
import { vllm } from '../model-servers/vllm.ts';
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
  /** A route of the gate that such a server does not have; undefined for a kind whose servers differ. */
  readonly lacks: string | undefined;
}

/** A usage counts wherever it stands, and only once: the last. Without one, the pieces count. */
function reported(cacheReadTokens: number, reasoningTokens: number): Case['streams'] {
  const exact = { promptTokens: 9, completionTokens: 4, cacheReadTokens, reasoningTokens, source: 'exact' } as const;
  const counted = { completionTokens: 5, cacheReadTokens: 0, reasoningTokens: 0, source: 'estimated' } as const;
  return [
    ['last', exact],
    ['every', exact],
    ['finish', exact],
    ['null then last', exact],
    ['after an error', { ...exact, outcome: 'upstream_error' }],
    ['none', counted],
    ['null', counted],
  ];
}

const llama = {
  kind: 'llama-server',
  starting: 'loading',
  chat: '/v1/chat/completions',
  streams: [
    ['last', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
    ['otherwise', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
    ['every', { promptTokens: 56, completionTokens: 4, cacheReadTokens: 55, source: 'exact' }],
    ['none', { completionTokens: 4, cacheReadTokens: 0, source: 'estimated' }],
    ['after an error', { promptTokens: 56, cacheReadTokens: 55, source: 'exact', outcome: 'upstream_error' }],
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
  lacks: '/api/me',
} as const satisfies Partial<Case>;

const claude = {
  promptTokens: 9,
  completionTokens: 4,
  cacheReadTokens: 6,
  cacheWriteTokens: 2,
  reasoningTokens: 3,
  source: 'exact',
} as const;

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
  {
    name: 'vllm',
    kind: 'vllm',
    imitation: vllm,
    models: ['Qwen/Qwen3-8B'],
    loaded: ['Qwen/Qwen3-8B'],
    context: 40_960,
    slots: undefined,
    queue: { running: 2, waiting: 3 },
    looks: ['/api/tags', '/v1/models', '/health', '/metrics'],
    starting: 'down',
    chat: '/v1/chat/completions',
    streams: reported(8, 2),
    bounded: [
      ['max_tokens', 5_000, 100],
      ['ignore_eos', true, null],
      ['min_tokens', 5_000, null],
      ['priority', -9, null],
      ['request_id', 'other', null],
      ['prompt_logprobs', -1, null],
      ['kv_transfer_params', { remote_host: 'x' }, null],
      ['mm_processor_kwargs', { a: 1 }, null],
      ['chat_template', '{{ x }}', null],
    ],
    lacks: '/api/me',
  },
  {
    name: 'sglang',
    kind: 'sglang',
    imitation: sglang,
    models: ['Qwen/Qwen3-8B'],
    loaded: ['Qwen/Qwen3-8B'],
    context: 40_960,
    slots: undefined,
    queue: { running: 2, waiting: 3 },
    // Its /health has a token generated.
    looks: ['/api/tags', '/v1/models', '/metrics'],
    starting: 'down',
    chat: '/v1/chat/completions',
    streams: reported(8, 2),
    bounded: [
      ['max_tokens', 5_000, 100],
      ['max_new_tokens', 5_000, 100],
      ['ignore_eos', true, null],
      ['min_tokens', 5_000, null],
      ['lora_path', '/x', null],
      ['custom_logit_processor', 'x', null],
      ['bootstrap_host', 'x', null],
      ['session_params', { id: 'x' }, null],
      ['rid', 'x', null],
      ['return_hidden_states', true, null],
    ],
    lacks: '/api/me',
  },
  {
    name: 'lmstudio',
    kind: 'lmstudio',
    imitation: lmstudio,
    models: ['gemma-3-270m-it-qat', 'text-embedding-nomic-embed-text-v1.5-embedding'],
    loaded: ['gemma-3-270m-it-qat'],
    context: 4096,
    slots: undefined,
    queue: null,
    looks: ['/api/tags', '/v1/models', '/api/v1/models'],
    starting: 'down',
    chat: '/v1/chat/completions',
    streams: reported(0, 2),
    bounded: [
      ['max_tokens', 5_000, 100],
      ['ttl', 1, null],
      ['draft_model', 'x', null],
    ],
    lacks: '/api/me',
  },
  {
    name: 'anthropic',
    kind: 'anthropic',
    imitation: anthropic,
    models: ['claude-opus-4-6'],
    loaded: [],
    context: undefined,
    slots: undefined,
    queue: null,
    looks: ['/api/tags', '/v1/models', '/api/v1/models', '/v1/models?limit=1000'],
    starting: 'down',
    chat: '/v1/messages',
    streams: [
      ['last', claude],
      ['every', claude],
      ['after an error', { ...claude, outcome: 'upstream_error' }],
      ['none', { completionTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, source: 'estimated' }],
    ],
    bounded: [
      ['max_tokens', 5_000, 100],
      ['mcp_servers', [{ type: 'url', url: 'http://x' }], null],
      ['container', 'x', null],
      ['service_tier', 'priority', null],
    ],
    lacks: '/api/me',
  },
  {
    name: 'openai',
    kind: 'openai',
    imitation: openai,
    models: ['gpt-5.4-mini'],
    loaded: [],
    context: undefined,
    slots: undefined,
    queue: null,
    looks: ['/api/tags', '/v1/models', '/api/v1/models', '/v1/models?limit=1000'],
    starting: 'down',
    chat: '/v1/chat/completions',
    streams: reported(8, 2),
    bounded: [
      ['max_tokens', 5_000, 100],
      ['max_completion_tokens', 5_000, 100],
      ['service_tier', 'priority', null],
    ],
    lacks: undefined,
  },
];

/** Whole answers of a chat: with the usage of the stream, without any, and an error. */
function wholes({ kind, streams }: Case): readonly (readonly [name: string, said: Said, row: Partial<UsageRecord>])[] {
  const [[, exact]] = streams as [Case['streams'][number]];
  const { promptTokens, completionTokens, cacheReadTokens, cacheWriteTokens = 0, reasoningTokens = 0 } = exact;
  const isAnthropic = kind === 'anthropic';
  const usage = isAnthropic
    ? {
        input_tokens: Number(promptTokens) - Number(cacheReadTokens) - cacheWriteTokens,
        cache_creation_input_tokens: cacheWriteTokens,
        cache_read_input_tokens: cacheReadTokens,
        output_tokens: completionTokens,
        output_tokens_details: { thinking_tokens: reasoningTokens },
      }
    : {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        prompt_tokens_details: { cached_tokens: cacheReadTokens },
        completion_tokens_details: { reasoning_tokens: reasoningTokens },
      };
  const message = isAnthropic
    ? { type: 'message', role: 'assistant', content: [{ type: 'text', text: 'abc' }], stop_reason: 'end_turn' }
    : { choices: [{ index: 0, message: { role: 'assistant', content: 'abc' }, finish_reason: 'stop' }] };
  const body = (more: object): string => JSON.stringify({ id: 'x', ...message, ...more });
  const nothing = { promptTokens: 0, completionTokens: 0, cacheReadTokens: 0, reasoningTokens: 0 };
  return [
    ['with usage', { body: body({ usage }) }, { ...exact, outcome: 'completed' }],
    ['without usage', { body: body({}) }, { source: 'estimated', outcome: 'completed', cacheReadTokens: 0 }],
    ['with usage null', { body: body({ usage: null }) }, { source: 'estimated', outcome: 'completed' }],
    [
      'an error',
      { status: 400, body: '{"error":{"type":"invalid_request_error","message":"engine failed"}}' },
      { ...nothing, source: 'none', outcome: 'upstream_error', status: 400 },
    ],
  ];
}

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

/** Clients of Anthropic's API send it; to others it does not matter. */
const version = { 'anthropic-version': '2023-06-01' };

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
    expect(
      (await post(gate.url + kind.chat, secret, { model, messages, stream: true, max_tokens: 9 }, version)).status,
    ).toBe(200);
  });

  test.each(kind.streams)('counts a stream with usage %s exactly', async (usage, expected) => {
    const { server, gate, secret } = await stage(kind.imitation);
    server.state.usage = usage;
    const answer = await post(gate.url + kind.chat, secret, { model, messages, stream: true, max_tokens: 9 }, version);
    await answer.text();
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'completed', ...expected }]);
  });

  test('counts whole answers exactly, whatever they say of their usage', async () => {
    const { server, gate, secret } = await stage(kind.imitation);
    for (const [index, [name, said, expected]] of wholes(kind).entries()) {
      server.state.chat = said;
      const answer = await post(gate.url + kind.chat, secret, { model, messages, max_tokens: 9 }, version);
      expect([name, await answer.text()]).toEqual([name, expect.stringContaining(said.status ? 'failed' : 'abc')]);
      const rows = await gate.ledger(index + 1);
      expect([name, rows.at(-1)]).toMatchObject([name, expected]);
    }
  });

  test('loses no call that follows a stream', async () => {
    const { gate, secret } = await stage(kind.imitation, [], { PROBE_SECONDS: '60' });
    for (let i = 0; i < 20; i++) {
      const answer = await post(
        gate.url + kind.chat,
        secret,
        { model, messages, stream: true, max_tokens: 9 },
        version,
      );
      expect([answer.status, (await answer.text()).length > 0]).toEqual([200, true]);
    }
  });

  test('stops working on a call whose caller has hung up', async () => {
    const { server, gate, secret } = await stage(kind.imitation);
    server.state.isHeld = true;
    const client = new RawClient(gate.port);
    const body = JSON.stringify({ model, messages, stream: true, max_tokens: 9 });
    client.write(
      `POST ${kind.chat} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nanthropic-version: 2023-06-01\r\ncontent-type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
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
      const answer = await post(gate.url + kind.chat, secret, { model, messages, stream: true, [name]: sent }, version);
      await answer.text();
      expect(answer.status, name).toBe(200);
      expect(server.heard.findLast(({ method }) => method === 'POST')?.body[name], name).toEqual(received);
      expect(answer.headers.get('x-sekisho-changed'), name).toContain(name);
    }
  });

  const { lacks } = kind;
  if (lacks === undefined) return;
  test('does not get a call for a route that it lacks; another server that has it does', async () => {
    const { server, gate, status } = await stage(kind.imitation);
    const { secret } = await gate.key({ scopes: ['inference:chat', 'account'] });
    await eventually(async () => expect(await status()).toMatchObject({ kind: kind.kind }));
    const call = { model, messages, stream: false, max_tokens: 9 };
    const refused = await post(gate.url + lacks, secret, call);
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
    expect((await post(gate.url + lacks, secret, call)).status).toBe(200);
    expect(server.heard.some(({ url }) => url === lacks)).toBe(false);
  });
});

test('no key reaches what else a model server has, however the path is written', async () => {
  const servers = await Promise.all([...new Set(cases.map(({ imitation }) => imitation))].map(imitate));
  for (const server of servers) open.push(() => server.close());
  const gate = await openGate(servers.map(({ url }) => url).join(), { PROBE_SECONDS: '600' });
  open.push(() => gate.stop());
  const { secret } = await gate.key({ scopes: [...scopes] });
  const before = servers.map(({ heard }) => heard.length);
  const paths = new Set(Object.values(closed).flatMap(({ see, generate, steer }) => [...see, ...generate, ...steer]));
  const forms = (path: string): string[] => [
    `/v1/..${path}`,
    `/v1/models/..${path}`,
    `/api/%2e%2e${path}`,
    `//x${path}`,
  ];
  const targets = [...paths].flatMap((template, at) => {
    const path = template.replace('{id}', 'resp_1');
    // The ways to write a path are the same for all of them.
    return [path, `/k/${secret}${path}`, ...(at < 12 ? forms(path) : [])];
  });
  const ask = async (method: string, target: string): Promise<void> => {
    const client = new RawClient(gate.port);
    client.write(
      `${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nx-api-key: ${secret}\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await client.closed;
    expect(client.text.slice(0, 13), `${method} ${target}`).toMatch(/^HTTP\/1\.1 4\d\d/);
  };
  for (const target of targets) await Promise.all(['GET', 'POST', 'DELETE'].map((method) => ask(method, target)));
  const reached = servers.flatMap(({ heard }, at) =>
    heard.slice(before[at]).filter(({ headers }) => headers['via'] !== undefined),
  );
  expect(reached).toEqual([]);
});
