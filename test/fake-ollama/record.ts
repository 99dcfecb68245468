// Records what a real Ollama sends, to the byte: header block, HTTP chunks as they were framed, bodies. Run it by hand
// against a server that has the model; fake-ollama is compared with the fixtures that it writes.
//
//   node test/fake-ollama/record.ts http://127.0.0.1:11434 gemma3:270m test/fixtures
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';

export interface Fixture {
  readonly name: string;
  readonly ollama: string;
  readonly request: { readonly method: string; readonly path: string; readonly body: string };
  readonly response: {
    readonly status: number;
    /** Status line and headers as sent, without the final empty line. */
    readonly head: string;
    readonly framing: 'chunked' | 'length' | 'none';
    /** One entry per HTTP chunk; the whole body if it has a length. */
    readonly chunks: readonly string[];
  };
}

const user = { role: 'user', content: 'なぜ空は青いのですか?' };
const few = { num_predict: 8, temperature: 0, seed: 7 };
const hello = 'sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03';

function cases(model: string): [name: string, method: string, path: string, body?: unknown][] {
  const messages = [user];
  return [
    ['root', 'GET', '/'],
    ['root-head', 'HEAD', '/'],
    ['version', 'GET', '/api/version'],
    ['tags', 'GET', '/api/tags'],
    ['tags-head', 'HEAD', '/api/tags'],
    ['status', 'GET', '/api/status'],
    ['show', 'POST', '/api/show', { model }],
    ['show-missing', 'POST', '/api/show', { model: 'missing' }],
    ['chat', 'POST', '/api/chat', { model, messages, stream: false, options: few }],
    ['chat-stream', 'POST', '/api/chat', { model, messages, options: few }],
    ['chat-missing', 'POST', '/api/chat', { model: 'missing', messages }],
    ['chat-no-model', 'POST', '/api/chat', { messages }],
    ['chat-empty-body', 'POST', '/api/chat', ''],
    ['chat-not-json', 'POST', '/api/chat', '{"model":'],
    ['chat-wrong-type', 'POST', '/api/chat', { model, messages: 'x' }],
    ['chat-get', 'GET', '/api/chat'],
    ['ps', 'GET', '/api/ps'],
    ['generate', 'POST', '/api/generate', { model, prompt: user.content, stream: false, options: few }],
    ['generate-stream', 'POST', '/api/generate', { model, prompt: user.content, options: few }],
    ['generate-load', 'POST', '/api/generate', { model }],
    ['generate-missing', 'POST', '/api/generate', { model: 'missing', prompt: 'x' }],
    ['embed', 'POST', '/api/embed', { model, input: ['a', 'b'] }],
    ['embed-missing', 'POST', '/api/embed', { model: 'missing', input: 'a' }],
    ['embeddings', 'POST', '/api/embeddings', { model, prompt: 'a' }],
    ['unknown', 'GET', '/api/unknown'],
    ['v1-chat', 'POST', '/v1/chat/completions', { model, messages, max_tokens: 8, temperature: 0, seed: 7 }],
    [
      'v1-chat-stream',
      'POST',
      '/v1/chat/completions',
      { model, messages, stream: true, max_tokens: 8, temperature: 0, seed: 7 },
    ],
    [
      'v1-chat-stream-usage',
      'POST',
      '/v1/chat/completions',
      {
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 8,
        temperature: 0,
        seed: 7,
      },
    ],
    ['v1-chat-missing', 'POST', '/v1/chat/completions', { model: 'missing', messages }],
    ['v1-chat-not-json', 'POST', '/v1/chat/completions', '{"model":'],
    ['v1-chat-no-messages', 'POST', '/v1/chat/completions', { model, messages: [] }],
    ['v1-completions', 'POST', '/v1/completions', { model, prompt: 'Why', max_tokens: 8, temperature: 0, seed: 7 }],
    [
      'v1-completions-stream',
      'POST',
      '/v1/completions',
      { model, prompt: 'Why', stream: true, max_tokens: 8, temperature: 0, seed: 7 },
    ],
    [
      'v1-completions-stream-usage',
      'POST',
      '/v1/completions',
      {
        model,
        prompt: 'Why',
        stream: true,
        stream_options: { include_usage: true },
        max_tokens: 8,
        temperature: 0,
        seed: 7,
      },
    ],
    ['v1-embeddings', 'POST', '/v1/embeddings', { model, input: 'a' }],
    ['v1-models', 'GET', '/v1/models'],
    ['v1-model', 'GET', `/v1/models/${model}`],
    ['v1-model-missing', 'GET', '/v1/models/missing'],
    ['v1-responses', 'POST', '/v1/responses', { model, input: user.content, max_output_tokens: 8 }],
    [
      'v1-responses-stream',
      'POST',
      '/v1/responses',
      { model, input: user.content, max_output_tokens: 8, stream: true },
    ],
    ['v1-messages', 'POST', '/v1/messages', { model, messages, max_tokens: 8 }],
    ['v1-messages-stream', 'POST', '/v1/messages', { model, messages, max_tokens: 8, stream: true }],
    ['v1-messages-missing', 'POST', '/v1/messages', { model: 'missing', messages, max_tokens: 8 }],
    ['v1-messages-no-max', 'POST', '/v1/messages', { model, messages }],
    ['blob-missing', 'HEAD', `/api/blobs/${hello.replace('58', '59')}`],
    ['blob-new', 'POST', `/api/blobs/${hello}`, 'hello\n'],
    ['blob-mismatch', 'POST', `/api/blobs/${hello.replace('58', '59')}`, 'hello\n'],
    ['copy', 'POST', '/api/copy', { source: model, destination: 'copied' }],
    ['copy-missing', 'POST', '/api/copy', { source: 'missing', destination: 'copied' }],
    ['delete', 'DELETE', '/api/delete', { model: 'copied' }],
    ['delete-missing', 'DELETE', '/api/delete', { model: 'missing' }],
    ['create', 'POST', '/api/create', { model: 'made', from: model, system: 'short answers' }],
    ['delete-made', 'DELETE', '/api/delete', { name: 'made' }],
    ['pull-unreachable', 'POST', '/api/pull', { model: 'localhost:1/a/b', insecure: true }],
    ['me', 'POST', '/api/me'],
    ['generate-unload', 'POST', '/api/generate', { model, keep_alive: 0 }],
  ];
}

