// What fake-ollama says by default: the answers of a real Ollama 0.33.0 (test/fixtures), with figures that follow from
// the request, so that a ledger can be held against them. Bodies are read as Go reads them: keys in any case, the last
// one wins, whatever follows the first value is ignored.
import { createHash } from 'node:crypto';
import type { Answer, FakeOllama, FakeRequest, Script } from './fake-ollama.ts';

const json = { 'Content-Type': 'application/json; charset=utf-8' };
/** Ollama's /v1 middleware writes JSON without the charset, and with a line feed after it. */
const v1Json = { 'Content-Type': 'application/json' };
const ndjson = { 'Content-Type': 'application/x-ndjson' };
const events = { 'Content-Type': 'text/event-stream' };
const namedEvents = { 'Cache-Control': 'no-cache', Connection: 'keep-alive', 'Content-Type': 'text/event-stream' };
const text = { 'Content-Type': 'text/plain' };

interface Call {
  readonly request: FakeRequest;
  readonly answer: Answer;
  readonly fake: FakeOllama;
  readonly body: Record<string, unknown>;
}
type Route = (call: Call) => void | Promise<void>;

/** One JSON value of a text, keys folded to lower case at the top level, the last of a kind winning, as Go does. */
export function goStyleParse(source: string): Record<string, unknown> {
  for (let end = source.indexOf('}') + 1; end > 0; end = source.indexOf('}', end) + 1) {
    try {
      const entries: [string, unknown][] = [];
      // A reviver sees each key once; duplicates are gone by then, and JSON.parse keeps the last, as Go does.
      const value = JSON.parse(source.slice(0, end)) as Record<string, unknown>;
      for (const [key, inner] of Object.entries(value)) entries.push([key.toLowerCase().replaceAll('ſ', 's'), inner]);
      return Object.fromEntries(entries);
    } catch {
      // Not the end of the value yet.
    }
  }
  throw new SyntaxError('unexpected EOF');
}

const routes: Record<string, Route> = {
  'GET /': ({ answer }) => answer.whole(200, { 'Content-Type': 'text/plain; charset=utf-8' }, 'Ollama is running'),
  'HEAD /': ({ answer }) => answer.whole(200, { 'Content-Type': 'text/plain; charset=utf-8' }, 'Ollama is running'),
  'GET /api/version': ({ answer }) => answer.whole(200, json, '{"version":"0.33.0"}'),
  'HEAD /api/version': ({ answer }) => answer.whole(200, json, '{"version":"0.33.0"}'),
  'GET /api/status': ({ answer }) => answer.whole(200, json, '{"cloud":{"disabled":true,"source":"env"}}'),
  'GET /api/tags': listModels,
  'HEAD /api/tags': listModels,
  'GET /api/ps': listModels,
  'POST /api/show': withModel(({ answer }) =>
    answer.whole(
      200,
      json,
      '{"modelfile":"# Modelfile","template":"{{ .Prompt }}","details":{"family":"gemma3"},"capabilities":["completion"]}',
    ),
  ),
  'POST /api/chat': withModel((call) => generate(call, 'message')),
  'POST /api/generate': withModel((call) => generate(call, 'response')),
  'POST /api/embed': withModel(embed),
  'POST /api/embeddings': withModel(({ answer }) => answer.whole(200, json, '{"embedding":[0.1,0.2,0.3]}')),
  'POST /api/pull': progress,
  'POST /api/push': progress,
  'POST /api/create': progress,
  'POST /api/copy': ({ answer }) => answer.whole(200, {}, ''),
  'DELETE /api/delete': withModel(({ answer }) => answer.whole(200, {}, '')),
  'POST /api/me': ({ answer }) =>
    answer.whole(401, json, '{"error":"unauthorized","signin_url":"https://ollama.com/connect?name=operator"}'),
  'POST /api/signout': ({ answer }) => answer.whole(200, json, 'null'),
  'GET /v1/models': ({ answer, fake }) =>
    answer.whole(
      200,
      v1Json,
      `${JSON.stringify({ object: 'list', data: fake.models.map(({ name }) => ({ id: name, object: 'model', created: 1795437107, owned_by: 'library' })) })}\n`,
    ),
  'POST /v1/chat/completions': withModel(chatCompletions),
  'POST /v1/completions': withModel(completions),
  'POST /v1/embeddings': withModel(({ answer, body, fake }) => {
    const promptTokens = countTokens(body['input']);
    fake.totals.promptTokens += promptTokens;
    const embedding =
      body['encoding_format'] === 'base64'
        ? Buffer.from(Float32Array.of(0.1, 0.2).buffer).toString('base64')
        : [0.1, 0.2];
    answer.whole(
      200,
      v1Json,
      `${JSON.stringify({ object: 'list', data: [{ object: 'embedding', embedding, index: 0 }], model: body['model'], usage: { prompt_tokens: promptTokens, total_tokens: promptTokens } })}\n`,
    );
  }),
  'POST /v1/responses': withModel(responses),
  'POST /v1/messages': withModel(messages),
  'POST /v1/audio/transcriptions': ({ answer }) => answer.whole(200, v1Json, '{"text":"hello"}\n'),
};

