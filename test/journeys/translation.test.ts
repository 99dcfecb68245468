// Calls for a model that servers of several kinds have: each server gets the call in its own words, and none that cannot serve it.
import { afterEach, expect, test } from 'vitest';
import { eventually, openGate, post, type TestGate } from '../gate.ts';
import { answerOf } from '../model-servers/generation.ts';
import { type Heard, type ImitatedServer, type Imitation, imitate, type Said } from '../model-servers/imitation.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

const words = {
  model: 'shared',
  reasoning: 'reasoning_content',
  usage: (completion: number) => ({ prompt_tokens: 9, completion_tokens: completion }),
} as const;

const messages = [{ role: 'user', content: 'x' }];
const call = { model: 'shared', messages, stream: false };

/** An Ollama with this model. */
const ollama = (model: string, answer: (heard: Heard) => Said | undefined = () => undefined): Imitation => ({
  missing: '{"error":"not found"}',
  answer(heard) {
    if (heard.url === '/api/tags') return { body: JSON.stringify({ models: [{ name: `${model}:latest`, model }] }) };
    if (heard.url === '/api/ps') return { body: '{"models":[]}' };
    const said = answer(heard);
    if (said) return said;
    if (heard.url !== '/api/chat') return undefined;
    const message = { role: 'assistant', content: 'native' };
    const last = JSON.stringify({ model, message, done: true, prompt_eval_count: 1, eval_count: 1 });
    if (heard.body['stream'] === false) return { body: last };
    return {
      type: 'application/x-ndjson',
      body: [`${JSON.stringify({ model, message, done: false })}\n`, `${last}\n`],
    };
  },
});

const list = JSON.stringify({ object: 'list', data: [{ id: 'shared', object: 'model', owned_by: 'vllm' }] });
const vllm = (answer: (heard: Heard) => Said | undefined = () => undefined): Imitation => ({
  missing: '{"detail":"Not Found"}',
  answer: (heard) =>
    answer(heard) ??
    answerOf(heard, words) ??
    (heard.url === '/v1/models' ? { body: list } : heard.url === '/health' ? { body: '' } : undefined),
});

interface Stage {
  readonly gate: TestGate;
  readonly secret: string;
  readonly servers: readonly ImitatedServer[];
  /** The bodies that the servers got, by the path. */
  readonly posts: (at: number) => readonly (readonly [string, unknown])[];
}

async function stage(imitations: readonly Imitation[], environment: Record<string, string> = {}): Promise<Stage> {
  const servers = await Promise.all(imitations.map(imitate));
  open.push(() => servers.map((server) => server.close()));
  const gate = await openGate(servers.map(({ url }) => url).join(), environment);
  open.push(() => gate.stop());
  const { secret } = await gate.key();
  await eventually(() => expect(gate.servers.all.map(({ kindName }) => kindName)).not.toContain(undefined));
  const posts = (at: number): [string, unknown][] =>
    (servers[at] as ImitatedServer).heard
      .filter(({ method, url }) => method === 'POST' && url !== '/api/show')
      .map(({ url, body }) => [url, body]);
  return { gate, secret, servers, posts };
}

const contentOf = async (answer: Response): Promise<unknown> =>
  ((await answer.json()) as { message?: { content: unknown } }).message?.content;

test('a server that has the route comes before one that needs a translation, whichever was named first', async () => {
  const { gate, secret, posts } = await stage([vllm(), ollama('shared')]);
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, call))).toBe('native');
  expect(posts(1)).toEqual([['/api/chat', call]]);
  expect(posts(0)).toEqual([]);
});

test('a call goes to the server that has the model, and is refused if that one cannot be asked for a field', async () => {
  const { gate, secret, posts } = await stage([ollama('other'), vllm()]);
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, call))).toBe('空は青い🌊');
  const refused = await post(`${gate.url}/api/chat`, secret, { ...call, options: { num_gpu: 1 } });
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('options.num_gpu')]);
  expect(posts(0)).toEqual([]);
  expect(posts(1)).toHaveLength(1);
});

test('a call that one server cannot be asked for goes to another that has the model', async () => {
  const { gate, secret, posts } = await stage([vllm(), ollama('shared')]);
  const asked = { ...call, options: { num_gpu: 1 } };
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, asked))).toBe('native');
  expect(posts(1)).toEqual([['/api/chat', asked]]);
});

test('a retry on another server is in the words of that server', async () => {
  const { gate, secret, servers, posts } = await stage([ollama('shared'), vllm()], { PROBE_SECONDS: '60' });
  // It is still thought to be up.
  servers[0]?.close();
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, call))).toBe('空は青い🌊');
  expect(posts(1)).toEqual([['/v1/chat/completions', call]]);
  expect(await gate.ledger(1)).toMatchObject([{ promptTokens: 9, completionTokens: 4, source: 'exact' }]);
});