async function record(base: URL, method: string, path: string, body: string): Promise<Fixture['response']> {
  const socket = connect(Number(base.port), base.hostname);
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${base.host}`, 'User-Agent: sekisho-recorder', 'Accept: */*'];
  if (body !== '') lines.push('Content-Type: application/json');
  if (method === 'POST' || body !== '') lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
  socket.write(`${lines.join('\r\n')}\r\n\r\n${body}`);
  let bytes = Buffer.alloc(0);
  for await (const piece of socket) {
    bytes = Buffer.concat([bytes, piece as Buffer]);
    const response = readResponse(bytes, method);
    if (!response) continue;
    socket.destroy();
    return response;
  }
  throw new Error(`${method} ${path}: the connection ended early`);
}

/** The response, once it is complete. */
export function readResponse(bytes: Buffer, method: string): Fixture['response'] | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const status = Number(head.split(' ')[1]);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  const body = bytes.subarray(end + 4);
  if (method === 'HEAD' || status === 204 || status === 304) return { status, head, framing: 'none', chunks: [] };
  if (length !== undefined) {
    return body.length < Number(length)
      ? undefined
      : { status, head, framing: 'length', chunks: [body.toString('utf8', 0, Number(length))] };
  }
  const chunks: string[] = [];
  for (let at = 0; ; ) {
    const line = body.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(body.toString('latin1', at, line), 16);
    if (body.length < line + 2 + size + 2) return undefined;
    if (size === 0) return { status, head, framing: 'chunked', chunks };
    chunks.push(body.toString('utf8', line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
}

async function main(address: string, model: string, directory: string): Promise<void> {
  const base = new URL(address);
  const { version } = (await (await fetch(new URL('/api/version', base))).json()) as { version: string };
  const into = join(directory, `ollama-${version}`);
  mkdirSync(into, { recursive: true });
  for (const [name, method, path, given] of cases(model)) {
    const body = given === undefined ? '' : typeof given === 'string' ? given : JSON.stringify(given);
    const fixture: Fixture = {
      name,
      ollama: version,
      request: { method, path, body },
      response: await record(base, method, path, body),
    };
    writeFileSync(join(into, `${name}.json`), `${JSON.stringify(fixture, undefined, 2)}\n`);
    process.stdout.write(
      `${name}: ${fixture.response.status} ${fixture.response.framing} ${fixture.response.chunks.length}\n`,
    );
  }
}

const [address, model, directory] = process.argv.slice(2);
if (import.meta.main)
  await main(address ?? 'http://127.0.0.1:11434', model ?? 'gemma3:270m', directory ?? 'test/fixtures');
