// The meters of all kinds of answers. It does not matter where the bytes are cut; every figure can be booked; what a
// stream's last word says is what is counted; and no byte of the answer is changed.
import assert from 'node:assert/strict';
import { LineReader } from '../../../src/gateway/line-reader.ts';
import { meterFor, type Reading } from '../../../src/gateway/meter.ts';
import { operations, type ReplyKind } from '../../../src/gateway/operation.ts';
import { cuts } from '../cuts.ts';
import { answers } from '../fixtures.ts';
import type { Target } from '../target.ts';

const kinds = [...new Set(operations.map(({ reply }) => reply))];
const estimate = 77;

interface Verdict extends Reading {
  readonly whole: boolean;
  readonly errorSeen: boolean;
}

function measure(reply: ReplyKind, streamed: boolean, pieces: readonly Buffer[]): Verdict {
  const meter = meterFor(reply, streamed, estimate);
  for (const piece of pieces) {
    meter.see(piece);
    bookable(meter.read());
  }
  const whole = meter.end();
  return { ...meter.read(), whole, errorSeen: meter.errorSeen };
}

function bookable({ promptTokens, completionTokens }: Reading): void {
  for (const figure of [promptTokens, completionTokens])
    assert.ok(Number.isSafeInteger(figure) && figure >= 0, `${figure} cannot be booked`);
}

/** The first two bytes say where it is cut, the third which kind of answer it is, and of what size. */
function run(bytes: Buffer): void {
  const choice = bytes[2] ?? 0;
  const reply = kinds[(choice & 0x1f) % kinds.length] as ReplyKind;
  const streamed = (choice & 0x40) !== 0;
  const stream = Buffer.from(bytes.subarray(3));
  const copy = Buffer.from(stream);
  const verdict = measure(reply, streamed, [stream]);
  bookable(verdict);
  for (const pieces of cuts(stream, bytes))
    assert.deepEqual(measure(reply, streamed, pieces), verdict, 'it matters where it is cut');
  assert.ok(stream.equals(copy), 'the meter changed the answer');
  if (verdict.source === 'estimated') assert.equal(verdict.promptTokens, estimate);
  if (verdict.source === 'exact') checkSaid(stream, verdict);
  if (!streamed && (choice & 0x20) !== 0) checkOutline(reply, stream, verdict);
  checkLines(stream, bytes);
}

/** The three spellings of a pair of figures; Ollama's own leaves a figure of zero out. */
const pairs = [
  ['prompt_eval_count', 'eval_count'],
  ['prompt_tokens', 'completion_tokens'],
  ['input_tokens', 'output_tokens'],
] as const;

/** A second reader: what is booked as exact stands as a pair in one object of the answer's JSON. */
function checkSaid(stream: Buffer, { promptTokens, completionTokens }: Verdict): void {
  const text = stream.toString('utf8');
  const isSaid = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return false;
    const object = value as Record<string, unknown>;
    const here = pairs.some(
      ([prompt, completion]) =>
        (object[prompt] ?? 0) === promptTokens && (object[completion] ?? 0) === completionTokens,
    );
    return here || Object.values(object).some(isSaid);
  };
  const said = [text, ...text.split('\n').map((line) => line.replace(/^data: ?/, ''))].some((piece) => {
    try {
      return isSaid(JSON.parse(piece));
    } catch {
      return false;
    }
  });
  assert.ok(said, 'figures that the answer does not say');
}

/** A large answer is read by its outline, a small one whole: what the outline finds, the whole says too. */
function checkOutline(reply: ReplyKind, stream: Buffer, verdict: Verdict): void {
  const large = measure(reply, false, [space, stream]);
  if (large.source !== 'estimated') assert.deepEqual(large, verdict, 'a large answer is read otherwise');
}

const space = Buffer.alloc(64 * 1024, ' ');

function checkLines(stream: Buffer, choice: Buffer): void {
  const wanted = stream.toString('latin1').split('\n');
  if (wanted.at(-1) === '') wanted.pop();
  for (const pieces of cuts(stream, choice)) {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line.toString('latin1')));
    for (const piece of pieces) reader.push(piece);
    reader.end();
    assert.deepEqual(lines, wanted);
  }
}

function kindOf(path: string, body: string): string {
  const operation = operations.find((row) => row.path === path);
  const streamed = body.startsWith('data:') || body.startsWith('event:') || body.trim().includes('\n');
  return String.fromCharCode(kinds.indexOf(operation?.reply ?? 'plain') + (streamed ? 0x40 : 0x20));
}

export const target: Target = {
  words: (
    '"done":true|"done": true|"prompt_eval_count":3|"eval_count":4|"usage":{"prompt_tokens":1,"completion_tokens":2}|' +
    '"usage":{"input_tokens":1,"output_tokens":2}|data: [DONE]|data: |{"error":"x"}|"type":"message_delta"|"choices":[]|' +
    '"type":"response.completed","response":{|"type":"message_stop"|"status":"success"|"done_reason":"load"|\n|\r\n|-1|1e999'
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
        `Az${whole}{"usage":{"input_tokens":2,"output_tokens":3},"eval_count":4,"done_reason":"load"}`,
      ];
    }),
  ],
  run,
};
