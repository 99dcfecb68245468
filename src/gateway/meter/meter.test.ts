import { describe, expect, test } from 'vitest';
import * as anthropic from '../dialects/anthropic/replies.ts';
import * as ollama from '../dialects/ollama/replies.ts';
import * as openai from '../dialects/openai/replies.ts';
import type { Reply } from '../dialects/reply.ts';
import { failedMeterFor, meterFor } from './meter.ts';
import { nothingRead, type Prompt, type Reading } from './token-counts.ts';

interface Case {
  reply: Reply;
  streamed: boolean;
  text: string;
  reading: Reading;
}
const exact = (promptTokens: number, completionTokens: number): Reading => ({
  promptTokens,
  completionTokens,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
  source: 'exact',
});
const guess = (estimate: number, bytes = 1_000): Prompt => ({ estimate, bytes });

const cases: Record<string, Case> = {
  'ollama stream': {
    reply: ollama.generation,
    streamed: true,
    text: '{"message":{"content":"空\\"done\\":true"},"done":false}\n{"message":{"content":"は"},"done":false}\n{"done":true,"prompt_eval_count":11,"eval_count":7}\n',
    reading: exact(11, 7),
  },
  'ollama whole': {
    reply: ollama.generation,
    streamed: false,
    text: '{"response":"\\"eval_count\\":99","done":true,"prompt_eval_count":3,"eval_count":4}',
    reading: exact(3, 4),
  },
  'ollama whole with a decoy in a tool call': {
    reply: ollama.generation,
    streamed: false,
    text: '{"message":{"tool_calls":[{"function":{"arguments":{"eval_count":1}}}]},"done":true,"prompt_eval_count":30,"eval_count":40}',
    reading: exact(30, 40),
  },
  'ollama load': {
    reply: ollama.generation,
    streamed: false,
    text: '{"done":true,"done_reason":"load"}',
    reading: nothingRead,
  },
  'ollama embed': {
    reply: ollama.embedding,
    streamed: false,
    text: '{"embeddings":[[1,2]],"prompt_eval_count":5}',
    reading: exact(5, 0),
  },
  'openai stream': {
    reply: openai.completion,
    streamed: true,
    text: 'data: {"choices":[{"delta":{"content":"青"}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\ndata: [DONE]\n\n',
    reading: exact(9, 2),
  },
  'openai stream whose every event carries a zero usage': {
    reply: openai.completion,
    streamed: true,
    text: 'data: {"choices":[{"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\ndata: {"choices":[],"usage":{"prompt_tokens":6,"completion_tokens":1}}\n\ndata: [DONE]\n\n',
    reading: exact(6, 1),
  },
  'openai whole': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9}}',
    reading: exact(8, 1),
  },
  'responses stream': {
    reply: openai.responses,
    streamed: true,
    text: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\nevent: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":3}}}\n\n',
    reading: exact(4, 3),
  },
  'messages stream': {
    reply: anthropic.message,
    streamed: true,
    text: 'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":99,"output_tokens":0}}}\n\nevent: content_block_delta\r\ndata: {"type":"content_block_delta"}\r\n\r\nevent: message_delta\ndata: {"type":"message_delta","usage":{"input_tokens":13,"output_tokens":21}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    reading: exact(13, 21),
  },
  'messages whole': {
    reply: anthropic.message,
    streamed: false,
    text: '{"type":"message","usage":{"input_tokens":2,"output_tokens":3}}',
    reading: exact(2, 3),
  },
  'messages stream with the prompt only in message_start': {
    reply: anthropic.message,
    streamed: true,
    text: 'data: {"type":"message_start","message":{"usage":{"input_tokens":900,"output_tokens":1}}}\n\ndata: {"type":"content_block_delta","delta":{"text":"a"}}\n\ndata: {"type":"message_delta","usage":{"output_tokens":5}}\n\ndata: {"type":"message_stop"}\n\n',
    reading: exact(900, 5),
  },
  'messages stream whose last event reports zero for figures of the first one': {
    reply: anthropic.message,
    streamed: true,
    text: 'data: {"type":"message_start","message":{"usage":{"input_tokens":900,"cache_read_input_tokens":4000,"cache_creation_input_tokens":50,"output_tokens":1}}}\n\ndata: {"type":"message_delta","usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":5}}\n\ndata: {"type": "message_stop"}\n\n',
    reading: { ...exact(4950, 5), cacheReadTokens: 4000, cacheWriteTokens: 50 },
  },
  'messages whole with a cache': {
    reply: anthropic.message,
    streamed: false,
    text: '{"type":"message","usage":{"input_tokens":2,"cache_creation_input_tokens":7,"cache_read_input_tokens":20,"output_tokens":3}}',
    reading: { ...exact(29, 3), cacheReadTokens: 20, cacheWriteTokens: 7 },
  },
  'openai stream with a cache, which is a part of the prompt': {
    reply: openai.completion,
    streamed: true,
    text: 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":64}}}\n\ndata: [DONE]\n\n',
    reading: { ...exact(90, 2), cacheReadTokens: 64 },
  },
  'responses whole with a cache': {
    reply: openai.responses,
    streamed: false,
    text: '{"output":[],"usage":{"input_tokens":40,"input_tokens_details":{"cached_tokens":32},"output_tokens":3}}',
    reading: { ...exact(40, 3), cacheReadTokens: 32 },
  },
  'openai stream with reasoning, which is a part of the completion': {
    reply: openai.completion,
    streamed: true,
    text: 'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7,"completion_tokens_details":{"reasoning_tokens":5}}}\n\ndata: [DONE]\n\n',
    reading: { ...exact(9, 7), reasoningTokens: 5 },
  },
  'responses whole with reasoning': {
    reply: openai.responses,
    streamed: false,
    text: '{"output":[],"usage":{"input_tokens":40,"output_tokens":30,"output_tokens_details":{"reasoning_tokens":20}}}',
    reading: { ...exact(40, 30), reasoningTokens: 20 },
  },
  'messages whole with thinking': {
    reply: anthropic.message,
    streamed: false,
    text: '{"type":"message","usage":{"input_tokens":2,"output_tokens":30,"output_tokens_details":{"thinking_tokens":25}}}',
    reading: { ...exact(2, 30), reasoningTokens: 25 },
  },
  'sglang, which puts the reasoning beside the completion': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"total_tokens":12,"completion_tokens":4,"prompt_tokens_details":null,"reasoning_tokens":2}}',
    reading: { ...exact(8, 4), reasoningTokens: 2 },
  },
  'deepseek, which puts the cache beside the prompt': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":4,"prompt_cache_hit_tokens":6,"prompt_cache_miss_tokens":2}}',
    reading: { ...exact(8, 4), cacheReadTokens: 6 },
  },
  'a proxy that writes both spellings of the cache, whose prompt is the whole one': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":80,"completion_tokens":4,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"prompt_tokens_details":{"cached_tokens":60}}}',
    reading: { ...exact(80, 4), cacheReadTokens: 60, cacheWriteTokens: 10 },
  },
  'parts that are larger than the whole': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":900},"completion_tokens_details":{"reasoning_tokens":900}}}',
    reading: { ...exact(8, 4), cacheReadTokens: 6, cacheWriteTokens: 2, reasoningTokens: 4 },
  },
  'parts that are no counts': {
    reply: openai.completion,
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":-6},"completion_tokens_details":{"reasoning_tokens":"4"}}}',
    reading: exact(8, 4),
  },
  'openai stream with lines that end with CR alone': {
    reply: openai.completion,
    streamed: true,
    text: ': hello\rdata: {"choices":[{"delta":{}}]}\r\revent: x\rdata: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2}}\r\rdata: [DONE]\r\r',
    reading: exact(9, 2),
  },
  'openai stream with data on several lines, after a byte order mark': {
    reply: openai.completion,
    streamed: true,
    text: '\ufeffdata: {"choices":[{"delta":{}}]}\n\nid: 7\ndata: {"choices":[],\ndata: "usage":{"prompt_tokens":9,\ndata:"completion_tokens":2}}\n\ndata: [DONE]\n\n',
    reading: exact(9, 2),
  },
  'ollama stream with a second done line': {
    reply: ollama.generation,
    streamed: true,
    text: '{"done":false}\n{"done":true,"prompt_eval_count":11,"eval_count":7}\n{"done":true,"prompt_eval_count":1,"eval_count":4000}\n',
    reading: exact(11, 7),
  },
  'transcription with figures': {
    reply: openai.transcription,
    streamed: false,
    text: '{"text":"hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":3}}',
    reading: exact(14, 3),
  },
  'transcription counted by its length': {
    reply: openai.transcription,
    streamed: false,
    text: '{"text":"hello hello.","usage":{"type":"duration","seconds":3}}',
    reading: { ...exact(77, 3), source: 'estimated' },
  },
};