export const defaultAnswer: Script = async (request, answer, fake) => {
  const path = request.url.split('?')[0] as string;
  const route = routes[`${request.method} ${path}`] ?? parametric(request, path);
  if (!route) {
    const known = Object.keys(routes).filter((key) => key.endsWith(` ${path}`));
    if (known.length > 0)
      answer.whole(405, { Allow: known.map((key) => key.split(' ')[0]).join(', '), ...text }, '405 method not allowed');
    else answer.whole(404, text, '404 page not found');
    return;
  }
  const source =
    path.startsWith('/api/blobs/') || path.includes('/audio/') ? '' : (await request.body).toString('utf8');
  let body: Record<string, unknown> = {};
  if (
    request.method !== 'GET' &&
    request.method !== 'HEAD' &&
    path !== '/api/me' &&
    path !== '/api/signout' &&
    !path.startsWith('/api/blobs/') &&
    !path.includes('/audio/')
  ) {
    if (source === '') return fail({ request, answer, fake, body }, 400, 'missing request body');
    try {
      body = goStyleParse(source);
    } catch (error) {
      return fail({ request, answer, fake, body }, 400, (error as Error).message);
    }
  }
  await route({ request, answer, fake, body });
};

function parametric(request: FakeRequest, path: string): Route | undefined {
  const model = /^\/v1\/models\/([^/]+)$/.exec(path)?.[1];
  if (model !== undefined && request.method === 'GET') {
    return (call) => {
      if (!hasModel(call.fake, model)) return fail(call, 404, `model '${model}' not found`);
      return call.answer.whole(
        200,
        v1Json,
        `{"id":"${model}","object":"model","created":1795437107,"owned_by":"library"}\n`,
      );
    };
  }
  const digest = /^\/api\/blobs\/(sha256[:-][0-9a-f]{64})$/.exec(path)?.[1];
  if (digest === undefined) return undefined;
  if (request.method === 'HEAD')
    return ({ answer, fake }) =>
      fake.blobs.has(digest)
        ? answer.whole(200, {}, '')
        : answer.whole(404, json, `{"error":"blob ${digest} not found"}`);
  return request.method === 'POST' ? (call) => takeBlob(call, digest) : undefined;
}

async function takeBlob({ request, answer, fake }: Call, digest: string): Promise<void> {
  const bytes = await request.body;
  const got = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  if (got !== digest.replace('-', ':'))
    return answer.whole(400, json, JSON.stringify({ error: `digest mismatch, expected "${digest}", got "${got}"` }));
  const status = fake.blobs.has(digest) ? 200 : 201;
  fake.blobs.set(digest, bytes.length);
  return answer.whole(status, {}, '');
}

/** 400 without a model, 404 for one that is not there, in the words of each route. */
function withModel(route: Route): Route {
  return (call) => {
    const { body, fake, request } = call;
    const model = body['model'] ?? body['name'];
    if (typeof model !== 'string' || model === '') return fail(call, 400, 'model is required');
    if (!hasModel(fake, model))
      return fail(
        call,
        404,
        request.url.startsWith('/api/embed')
          ? `model "${model}" not found, try pulling it first`
          : `model '${model}' not found`,
      );
    return route(call);
  };
}

