// The meters of all kinds of answers. The result does not depend on where the bytes are cut; every figure can be recorded;
// the last figures of a stream are the ones counted; and no byte of the answer changes.
import assert from 'node:assert/strict';
import { plain as plainReply, type Reply } from '../../../src/gateway/dialects/reply.ts';
import { failedMeterFor, meterFor } from '../../../src/gateway/meter/meter.ts';
import type { Reading } from '../../../src/gateway/meter/token-counts.ts';
import { operations } from '../../../src/gateway/operation.ts';
import { type LineOptions, LineReader } from '../../../src/gateway/payload/line-reader.ts';
import { cuts } from '../cuts.ts';
import { eventsOf } from '../events.ts';
import { answers } from '../fixtures.ts';
import type { Target } from '../target.ts';

/** Lists of models cost nothing, in any dialect; one of them is enough. */
const kinds = [...new Set(operations.filter(({ reply }) => !reply.list?.isOfLoaded).map(({ reply }) => reply))];
const estimate = 77;

interface Verdict extends Reading {
  readonly whole: boolean;
  readonly errorSeen: boolean;
}

function measure(reply: Reply, streamed: boolean, pieces: readonly Buffer[]): Verdict {
  const meter = meterFor(reply, streamed, { estimate, bytes: 1_000 }, () => 0);
  for (const piece of pieces) {
    meter.see(piece);
    bookable(meter.read());
  }
  const whole = meter.end();
  return { ...meter.read(), whole, errorSeen: meter.errorSeen };
}

function bookable(reading: Reading): void {
  const { promptTokens, completionTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens } = reading;
  assert.ok(cacheReadTokens + cacheWriteTokens <= promptTokens, 'the cached parts are larger than the prompt');
  assert.ok(reasoningTokens <= completionTokens, 'the reasoning is longer than the completion');
  for (const figure of [promptTokens, completionTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens])
    assert.ok(Number.isSafeInteger(figure) && figure >= 0, `${figure} cannot be recorded`);
}

/** The first two bytes say where it is cut, the third which kind of answer it is, and its size. */
function run(bytes: Buffer): void {
  const choice = bytes[2] ?? 0;
  const reply = kinds[(choice & 0x1f) % kinds.length] as Reply;
  const streamed = (choice & 0x40) !== 0;
  const stream = Buffer.from(bytes.subarray(3));
  const copy = Buffer.from(stream);
  const verdict = measure(reply, streamed, [stream]);
  bookable(verdict);
  for (const pieces of cuts(stream, bytes))
    assert.deepEqual(measure(reply, streamed, pieces), verdict, 'the result depends on the cuts');
  assert.ok(stream.equals(copy), 'the meter changed the answer');
  if (verdict.source === 'exact') checkSaid(stream, verdict);
  if (!streamed && (choice & 0x20) !== 0) checkOutline(reply, stream, verdict);
  checkLines(stream, bytes);
  checkLong(stream);
  checkFailed(reply, stream);
}

/** The spellings of a pair of figures; Ollama's native one omits a figure of zero. */
const pairs = [
  ['prompt_eval_count', 'eval_count'],
  ['prompt_tokens', 'completion_tokens'],
  ['input_tokens', 'output_tokens'],
  ['prompt_n', 'predicted_n'],
] as const;

/** A second reader: each figure recorded as exact appears in the answer's JSON. */
function checkSaid(
  stream: Buffer,
  { promptTokens, completionTokens, cacheReadTokens, cacheWriteTokens }: Verdict,
): void {
  const text = stream.toString('utf8');
  const said = { prompt: new Set([0]), completion: new Set([0]) };
  const collect = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const object = value as Record<string, unknown>;
    for (const [prompt, completion] of pairs) {
      said.prompt.add(object[prompt] as number);
      said.completion.add(object[completion] as number);
    }
    for (const inner of Object.values(object)) collect(inner);
  };
  const pieces = [
    text,
    ...text.split(/\r\n|\r|\n/).map((line) => line.replace(/^\ufeff?data: ?/, '')),
    ...eventsOf(text),
  ];
  for (const piece of pieces) {
    try {
      collect(JSON.parse(piece));
    } catch {
      // Not JSON.
    }
  }
  // With a prompt cache, the sum of both figures is recorded.
  const parts = [0, cacheReadTokens + cacheWriteTokens];
  assert.ok(
    parts.some((part) => said.prompt.has(promptTokens - part)) && said.completion.has(completionTokens),
    'the answer does not contain the figures',
  );
}

/** A large answer is read by its outline, a small one in full: what the outline finds, the full text says too. */
function checkOutline(reply: Reply, stream: Buffer, verdict: Verdict): void {
  const large = measure(reply, false, [space, stream]);
  // More bytes arrived, so larger figures are possible: the large answer records as exact what the small one does.
  if (verdict.source !== 'estimated') assert.deepEqual(large, verdict, 'a large answer is read differently');
}

/** With an error status it costs no more than without. */
function checkFailed(reply: Reply, stream: Buffer): void {
  for (const type of ['application/json', 'application/x-ndjson', 'text/event-stream']) {
    const meter = failedMeterFor(reply, type, { estimate, bytes: 1_000 }, () => 0);
    const plain = measure(reply, type !== 'application/json', [stream]);
    meter.see(stream);
    assert.ok(meter.end(), 'an error that is not whole');
    bookable(meter.read());
    assert.ok(meter.read().completionTokens <= plain.completionTokens, 'an error that costs more than an answer');
  }
}

