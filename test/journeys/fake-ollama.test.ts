// Compares the fake with recordings of a real Ollama: every recorded request is sent to it again, byte for byte, and the
// answer must have the same bytes in the same HTTP chunks. Only values that differ between two runs of the server are made
// equal first: dates, durations, random ids. The fake is told beforehand what the model said and how the server counted the
// prompt.
import { connect } from 'node:net';
import Anthropic from '@anthropic-ai/sdk';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeOllama, onePieceUntilLeft } from '../fake-ollama/fake-ollama.ts';
import { readResponse } from '../fake-ollama/record.ts';
import { type Recording, recordings, wireRecordings } from '../fake-ollama/recordings.ts';
import { goStyleParse, startFakeOllama } from '../fake-ollama/start.ts';
import { eventually } from '../gate.ts';

let fake: FakeOllama;
beforeEach(async () => {
  fake = await new FakeOllama().listen();
});
afterEach(() => fake.close());

/** Not compared byte for byte, each for a reason. */
const onlyHeads: Record<string, string> = {
  show_verbose: 'the recorder cut out 5.6 MB of tensors',
  show: 'the second recorder made its model without parameters; the first recording is the template',
};
const second = wireRecordings.map((recording): [string, Recording] => [recording.name, recording]);
const first = recordings.map((recording): [string, Recording] => [recording.name, recording]);

describe('as recorded by record.ts', () => {
  test.each(first)('%s', (_, recording) => compare(recording, recordings, false));
});
describe('as recorded by the second recorder', () => {
  test.each(second)('%s', (name, recording) => compare(recording, wireRecordings, name in onlyHeads));
});

async function compare(recording: Recording, all: readonly Recording[], onlyHead: boolean): Promise<void> {
  prepare(recording, all);
  const answer = await exchange(recording);
  const [head, ...lines] = split(answer.head);
  const [recordedHead, ...recordedLines] = split(recording.head);
  expect([head, ...lines.map(settled)]).toEqual([recordedHead, ...recordedLines.map(settled)]);
  expect(lengthOf(answer.head)).toBe(lengthOf(answer.head) === undefined ? undefined : bodyLength(recording, answer));
  if (onlyHead) {
    expect(Object.keys(JSON.parse(answer.chunks.join('')) as object)).toEqual(
      Object.keys(JSON.parse(recording.chunks.join('')) as object),
    );
    return;
  }
  // The token that ends an answer by a stop sequence is counted but not sent; the fake counts what it sends.
  const uncounted = recording.name === 'chat_stream_stop' ? /"eval_count":\d+/ : /$^/;
  const text = (chunks: readonly string[]) =>
    chunks.filter((chunk) => chunk !== '').map((chunk) => settled(chunk).replace(uncounted, '"eval_count":0'));
  expect(text(answer.chunks)).toEqual(text(recording.chunks));
}

/** Tells the fake which models exist, what the model said and how the prompt was counted. */
function prepare(recording: Recording, all: readonly Recording[]): void {
  const { models } = JSON.parse(all.find(({ name }) => name === 'tags')!.chunks.join('')) as {
    models: { name: string; size: number; digest: string; modified_at: string }[];
  };
  fake.models = models.map(({ name, size, digest, modified_at: modifiedAt }) => ({
    name,
    sizeBytes: size,
    digest,
    modifiedAt,
    embeds: false,
    loaded: recording.name !== 'ps_empty',
  }));
  if (/^delete(?:_copy|_created|-made)?$/.test(recording.name)) {
    const { model, name } = JSON.parse(recording.body) as { model?: string; name?: string };
    fake.models.push({ name: (model ?? name)! });
  }
  if (/^blob_(?:post_again|head_present)$/.test(recording.name))
    fake.blobs.set(recording.path.slice('/api/blobs/'.length), 6);
  const whole = recording.chunks.join('');
  if (recording.name === 'status') fake.cloud = (JSON.parse(whole) as { cloud: FakeOllama['cloud'] }).cloud;
  fake.pullError = /"error":"pull model manifest: (.*)"\}/.exec(whole)?.[1]?.replaceAll('\\"', '"');
  fake.countPrompt = () => promptCount(whole);
  if (recording.status === 200) fake.pieces = piecesOf(recording);
}