function hasModel(fake: FakeOllama, name: string): boolean {
  const normal = (spelled: string): string => {
    const rest = spelled
      .trim()
      .toLowerCase()
      .replace(/^https?:\/\//, '')
      .replace(/^registry\.ollama\.ai\//, '')
      .replace(/^library\//, '');
    return rest.includes(':') ? rest : `${rest}:latest`;
  };
  return fake.models.some((model) => normal(model.name) === normal(name));
}

function fail({ request, answer }: Call, status: number, message: string): void {
  const type = status === 400 ? 'invalid_request_error' : status === 404 ? 'not_found_error' : 'api_error';
  if (request.url.startsWith('/v1/messages'))
    answer.whole(
      status,
      v1Json,
      `${JSON.stringify({ type: 'error', error: { type, message }, request_id: 'req_68333416687b3fb05ad27fa5' })}\n`,
    );
  else if (request.url.startsWith('/v1/'))
    answer.whole(status, v1Json, `${JSON.stringify({ error: { message, type, param: null, code: null } })}\n`);
  else answer.whole(status, json, JSON.stringify({ error: message }));
}

function listModels({ request, answer, fake }: Call): void {
  const running =
    request.url === '/api/ps'
      ? { expires_at: '2026-11-23T12:37:47Z', size_vram: 0 }
      : { modified_at: '2026-11-23T12:31:47.746405831Z' };
  const models = fake.models.map(({ name, remoteHost }) => ({
    name,
    model: name,
    ...running,
    size: 253113600,
    digest: '5318',
    ...(remoteHost === undefined ? {} : { remote_host: remoteHost, remote_model: name }),
  }));
  answer.whole(200, json, JSON.stringify({ models }));
}

/** A stable stand-in for a tokenizer. */
function countTokens(prompt: unknown): number {
  return 8 + JSON.stringify(prompt ?? '').split(/\s+/).length;
}

/** Counts a prompt at once and each piece as it goes out; stops where nobody listens. Gives what was generated. */
async function emit(
  { fake, request }: Call,
  promptTokens: number,
  send: (piece: string, index: number) => Promise<boolean>,
): Promise<number> {
  fake.totals.promptTokens += promptTokens;
  let written = 0;
  for (const [index, piece] of fake.pieces.entries()) {
    if (request.state.aborted) break;
    if (fake.pieceDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, fake.pieceDelayMs));
    if (!(await send(piece, index))) break;
    written++;
    fake.totals.completionTokens++;
  }
  return written;
}

async function generate(call: Call, field: 'message' | 'response'): Promise<void> {
  const { answer, body, fake } = call;
  const { model } = body;
  const prompt = field === 'message' ? body['messages'] : body['prompt'];
  const of = (content: string): object =>
    field === 'message' ? { message: { role: 'assistant', content } } : { response: content };
  const head = { model, created_at: '2026-11-23T12:32:47.893095455Z' };
  if (prompt === undefined || prompt === '' || (Array.isArray(prompt) && prompt.length === 0)) {
    return answer.whole(
      200,
      json,
      JSON.stringify({ ...head, ...of(''), done: true, done_reason: body['keep_alive'] === 0 ? 'unload' : 'load' }),
    );
  }
  const promptTokens = countTokens(prompt);
  const last = (count: number): object => ({
    done: true,
    done_reason: 'stop',
    total_duration: 104395654,
    load_duration: 2867126,
    prompt_eval_count: promptTokens,
    prompt_eval_duration: 19567000,
    eval_count: count,
    eval_duration: 79156000,
  });
  if (body['stream'] === false) {
    const count = await emit(call, promptTokens, () => Promise.resolve(true));
    return answer.whole(200, json, JSON.stringify({ ...head, ...of(fake.pieces.join('')), ...last(count) }));
  }
  answer.head(200, ndjson);
  const count = await emit(call, promptTokens, (piece) =>
    answer.chunk(`${JSON.stringify({ ...head, ...of(piece), done: false })}\n`),
  );
  await answer.chunk(`${JSON.stringify({ ...head, ...of(''), ...last(count) })}\n`);
  return answer.end();
}

function embed({ answer, body, fake }: Call): void {
  const input = Array.isArray(body['input']) ? body['input'] : [body['input']];
  const promptTokens = countTokens(input);
  fake.totals.promptTokens += promptTokens;
  answer.whole(
    200,
    json,
    JSON.stringify({
      model: body['model'],
      embeddings: input.map(() => [0.1, 0.2, 0.3]),
      total_duration: 1,
      load_duration: 1,
      prompt_eval_count: promptTokens,
    }),
  );
}

async function progress({ answer, body }: Call): Promise<void> {
  if (body['stream'] === false) return answer.whole(200, json, '{"status":"success"}');
  answer.head(200, ndjson);
  for (const status of ['pulling manifest', 'verifying sha256 digest', 'writing manifest', 'success'])
    await answer.chunk(`{"status":"${status}"}\n`);
  return answer.end();
}

const wantsUsage = (body: Record<string, unknown>): boolean =>
  (body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true;

async function chatCompletions(call: Call): Promise<void> {
  const { answer, body, fake } = call;
  const promptTokens = countTokens(body['messages']);
  const usage = (count: number): object => ({
    prompt_tokens: promptTokens,
    completion_tokens: count,
    total_tokens: promptTokens + count,
  });
  const head = {
    id: 'chatcmpl-629',
    object: 'chat.completion.chunk',
    created: 1795437168,
    model: body['model'],
    system_fingerprint: 'fp_ollama',
  };
  if (body['stream'] !== true) {
    const count = await emit(call, promptTokens, () => Promise.resolve(true));
    const choices = [
      { index: 0, message: { role: 'assistant', content: fake.pieces.join('') }, finish_reason: 'stop' },
    ];
    return answer.whole(
      200,
      v1Json,
      `${JSON.stringify({ ...head, id: 'chatcmpl-256', object: 'chat.completion', choices, usage: usage(count) })}\n`,
    );
  }
  answer.head(200, events);
  const count = await emit(call, promptTokens, (content, index) =>
    answer.chunk(
      `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: index === 0 ? { role: 'assistant', content } : { content }, finish_reason: null }] })}\n\n`,
    ),
  );
  const finish = `data: ${JSON.stringify({ ...head, choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}\n\n`;
  const counted = wantsUsage(body) ? `data: ${JSON.stringify({ ...head, choices: [], usage: usage(count) })}\n\n` : '';
  // The last events leave Ollama in one write.
  await answer.chunk(`${finish}${counted}data: [DONE]\n\n`);
  return answer.end();
}

async function completions(call: Call): Promise<void> {
  const { answer, body, fake } = call;
  const promptTokens = countTokens(body['prompt']);
  const usage = (count: number): object => ({
    prompt_tokens: count === 0 ? 0 : promptTokens,
    completion_tokens: count,
    total_tokens: count === 0 ? 0 : promptTokens + count,
  });
  const head = { id: 'cmpl-919', object: 'text_completion', created: 1795437168 };
  const tail = { model: body['model'], system_fingerprint: 'fp_ollama' };
  if (body['stream'] !== true) {
    const count = await emit(call, promptTokens, () => Promise.resolve(true));
    return answer.whole(
      200,
      v1Json,
      `${JSON.stringify({ ...head, ...tail, choices: [{ text: fake.pieces.join(''), index: 0, finish_reason: 'stop' }], usage: usage(count) })}\n`,
    );
  }
  const zero = wantsUsage(body) ? { usage: usage(0) } : {};
  answer.head(200, events);
  const count = await emit(call, promptTokens, (piece) =>
    answer.chunk(
      `data: ${JSON.stringify({ ...head, choices: [{ text: piece, index: 0, finish_reason: null }], ...tail, ...zero })}\n\n`,
    ),
  );
  const finish = `data: ${JSON.stringify({ ...head, choices: [{ text: '', index: 0, finish_reason: 'stop' }], ...tail, ...zero })}\n\n`;
  const counted = wantsUsage(body)
    ? `data: ${JSON.stringify({ ...head, choices: [], ...tail, usage: usage(count) })}\n\n`
    : '';
  await answer.chunk(`${finish}${counted}data: [DONE]\n\n`);
  return answer.end();
}

const event = (data: { type: string }): string => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

async function responses(call: Call): Promise<void> {
  const { answer, body, fake } = call;
  const promptTokens = countTokens(body['input']);
  const whole = (status: string, count: number | null): object => ({
    id: 'resp_99208',
    object: 'response',
    created_at: 1795437169,
    status,
    model: body['model'],
    output:
      count === null
        ? []
        : [
            {
              id: 'msg_607995',
              type: 'message',
              status: 'completed',
              role: 'assistant',
              content: [{ type: 'output_text', text: fake.pieces.join(''), annotations: [], logprobs: [] }],
            },
          ],
    usage:
      count === null
        ? null
        : {
            input_tokens: promptTokens,
            output_tokens: count,
            total_tokens: promptTokens + count,
            input_tokens_details: { cached_tokens: 0 },
            output_tokens_details: { reasoning_tokens: 0 },
          },
  });
  if (body['stream'] !== true) {
    const count = await emit(call, promptTokens, () => Promise.resolve(true));
    return answer.whole(200, v1Json, `${JSON.stringify(whole('completed', count))}\n`);
  }
  answer.head(200, namedEvents);
  const item = { type: 'message', id: 'msg_607995', status: 'in_progress', role: 'assistant', content: [] };
  await answer.chunk(
    event({ type: 'response.created', response: whole('in_progress', null), sequence_number: 0 } as { type: string }),
  );
  await answer.chunk(
    event({ type: 'response.output_item.added', output_index: 0, item, sequence_number: 1 } as { type: string }),
  );
  await answer.chunk(
    event({
      type: 'response.content_part.added',
      item_id: 'msg_607995',
      output_index: 0,
      content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] },
      sequence_number: 2,
    } as { type: string }),
  );
  const count = await emit(call, promptTokens, (delta, index) =>
    answer.chunk(
      event({
        type: 'response.output_text.delta',
        item_id: 'msg_607995',
        output_index: 0,
        content_index: 0,
        delta,
        sequence_number: index + 3,
      } as { type: string }),
    ),
  );
  await answer.chunk(
    event({ type: 'response.completed', response: whole('completed', count), sequence_number: count + 3 } as {
      type: string;
    }),
  );
  return answer.end();
}

async function messages(call: Call): Promise<void> {
  const { answer, body, fake } = call;
  if (typeof body['max_tokens'] !== 'number') return fail(call, 400, 'max_tokens is required and must be positive');
  const promptTokens = countTokens(body['messages']);
  const head = { id: 'msg_46b8a04e83c44f675eeadecc', type: 'message', role: 'assistant', model: body['model'] };
  if (body['stream'] !== true) {
    const count = await emit(call, promptTokens, () => Promise.resolve(true));
    return answer.whole(
      200,
      v1Json,
      `${JSON.stringify({ ...head, content: [{ type: 'text', text: fake.pieces.join('') }], stop_reason: 'end_turn', usage: { input_tokens: promptTokens, output_tokens: count } })}\n`,
    );
  }
  answer.head(200, namedEvents);
  // The figure of message_start is an estimate; the one of message_delta is real.
  await answer.chunk(
    event({
      type: 'message_start',
      message: { ...head, content: [], usage: { input_tokens: promptTokens + 99, output_tokens: 0 } },
    } as { type: string }),
  );
  await answer.chunk(
    event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } } as { type: string }),
  );
  const count = await emit(call, promptTokens, (piece) =>
    answer.chunk(
      event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: piece } } as { type: string }),
    ),
  );
  await answer.chunk(event({ type: 'content_block_stop', index: 0 } as { type: string }));
  await answer.chunk(
    event({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn' },
      usage: { input_tokens: promptTokens, output_tokens: count },
    } as { type: string }),
  );
  await answer.chunk(event({ type: 'message_stop' }));
  return answer.end();
}