describe('P11: reads the same figures wherever the bytes are cut', () => {
  test.each(Object.entries(cases))('%s', (_, { reply, streamed, text, reading }) => {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const meter = meterFor(reply, streamed, guess(77));
      meter.see(bytes.subarray(0, cut));
      meter.see(bytes.subarray(cut));
      expect(meter.end()).toBe(true);
      expect(meter.read()).toEqual(reading);
    }
    const meter = meterFor(reply, streamed, guess(77));
    for (const byte of bytes) meter.see(Buffer.from([byte]));
    expect(meter.end()).toBe(true);
    expect(meter.read()).toEqual(reading);
  });
});

describe('estimates when no figure arrived, and knows that the end is missing', () => {
  test.each(Object.entries(cases).filter(([, { streamed }]) => streamed))('%s cut short', (_, { reply, text }) => {
    const meter = meterFor(reply, true, guess(77));
    meter.see(Buffer.from(text.slice(0, text.search(/[\r\n]/) + 1)));
    expect(meter.end()).toBe(false);
    expect(meter.read()).toMatchObject({
      promptTokens: /"input_tokens":(?<said>[1-9]\d*)/.test(text.split('\n')[0] as string) ? expect.any(Number) : 77,
      source: 'estimated',
    });
  });
  test('the prompt of a cut message is the one reported at its start', () => {
    const meter = meterFor(anthropic.message, true, guess(77));
    meter.see(
      Buffer.from('data: {"type":"message_start","message":{"usage":{"input_tokens":900,"output_tokens":1}}}\n\n'),
    );
    for (let i = 0; i < 5; i++) meter.see(Buffer.from('data: {"type":"content_block_delta"}\n\n'));
    meter.end();
    expect(meter.read()).toMatchObject({ promptTokens: 900, completionTokens: 5, source: 'estimated' });
  });
  test('usage in only the first of many pieces is not the usage of the answer', () => {
    const meter = meterFor(openai.completion, true, guess(77));
    meter.see(Buffer.from('data: {"choices":[{}],"usage":{"prompt_tokens":10,"completion_tokens":1}}\n\n'));
    for (let i = 0; i < 50; i++) meter.see(Buffer.from('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'));
    meter.see(Buffer.from('data: [DONE]\n\n'));
    expect(meter.read()).toMatchObject({ promptTokens: 10, completionTokens: 51, source: 'estimated' });
  });
  const text = 'x'.repeat(40_000);
  test.each([
    [
      ollama.generation,
      `{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":"${text}"}}}]},"done":false}\n`,
    ],
    [ollama.generation, `{"message":{"content":"${text.repeat(4)}"},"done":false}\n`],
    [openai.completion, `data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"${text}"}}]}}]}\n\n`],
    [
      openai.completion,
      `data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"${text.repeat(4)}"}}]}}]}\n\n`,
    ],
    [openai.responses, `data: {"type":"response.function_call_arguments.delta","delta":"${text}"}\n\n`],
    [
      openai.responses,
      `data: {"type":"response.output_item.done","item":{"type":"function_call","arguments":"${text}"}}\n\n`,
    ],
    [anthropic.message, `data: {"type":"content_block_delta","delta":{"partial_json":"${text}"}}\n\n`],
    [
      anthropic.message,
      `data: {"type":"content_block_start","content_block":{"type":"tool_use","input":{"a":"${text}"}}}\n\n`,
    ],
  ] as const)('a tool call in one piece counts by its bytes (%#)', (reply, piece) => {
    const meter = meterFor(reply, true, guess(77));
    meter.see(Buffer.from(piece));
    meter.end();
    const { completionTokens, source } = meter.read();
    expect([Math.round((completionTokens * 4) / piece.length), source]).toEqual([1, 'estimated']);
  });
  test('the probabilities beside a token do not count as text', () => {
    const meter = meterFor(openai.completion, true, guess(77));
    const others = Array.from({ length: 40 }, (_, i) => ({ token: `t${i}`, logprob: -i, bytes: [1, 2] }));
    const logprobs = JSON.stringify([{ token: 'a', logprob: 0, top_logprobs: others }]);
    meter.see(Buffer.from(`data: {"choices":[{"delta":{"content":"a"},"logprobs":{"content":${logprobs}}}]}\n\n`));
    meter.end();
    expect(meter.read().completionTokens).toBe(1);
  });
  test('an error line ends a stream and is not counted as an answer', () => {
    const meter = meterFor(ollama.generation, true, guess(7));
    meter.see(Buffer.from('{"done":false}\n{"error":"out of memory"}\n'));
    expect([meter.end(), meter.errorSeen, meter.read().completionTokens]).toEqual([true, true, 1]);
  });
});