const promptCount = (whole: string): number =>
  Number([...whole.matchAll(/"(?:prompt_eval_count|prompt_tokens|input_tokens)":(\d+)/g)].at(-1)?.[1] ?? 0);
const completionCount = (whole: string): number =>
  Number([...whole.matchAll(/"(?:eval_count|completion_tokens|output_tokens)":(\d+)/g)].at(-1)?.[1] ?? 0);

/** The pieces of a recorded stream; for a whole answer, its text cut into as many pieces as it had tokens. */
function piecesOf({ chunks }: Recording): string[] {
  const pieces = chunks.flatMap((chunk) => {
    const data = /^data: (\{.*)$/m.exec(chunk)?.[1] ?? chunk;
    const found = /"(?:content|response|text|delta)":("(?:[^"\\]|\\.)*")/.exec(data)?.[1];
    const counted = !/"done":true|"type":"[a-z_.]*(?:start|added|done|completed)"|"finish_reason":"/.test(data);
    return found !== undefined && counted ? [JSON.parse(found) as string] : [];
  });
  if (chunks.length > 1) return pieces;
  const whole = chunks.join('');
  const text = /"(?:content|response|text)":("(?:[^"\\]|\\.)*")/.exec(whole)?.[1];
  const letters = text === undefined ? [] : Array.from(JSON.parse(text) as string);
  const tokens = completionCount(whole);
  return Array.from({ length: tokens }, (_, i) => (i < tokens - 1 ? letters[i] : letters.slice(i).join('')) ?? '');
}

async function exchange({
  method,
  path,
  headers,
  body,
}: Recording): Promise<{ head: string; chunks: readonly string[] }> {
  const socket = connect(fake.port, '127.0.0.1');
  const sent: Record<string, string> = { Host: `127.0.0.1:${fake.port}`, ...headers };
  if (body !== '' || method === 'POST') sent['Content-Length'] = String(Buffer.byteLength(body));
  // The recorder used another port; Ollama checks only the host name.
  const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  let bytes = Buffer.alloc(0);
  for await (const piece of socket) {
    bytes = Buffer.concat([bytes, piece as Buffer]);
    const response = readResponse(bytes, method);
    if (!response) continue;
    socket.destroy();
    return response;
  }
  throw new Error(`${method} ${path}: the connection ended early: ${bytes.toString()}`);
}

const split = (head: string): string[] => head.split('\r\n');
const lengthOf = (head: string): number | undefined => {
  const found = /\r\nContent-Length: (\d+)/.exec(head)?.[1];
  return found === undefined ? undefined : Number(found);
};
/** For a HEAD, the recorded length is the right one: the bodies do not vary. */
function bodyLength(recording: Recording, answer: { chunks: readonly string[] }): number | undefined {
  return recording.method === 'HEAD' ? lengthOf(recording.head) : Buffer.byteLength(answer.chunks.join(''));
}

/** Makes values equal that differ between runs. */
function settled(text: string): string {
  return (
    text
      .replace(/^Date: .*$/, 'Date: now')
      .replace(/^Content-Length: [1-9]\d*$/, 'Content-Length: some')
      .replace(/"(created_at|expires_at)":"\d{4}-[^"]+Z"/g, '"$1":"now"')
      .replace(/"(created|created_at|completed_at)":\d{10}/g, '"$1":0')
      .replace(/"((?:total|load|prompt_eval|eval)_duration)":\d+/g, '"$1":0')
      // The system prompt is a layer of its own, and the two recorders wrote different ones.
      .replace(/(layer sha256:)[0-9a-f]{64}/g, '$1some')
      .replace(/"context":\[[\d,]+\]/g, '"context":[]')
      .replace(/"(chatcmpl-|cmpl-|resp_|msg_|req_)[0-9a-f]+"/g, '"$1id"')
  );
}

