import { describe, expect, test } from 'vitest';
import { meterFor, type Reading } from './meter.ts';
import type { ReplyKind } from './operation.ts';
import { UsageFilter } from './usage-filter.ts';

interface Case {
  reply: ReplyKind;
  streamed: boolean;
  text: string;
  reading: Reading;
}
const exact = (promptTokens: number, completionTokens: number): Reading => ({
  promptTokens,
  completionTokens,
  source: 'exact',
});

const cases: Record<string, Case> = {
  'ollama stream': {
    reply: 'ollama-generation',
    streamed: true,
    text: '{"message":{"content":"空\\"done\\":true"},"done":false}\n{"message":{"content":"は"},"done":false}\n{"done":true,"prompt_eval_count":11,"eval_count":7}\n',
    reading: exact(11, 7),
  },
  'ollama whole': {
    reply: 'ollama-generation',
    streamed: false,
    text: '{"response":"\\"eval_count\\":99","done":true,"prompt_eval_count":3,"eval_count":4}',
    reading: exact(3, 4),
  },
  'ollama whole with a decoy in a tool call': {
    reply: 'ollama-generation',
    streamed: false,
    text: '{"message":{"tool_calls":[{"function":{"arguments":{"eval_count":1}}}]},"done":true,"prompt_eval_count":30,"eval_count":40}',
    reading: exact(30, 40),
  },
  'ollama load': {
    reply: 'ollama-generation',
    streamed: false,
    text: '{"done":true,"done_reason":"load"}',
    reading: { promptTokens: 0, completionTokens: 0, source: 'none' },
  },
  'ollama embed': {
    reply: 'ollama-embedding',
    streamed: false,
    text: '{"embeddings":[[1,2]],"prompt_eval_count":5}',
    reading: exact(5, 0),
  },
  'openai stream': {
    reply: 'openai-completion',
    streamed: true,
    text: 'data: {"choices":[{"delta":{"content":"青"}}]}\n\ndata: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}\n\ndata: [DONE]\n\n',
    reading: exact(9, 2),
  },
  'openai stream whose every event carries a zero usage': {
    reply: 'openai-completion',
    streamed: true,
    text: 'data: {"choices":[{"text":"a"}],"usage":{"prompt_tokens":0,"completion_tokens":0}}\n\ndata: {"choices":[],"usage":{"prompt_tokens":6,"completion_tokens":1}}\n\ndata: [DONE]\n\n',
    reading: exact(6, 1),
  },
  'openai whole': {
    reply: 'openai-completion',
    streamed: false,
    text: '{"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":1,"total_tokens":9}}',
    reading: exact(8, 1),
  },
  'responses stream': {
    reply: 'openai-responses',
    streamed: true,
    text: 'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"a"}\n\nevent: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":3}}}\n\n',
    reading: exact(4, 3),
  },
  'messages stream': {
    reply: 'anthropic-messages',
    streamed: true,
    text: 'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":99,"output_tokens":0}}}\n\nevent: content_block_delta\r\ndata: {"type":"content_block_delta"}\r\n\r\nevent: message_delta\ndata: {"type":"message_delta","usage":{"input_tokens":13,"output_tokens":21}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
    reading: exact(13, 21),
  },
  'messages whole': {
    reply: 'anthropic-messages',
    streamed: false,
    text: '{"type":"message","usage":{"input_tokens":2,"output_tokens":3}}',
    reading: exact(2, 3),
  },
};

describe('P11: reads the same figures wherever the bytes are cut', () => {
  test.each(Object.entries(cases))('%s', (_, { reply, streamed, text, reading }) => {
    const bytes = Buffer.from(text);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const meter = meterFor(reply, streamed, 77);
      meter.see(bytes.subarray(0, cut));
      meter.see(bytes.subarray(cut));
      expect(meter.end()).toBe(true);
      expect(meter.read()).toEqual(reading);
    }
    const meter = meterFor(reply, streamed, 77);
    for (const byte of bytes) meter.see(Buffer.from([byte]));
    expect(meter.end()).toBe(true);
    expect(meter.read()).toEqual(reading);
  });
});