test.each(['date', 'dxxx', ' data', 'event'])('a figure in a line that begins with %j is ignored', (field) => {
  const meter = meterFor(openai.completion, true, guess(7));
  meter.see(
    Buffer.from(`${field}: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n`),
  );
  expect([meter.end(), meter.read().source]).toEqual([true, 'estimated']);
});

test.each([-1, 1.5, 1e30, '"5"', 'null', 'true'])('P12: a count of %s is ignored', (figure) => {
  for (const streamed of [true, false]) {
    const meter = meterFor(ollama.generation, streamed, guess(7));
    meter.see(Buffer.from(`{"done":true,"prompt_eval_count":3,"eval_count":${figure}}\n`));
    meter.end();
    expect(meter.read().source).toBe('estimated');
  }
});

test('P10: a line of 100 MB costs neither memory nor quadratic time, and the figures after it are found', () => {
  const meter = meterFor(ollama.generation, true, guess(0));
  const chunk = Buffer.alloc(64 * 1024, 0x61);
  for (let i = 0; i < 1600; i++) meter.see(chunk);
  meter.see(Buffer.from('\n{"done":true,"prompt_eval_count":1,"eval_count":2}\n'));
  expect([meter.end(), meter.read()]).toEqual([true, exact(1, 2)]);
});