test('and in the bytes of the caller where the other server has the route', async () => {
  const { gate, secret, servers, posts } = await stage([vllm(), ollama('shared')], { PROBE_SECONDS: '60' });
  const leave = await occupy(gate, secret, servers[1] as ImitatedServer, call);
  // The less busy one is tried first, and is still thought to be up.
  servers[0]?.close();
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, call))).toBe('native');
  expect(posts(1).at(-1)).toEqual(['/api/chat', call]);
  await leave();
});

/** A call that runs on the second server until it is left. */
async function occupy(
  gate: TestGate,
  secret: string,
  server: ImitatedServer,
  asked: object,
): Promise<() => Promise<void>> {
  server.state.isHeld = true;
  const over = new AbortController();
  const running = fetch(`${gate.url}/api/chat`, {
    method: 'POST',
    headers: { 'x-api-key': secret, 'content-type': 'application/json' },
    body: JSON.stringify({ ...asked, stream: true }),
    signal: over.signal,
  })
    .then((answer) => answer.text())
    .catch(() => undefined);
  await eventually(() => expect(gate.servers.all[1]?.inFlight).toBe(1));
  return async () => {
    over.abort();
    await running;
  };
}

test('a waiting call never gets the slot of a server that cannot serve it', async () => {
  const { gate, secret, servers, posts } = await stage([vllm(), ollama('shared')], { SLOTS: '1' });
  // Both can only go to the second server, whose only slot the first call has until it ends.
  const asked = { ...call, options: { num_gpu: 1 } };
  const leave = await occupy(gate, secret, servers[1] as ImitatedServer, asked);
  const second = post(`${gate.url}/api/chat`, secret, { ...asked, stream: false });
  await eventually(() => expect(gate.waiting()).toBe(1));
  // One that can be translated does not wait.
  expect(await contentOf(await post(`${gate.url}/api/chat`, secret, call))).toBe('空は青い🌊');
  expect(gate.waiting()).toBe(1);
  await leave();
  expect(await contentOf(await second)).toBe('native');
  expect(posts(0)).toHaveLength(1);
});

test('a server that refuses stream_options is asked again without, and counted as far as it says', async () => {
  const { gate, secret, posts } = await stage([
    vllm(({ body }) =>
      body['stream_options'] === undefined
        ? undefined
        : { status: 400, body: '{"error":{"message":"unknown field stream_options"}}' },
    ),
  ]);
  const answer = await post(`${gate.url}/api/chat`, secret, { ...call, stream: true });
  expect(await answer.text()).toContain('"done":true');
  expect(posts(0).map(([, body]) => body)).toEqual([
    { ...call, stream: true, stream_options: { include_usage: true } },
    { ...call, stream: true },
  ]);
  expect(await gate.ledger(1)).toMatchObject([{ source: 'estimated', outcome: 'completed' }]);
});

test('errors of a server are in the words of the caller, before an answer and in it', async () => {
  let said: Said = { status: 400, body: '{"error":{"message":"The prompt is too long.","type":"BadRequestError"}}' };
  const { gate, secret } = await stage([vllm(({ url }) => (url === '/v1/chat/completions' ? said : undefined))]);
  const ask = async (stream: boolean): Promise<unknown[]> => {
    const answer = await post(`${gate.url}/api/chat`, secret, { ...call, stream });
    const lines = (await answer.text().catch((error: unknown) => String(error))).trimEnd().split('\n');
    return [answer.status, ...lines.map((line) => (line.startsWith('{') ? (JSON.parse(line) as unknown) : line))];
  };
  expect(await ask(false)).toEqual([400, { error: 'The prompt is too long.' }]);
  // An error under a success status, as LM Studio answers.
  said = { body: '{"error":"no model is loaded"}' };
  expect(await ask(false)).toEqual([502, { error: 'no model is loaded' }]);
  expect(await ask(true)).toEqual([502, { error: 'no model is loaded' }]);
  said = { status: 404, body: '{"error":"x"}' };
  expect(await ask(false)).toEqual([404, { error: "model 'shared' not found" }]);
  said = {
    body: ['data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"broke"}}\n\n'],
  };
  expect(await ask(true)).toEqual([200, expect.objectContaining({ done: false }), { error: 'broke' }]);
  for (const body of ['no JSON', '{"choices":[]}', '[]', '{"choices":[{"message":{}},{"message":{}}]}']) {
    said = { body };
    expect(await ask(false), body).toEqual([502, expect.objectContaining({ code: 'upstream_failed' })]);
  }
  expect((await gate.ledger(9)).map(({ outcome }) => outcome).toSorted()).toEqual([
    ...Array.from({ length: 4 }, () => 'failed'),
    ...Array.from({ length: 5 }, () => 'upstream_error'),
  ]);
});