describe('estimates where no figure came, and knows that the end is missing', () => {
  test.each(Object.entries(cases).filter(([, { streamed }]) => streamed))('%s cut short', (_, { reply, text }) => {
    const meter = meterFor(reply, true, 77);
    meter.see(Buffer.from(text.slice(0, text.indexOf('\n') + 1)));
    expect(meter.end()).toBe(false);
    expect(meter.read()).toMatchObject({ promptTokens: 77, source: 'estimated' });
  });
  test('an error line ends a stream and is not counted as an answer', () => {
    const meter = meterFor('ollama-generation', true, 7);
    meter.see(Buffer.from('{"done":false}\n{"error":"out of memory"}\n'));
    expect([meter.end(), meter.errorSeen, meter.read().completionTokens]).toEqual([true, true, 1]);
  });
});

test.each(['date', 'dxxx', ' data', 'event'])('a figure in a line of events that begins with %j is none', (field) => {
  const meter = meterFor('openai-completion', true, 7);
  meter.see(
    Buffer.from(`${field}: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\ndata: [DONE]\n`),
  );
  expect([meter.end(), meter.read().source]).toEqual([true, 'estimated']);
});

test.each([-1, 1.5, 1e30, '"5"', 'null', 'true'])('P12: a count of %s is no count', (figure) => {
  for (const streamed of [true, false]) {
    const meter = meterFor('ollama-generation', streamed, 7);
    meter.see(Buffer.from(`{"done":true,"prompt_eval_count":3,"eval_count":${figure}}\n`));
    meter.end();
    expect(meter.read().source).toBe('estimated');
  }
});

test('P10: a line of 100 MB costs neither memory nor quadratic time, and the figures after it are found', () => {
  const meter = meterFor('ollama-generation', true, 0);
  const chunk = Buffer.alloc(64 * 1024, 0x61);
  for (let i = 0; i < 1600; i++) meter.see(chunk);
  meter.see(Buffer.from('\n{"done":true,"prompt_eval_count":1,"eval_count":2}\n'));
  expect([meter.end(), meter.read()]).toEqual([true, exact(1, 2)]);
});

describe('takes back out exactly what asking for usage put in', () => {
  const asked =
    'data: {"choices":[{"text":"a \\"usage\\""}],"usage":{"prompt_tokens":0}}\n\ndata: {"usage":null,"choices":[{"text":"b"}]}\n\ndata: {"id":1, "usage" : null}\n\ndata: {"choices":[],"usage":{"prompt_tokens":6}}\n\ndata: [DONE]\n\n';
  const plain =
    'data: {"choices":[{"text":"a \\"usage\\""}]}\n\ndata: {"choices":[{"text":"b"}]}\n\ndata: {"id":1}\n\ndata: [DONE]\n\n';
  test('wherever the bytes are cut', () => {
    const bytes = Buffer.from(asked);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const filter = new UsageFilter();
      const out = Buffer.concat([filter.push(bytes.subarray(0, cut)), filter.push(bytes.subarray(cut)), filter.end()]);
      expect(out.toString()).toBe(plain);
    }
  });
  test('with CRLF line ends too', () => {
    const [crlfAsked, crlfPlain] = [asked, plain].map((text) => text.replaceAll('\n', '\r\n'));
    const bytes = Buffer.from(crlfAsked!);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const filter = new UsageFilter();
      const early = filter.push(bytes.subarray(0, cut));
      const out = Buffer.concat([early, filter.push(bytes.subarray(cut)), filter.end()]);
      expect(out.toString()).toBe(crlfPlain);
      // Whole events do not wait for the end of the stream.
      if (cut === bytes.length) expect(early.toString()).toBe(crlfPlain);
    }
  });
  test.each([
    ['{"usage":null\r,"a":1}', '{"a":1}'],
    ['{"a":1\r\t,"usage" :\r{},"b":2}', '{"a":1\r\t,"b":2}'],
    ['{\r"usage":{}\r}', '{}'],
  ])('whatever JSON takes for space stands around it: %j', (json, left) => {
    const filter = new UsageFilter();
    const out = Buffer.concat([filter.push(Buffer.from(`data: ${json}\n\n`)), filter.end()]).toString();
    expect(JSON.parse(out.slice(6))).toEqual(JSON.parse(left));
  });
  test('a stream without it goes by as it came', () => {
    const filter = new UsageFilter();
    expect(Buffer.concat([filter.push(Buffer.from(plain)), filter.end()]).toString()).toBe(plain);
  });
});
