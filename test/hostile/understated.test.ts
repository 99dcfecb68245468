// Calls that understate their size, in their own body or in what the model was told to report: the reserved amount, and the
// amount recorded when they are aborted, is never below what their bytes show.
import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import type { UsageRecord } from '../../src/domain/usage.ts';
import { eventually, post } from '../gate.ts';
import { singleAnswer } from '../single-answer.ts';

const single = singleAnswer();

const content = (text: string): string => `data: {"choices":[{"delta":{"content":"${text}"}}]}\n\n`;
const json = (body: string) => (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(body);
const begins = (type: string, piece: string) => (response: ServerResponse) =>
  response.writeHead(200, { 'content-type': type }).write(piece);

/** Makes a call that is aborted as soon as part of its answer arrives; returns its row. */
async function givenUp(path: string, secret: string, id: KeyId, body: object): Promise<UsageRecord | undefined> {
  const controller = new AbortController();
  const response = await fetch(`${single.gate.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': secret },
    body: JSON.stringify({ model: 'm', stream: true, ...body }),
    signal: controller.signal,
  });
  expect(response.status).toBe(200);
  await response.body?.getReader().read();
  controller.abort();
  return eventually(async () => {
    const row = (await single.gate.ledger(0)).find(({ keyId }) => keyId === id);
    expect(row).toBeDefined();
    return row;
  });
}

const image = (more: object): object => ({
  type: 'image_url',
  image_url: { url: 'data:image/png;base64,AAAA' },
  ...more,
});
const long = 'A'.repeat(200_000);

test.each([
  ['within an image', image({ content: [image({ image_url: long })] }), [1, 2_000]],
  ['as the text of an image', image({ text: long }), [50_000, 60_000]],
])('text placed %s still counts by its length', async (_, part, [least, most]) => {
  single.answer = begins('text/event-stream', content('a'));
  const { secret, id } = await single.gate.member({ tokensPerDay: 100_000 });
  const messages = [{ role: 'user', content: [part] }];
  const row = await givenUp('/v1/chat/completions', secret, id, { messages });
  expect(row?.promptTokens).toBeGreaterThanOrEqual(least as number);
  expect(row?.promptTokens).toBeLessThan(most as number);
});

test.each(['context', 'logprobs'])(
  'a tool call in one piece costs its bytes, whatever the name of an argument: %s',
  async (name) => {
    const message = { tool_calls: [{ function: { name: 'f', arguments: { [name]: 'x'.repeat(40_000) } } }] };
    single.answer = begins('application/x-ndjson', `${JSON.stringify({ message, done: false })}\n`);
    const { secret, id } = await single.gate.member({});
    const row = await givenUp('/api/chat', secret, id, { messages: [] });
    expect(row?.completionTokens).toBeGreaterThan(9_000);
  },
);

test.each([
  ['short', 60, 60],
  ['long', 2_000, 300],
])(
  'a piece with the probabilities of its tokens costs as many tokens, when the line is %s',
  async (_, entries, least) => {
    const logprobs = Array.from({ length: entries }, () => ({ token: 'x', logprob: -0.123456, bytes: [120] }));
    const message = { tool_calls: [{ function: { name: 'f', arguments: { a: 'x'.repeat(entries) } } }] };
    single.answer = begins('application/x-ndjson', `${JSON.stringify({ message, logprobs, done: false })}\n`);
    const { secret, id } = await single.gate.member({});
    const row = await givenUp('/api/chat', secret, id, { messages: [], logprobs: true });
    expect(row?.completionTokens).toBeGreaterThanOrEqual(least);
    expect(row?.completionTokens).toBeLessThanOrEqual(entries);
  },
);

test.each(['input', 'inputs', 'content', 'prompt'])(
  'embedding inputs are counted when the field is spelled %s',
  async (name) => {
    single.answer = json('{"data":[],"usage":{"prompt_tokens":1}}');
    const { secret } = await single.gate.member({ maxEmbeddingInputs: 3 });
    const embed = (inputs: number): Promise<Response> =>
      post(`${single.gate.url}/v1/embeddings`, secret, {
        model: 'm',
        [name]: Array.from({ length: inputs }, () => 'x'),
      });
    expect((await embed(3)).status).toBe(200);
    expect((await embed(4)).status).toBe(400);
  },
);