describe('impossible figures are ignored', () => {
  const at = (ms: number) => () => ms;
  test.each([2 ** 53 - 1, 1e15, 50_000])('a completion of %d tokens in no time and a few bytes', (figure) => {
    for (const streamed of [true, false]) {
      const meter = meterFor(ollama.generation, streamed, guess(7, 100), at(0));
      meter.see(Buffer.from(`{"response":"abc","done":true,"prompt_eval_count":3,"eval_count":${figure}}\n`));
      meter.end();
      expect(meter.read().completionTokens).toBeLessThan(100);
      expect(meter.read()).toMatchObject({ promptTokens: 3, source: 'estimated' });
    }
  });
  test('a prompt that neither the bytes nor the time can explain', () => {
    for (const usage of [
      { prompt_tokens: 2 ** 53 - 1, completion_tokens: 4 },
      { input_tokens: 1, cache_read_input_tokens: 2 ** 53 - 1, output_tokens: 4 },
    ]) {
      const meter = meterFor(openai.completion, false, guess(7, 100), at(0));
      meter.see(Buffer.from(JSON.stringify({ usage })));
      meter.end();
      expect(meter.read()).toEqual({ ...exact(7, 4), source: 'estimated' });
    }
  });
  test('but not hidden reasoning that took its time, nor a prompt that the server cached', () => {
    let ms = 0;
    const meter = meterFor(openai.completion, false, guess(7, 100), () => ms);
    ms = 20_000;
    meter.see(Buffer.from('{"usage":{"prompt_tokens":200000,"completion_tokens":64000}}'));
    meter.end();
    expect(meter.read()).toEqual(exact(200_000, 64_000));
  });
});