describe('real clients without a gate', () => {
  const model = 'gemma3:270m';
  const user = [{ role: 'user' as const, content: 'Why is the sky blue?' }];
  test('ollama', async () => {
    const client = new Ollama({ host: fake.url });
    const said = fake.pieces.join('');
    expect((await client.chat({ model, messages: user })).message.content).toBe(said);
    expect((await client.generate({ model, prompt: 'x' })).response).toBe(said);
    let [chat, generate] = ['', ''];
    for await (const part of await client.chat({ model, messages: user, stream: true })) chat += part.message.content;
    for await (const part of await client.generate({ model, prompt: 'x', stream: true })) generate += part.response;
    expect([chat, generate]).toEqual([said, said]);
    expect((await client.embed({ model, input: ['a', 'b'] })).embeddings).toHaveLength(2);
    expect((await client.embeddings({ model, prompt: 'a' })).embedding.length).toBeGreaterThan(0);
    expect((await client.list()).models[0]?.details.family).toBe('gemma3');
    expect((await client.ps()).models).toHaveLength(2);
    expect((await client.show({ model: 'llama3' })).details.family).toBe('llama');
    expect((await client.pull({ model: 'all-minilm' })).status).toBe('success');
    expect((await client.push({ model })).status).toBe('success');
    expect((await client.create({ model: 'mine', from: model })).status).toBe('success');
    expect((await client.copy({ source: model, destination: 'mine' })).status).toBe('success');
    expect((await client.delete({ model })).status).toBe('success');
    expect((await client.version()).version).toBe('0.33.0');
    await expect(client.show({ model: 'missing' })).rejects.toThrow("model 'missing:latest' not found");
  });
  test('openai', async () => {
    const client = new OpenAI({ apiKey: 'ollama', baseURL: `${fake.url}/v1`, maxRetries: 0 });
    const said = fake.pieces.join('');
    expect((await client.chat.completions.create({ model, messages: user })).choices[0]?.message.content).toBe(said);
    let [text, tokens] = ['', 0];
    for await (const part of await client.chat.completions.create({
      model,
      messages: user,
      stream: true,
      stream_options: { include_usage: true },
    })) {
      text += part.choices[0]?.delta.content ?? '';
      tokens += part.usage?.completion_tokens ?? 0;
    }
    expect([text, tokens]).toEqual([said, 12]);
    expect((await client.completions.create({ model, prompt: 'Why', max_tokens: 3 })).choices[0]?.finish_reason).toBe(
      'length',
    );
    let completed = '';
    for await (const part of await client.completions.create({ model, prompt: 'Why', stream: true }))
      completed += part.choices[0]?.text ?? '';
    expect(completed).toBe(said);
    expect((await client.responses.create({ model, input: 'Why' })).output_text).toBe(said);
    const types: string[] = [];
    for await (const event of await client.responses.create({ model, input: 'Why', stream: true }))
      types.push(event.type);
    expect([types[0], types.at(-1)]).toEqual(['response.created', 'response.completed']);
    for (const encoding_format of ['float', 'base64'] as const)
      expect((await client.embeddings.create({ model, input: ['a', 'b'], encoding_format })).data).toHaveLength(2);
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual([model, 'llama3:latest']);
    expect((await client.models.retrieve(model)).owned_by).toBe('library');
    const file = new File([Buffer.from('RIFF')], 'a.wav');
    expect((await client.audio.transcriptions.create({ model, file })).text).toBe('hello');
    await expect(client.chat.completions.create({ model: 'missing', messages: user })).rejects.toMatchObject({
      status: 404,
      type: 'not_found_error',
    });
  });
  test('anthropic', async () => {
    const client = new Anthropic({ apiKey: 'ollama', baseURL: fake.url, maxRetries: 0 });
    const said = fake.pieces.join('');
    expect((await client.messages.create({ model, messages: user, max_tokens: 64 })).content).toMatchObject([
      { text: said },
    ]);
    const stream = client.messages.stream({ model, messages: user, max_tokens: 5 });
    expect(await stream.finalText()).toBe(fake.pieces.slice(0, 5).join(''));
    expect(await stream.finalMessage()).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 5 } });
    await expect(client.messages.create({ model: 'missing', messages: user, max_tokens: 1 })).rejects.toMatchObject({
      status: 404,
    });
  });
});