const space = Buffer.alloc(64 * 1024, ' ');

function checkLines(stream: Buffer, choice: Buffer): void {
  const text = stream.toString('latin1');
  checkCuts(text.split('\n'), stream, choice, {});
  checkCuts(text.split(/\r\n|\r|\n/), stream, choice, { carriageReturns: true });
}

function checkCuts(wanted: string[], stream: Buffer, choice: Buffer, options: LineOptions): void {
  if (wanted.at(-1) === '') wanted.pop();
  for (const pieces of cuts(stream, choice)) {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line.toString('latin1')), options);
    for (const piece of pieces) reader.push(piece);
    reader.end();
    assert.deepEqual(lines, wanted);
  }
}

/** A line that is too long to buffer arrives in pieces, and the lines around it are whole. */
function checkLong(stream: Buffer): void {
  const seen: string[] = [];
  const reader = new LineReader((line) => seen.push(line.toString('latin1')), {
    onLong: () => {
      let length = 0;
      return { push: (piece) => (length += piece.length), end: () => seen.push(`long ${length}`) };
    },
  });
  const first = stream.indexOf(0x0a);
  const head = first < 0 ? stream.length : first;
  for (const piece of [space, stream]) reader.push(piece);
  reader.end();
  const rest = stream
    .subarray(head + 1)
    .toString('latin1')
    .split('\n');
  if (rest.at(-1) === '') rest.pop();
  const line = head === 0 ? space.toString('latin1') : `long ${space.length + head}`;
  assert.deepEqual(seen, [line, ...rest]);
}

function kindOf(path: string, body: string): string {
  const operation = operations.find((row) => row.path === path);
  const streamed = body.startsWith('data:') || body.startsWith('event:') || body.trim().includes('\n');
  return String.fromCharCode(kinds.indexOf(operation?.reply ?? plainReply) + (streamed ? 0x40 : 0x20));
}

export const target: Target = {
  words: (
    '"done":true|"done": true|"prompt_eval_count":3|"eval_count":4|"usage":{"prompt_tokens":1,"completion_tokens":2}|' +
    '"usage":{"input_tokens":1,"output_tokens":2}|data: [DONE]|data: |{"error":"x"}|"type":"message_delta"|"choices":[]|' +
    '"type":"response.completed","response":{|"type":"message_stop"|"type":"message_start","message":{|"cache_read_input_tokens":5|"prompt_tokens_details":{"cached_tokens":1}|"completion_tokens_details":{"reasoning_tokens":1}|"output_tokens_details":{"thinking_tokens":2}|"prompt_cache_hit_tokens":1|"timings":{"prompt_n":4,"predicted_n":2}|"text":"x"|"type":"response.output_item.done"|"type":"content_block_start"|"logprobs":[|\r|\ufeff|"status":"success"|"done_reason":"load"|\n|\r\n|-1|1e999'
  ).split('|'),
  mostBytes: 800,
  seeds: () => [
    ...answers.map(({ path, body }) => `01${kindOf(path, body)}${body.slice(-700)}`),
    ...kinds.flatMap((_, at) => {
      const [whole, streamed] = [String.fromCharCode(at + 0x20), String.fromCharCode(at + 0x40)];
      return [
        `09${streamed}{"done":false}\n{"done":true,"prompt_eval_count":11,"eval_count":7}\n`,
        `09${streamed}data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\n\ndata: [DONE]\n\n`,
        `Az${streamed}data: {"type":"message_delta","usage":{"input_tokens":13,"output_tokens":21}}\n\ndata: {"type":"error"}\n\n`,
        `0A${streamed}\ufeffid: 1\r\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9,"cache_read_input_tokens":5,"cache_creation_input_tokens":1}}}\r\rdata: {"type":"message_delta",\rdata:"usage":{"output_tokens":3,"input_tokens":0}}\n\ndata: {"type":"message_stop"}\n\n`,
        `0A${streamed}data: {"type":"response.output_item.done"}\n\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":4,"input_tokens_details":{"cached_tokens":3},"output_tokens":3}}}\n\n`,
        `0A${streamed}data: {"choices":[{"logprobs":[],"text":"${'x'.repeat(550)}"}],"error":null}\n\ndata: {"choices":[],"usage":{"prompt_tokens":9007199254740991,"completion_tokens":9007199254740991,"prompt_tokens_details":null}}\n\n`,
        `0A${streamed}data: {"type":"content_block_start","content_block":"${'x'.repeat(550)}"}\n\ndata: {"error":{"type":"error"}}\n\ndata: {"choices":[{}],"error":{"message":"no"}}\n\n`,
        `0A${streamed}data: {"choices":[{}],"timings":{"cache_n":5,"prompt_n":4,"predicted_n":2}}\n\ndata: {"choices":[{}],"timings":{"prompt_n":-1}}\n\ndata: {"choices":[{}],"timings":7}\n\ndata: [DONE]\n\n`,
        `Az${whole}{"choices":[],"timings":{"cache_n":5,"prompt_n":4,"predicted_n":2}}`,
        `0A${whole}{"response":"x","choices":[],"text":"abc","usage":{"output_tokens":3}}`,
        `Az${whole}{"usage":{"input_tokens":2,"output_tokens":3},"eval_count":4,"done_reason":"load"}`,
      ];
    }),
  ],
  run,
};