describe('an answer with an error status', () => {
  const read = (reply: Reply, type: string, body: string): Reading => {
    const meter = failedMeterFor(reply, type, guess(77));
    meter.see(Buffer.from(body));
    expect(meter.end()).toBe(true);
    return meter.read();
  };
  test.each([
    ['{"error":"model runner has unexpectedly stopped"}', 'application/json'],
    ['{"error":{"message":"no"}}', 'application/json'],
    ['{"object":"error","message":"no","code":500}', 'application/json'],
    [`<html>${'x'.repeat(9_000)}</html>`, 'text/html'],
    ['Bad Gateway', 'text/plain'],
  ])('costs nothing when it only reports the error: %s', (body, type) => {
    for (const reply of [ollama.generation, openai.completion, anthropic.message] as const)
      expect(read(reply, type, body)).toEqual(nothingRead);
  });
  test('costs the usage it reports, otherwise what its text shows', () => {
    const said = '{"choices":[{"message":{"content":"abc"}}],"usage":{"prompt_tokens":9,"completion_tokens":4}}';
    expect(read(openai.completion, 'application/json', said)).toEqual(exact(9, 4));
    const shown = `{"response":"${'x'.repeat(4_000)}","done":false}`;
    expect(read(ollama.generation, 'application/json', shown)).toMatchObject({
      promptTokens: 77,
      source: 'estimated',
    });
    expect(read(ollama.generation, 'application/json', shown).completionTokens).toBeGreaterThan(1_000);
    const lines = '{"response":"a","done":false}\n{"response":"b","done":false}\n{"error":"out of memory"}\n';
    expect(read(ollama.generation, 'application/x-ndjson', lines).completionTokens).toBe(2);
    const huge = `{"choices":[{"message":{"content":"${'x'.repeat(200_000)}"}}]}`;
    expect(read(openai.completion, 'application/json', huge).completionTokens).toBeGreaterThan(50_000);
  });
});

describe('of a long answer only the figures are held', () => {
  const mib = Buffer.alloc(1024 * 1024, 'x');
  const heldAfter = (see: () => void): number => {
    const before = process.memoryUsage().external;
    see();
    return process.memoryUsage().external - before;
  };
  test('a whole one of 64 MiB', () => {
    const meter = meterFor(openai.completion, false, guess(7));
    meter.see(Buffer.from('{"choices":[{"message":{"content":"'));
    expect(heldAfter(() => Array.from({ length: 64 }, () => meter.see(mib)))).toBeLessThan(2 ** 20);
    meter.see(Buffer.from('"}}],"usage":{"prompt_tokens":5,"completion_tokens":6}}'));
    meter.end();
    expect(meter.read()).toEqual(exact(5, 6));
  });
  test('an event of 64 MiB, and the figures in it and after it are found', () => {
    const meter = meterFor(openai.responses, true, guess(7));
    meter.see(Buffer.from('event: response.output_item.done\ndata: {"type":"response.output_item.done","item":"'));
    expect(heldAfter(() => Array.from({ length: 64 }, () => meter.see(mib)))).toBeLessThan(2 ** 20);
    meter.see(Buffer.from('"}\n\ndata: {"type":"response.completed","response":{"output":["'));
    for (let i = 0; i < 8; i++) meter.see(mib);
    meter.see(Buffer.from('"],"usage":{"input_tokens":5,"output_tokens":6}}}\n\n'));
    expect([meter.end(), meter.read()]).toEqual([true, exact(5, 6)]);
  });
});