describe('the fake as tests drive it', () => {
  test('a test sees a request once its head has arrived, then its body, and a script answers it', async () => {
    const other = await startFakeOllama();
    const arrival = other.arrival(({ url }) => url === '/api/blobs/x');
    other.next(async (request, answer) => {
      answer.head(201, { 'X-Length': String((await request.bodyComplete).length) });
      await answer.chunk('a');
      answer.end();
    });
    const socket = connect(other.port, '127.0.0.1');
    let received = '';
    socket.on('data', (bytes: Buffer) => (received += bytes.toString()));
    socket.write(
      'POST /api/blobs/x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Odd: 1\r\nx-odd: 2\r\nContent-Length: 6\r\n\r\nhel',
    );
    const request = await arrival;
    expect(request.rawHeaders.slice(2, 6)).toEqual(['X-Odd', '1', 'x-odd', '2']);
    expect(request.headers['x-odd']).toBe('1, 2');
    expect([request.finished, request.wasAborted, other.requests[0] === request]).toEqual([false, false, true]);
    socket.write('lo\n');
    expect((await request.bodyComplete).toString()).toBe('hello\n');
    expect(request.body.toString()).toBe('hello\n');
    await expect
      .poll(() => received)
      .toMatch(
        /^HTTP\/1\.1 201 Created\r\nX-Length: 6\r\nDate: [^\r]+\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n$/,
      );
    expect(request.finished).toBe(true);
    socket.destroy();
    await other.close();
  });
  test('it stops when the caller hangs up, and counts only what it sent', async () => {
    const other = await startFakeOllama();
    other.pace = onePieceUntilLeft;
    const hangUp = new AbortController();
    const arrival = other.arrival();
    const response = await fetch(`${other.url}/api/generate`, {
      method: 'POST',
      signal: hangUp.signal,
      body: '{"model":"gemma3:270m","prompt":"x"}',
    });
    await response.body!.getReader().read();
    hangUp.abort();
    const request = await arrival;
    await request.aborted;
    expect(request.wasAborted).toBe(true);
    // Another call sends everything after that; the first one sent one piece.
    other.pace = undefined;
    await (
      await fetch(`${other.url}/api/generate`, { method: 'POST', body: '{"model":"gemma3:270m","prompt":"x"}' })
    ).text();
    expect(other.totals.completionTokens).toBe(1 + other.pieces.length);
    await other.close();
  });
  test('a request with an unreadable head counts as arrived', async () => {
    const socket = connect(fake.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume().write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
    await eventually(() => expect(fake.requests).toHaveLength(1));
    expect(fake.calls).toHaveLength(1);
    socket.destroy();
  });
  test.each([
    ['{"model":"a","Model":"b","model":"c"}', { model: 'c' }],
    ['{"model":"a","MODEL":"b"} {"model":"c"}', { model: 'b' }],
    ['{"model":"a","model":null}', { model: 'a' }],
    ['{"\u017fTREAM":true,"model":"\\u0061"}', { stream: true, model: 'a' }],
    ['{"stream_options":{"Include_Usage":true},"stream_options":{}}', { stream_options: { include_usage: true } }],
    ['{"options":{"Num_Predict":1}}', { options: { Num_Predict: 1 } }],
    ['null', {}],
    ['{"stream_options":{"include_usage":true},"stream_options":null}', { stream_options: null }],
    ['{"stream":false,"stream":null}', { stream: null }],
  ])('reads %s as Go does', (text, value) => {
    expect(goStyleParse(text)).toEqual(value);
  });
  test('null leaves a flag alone that Go keeps by value, as in /v1', () => {
    expect(goStyleParse('{"stream":true,"stream":null}', 'openai.ChatCompletionRequest')).toEqual({ stream: true });
  });
  test.each([
    ['', 'EOF'],
    [' \n', 'EOF'],
    ['{"model":', 'unexpected EOF'],
    ['{"a":1,', 'unexpected EOF'],
    ['{"a":tr', 'unexpected EOF'],
    ['[]', 'json: cannot unmarshal array into Go value of type map[string]interface {}'],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":x}', "invalid character 'x' looking for beginning of value"],
    ['{"a":1]', "invalid character ']' after object key:value pair"],
  ])('refuses %j as Go does', (text, message) => {
    expect(() => goStyleParse(text)).toThrow(message);
  });
});
