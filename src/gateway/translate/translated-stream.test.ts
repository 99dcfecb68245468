import { describe, expect, test } from 'vitest';
import type { Screen } from '../../upstream/screen.ts';
import { operations } from '../operation.ts';
import { mostEventBytes, TranslatedStream } from './translated-stream.ts';
import type { Answering } from './translation.ts';
import { translations } from './translations.ts';

const screen = { sentence: (text: string) => text, word: (text: unknown) => text } as unknown as Screen;

/** What a caller of this route gets of a server's stream that arrives in these pieces. */
function translate(
  path: string,
  body: object,
  pieces: readonly Buffer[],
  take: Answering['take'] = () => undefined,
): string {
  const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const target = { contextOf: () => undefined, takes: { sampling: {} } };
  const translated = translations.get(path)?.({ bytes, stream: true, usageInjected: false, model: 'm' }, target);
  const operation = operations.find((each) => each.path === path);
  if (!translated || 'own' in translated || !operation) throw new Error(path);
  const answering = { model: 'm', requestId: 'req_1', at: 0, elapsedMs: () => 5, take };
  const stream = new TranslatedStream(
    translated,
    answering,
    { frames: operation.frames, id: 'req_1' as never },
    screen,
  );
  return Buffer.concat([...pieces.map((piece) => stream.push(piece)), stream.end()]).toString();
}

const chat = { messages: [{ role: 'user', content: 'x' }] };
const whole = (text: string, path = '/api/chat', body: object = chat): string =>
  translate(path, body, [Buffer.from(text)]);
const event = (delta: object, more: object = {}): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, ...more }] })}\n\n`;
const call = (fields: object): string => event({ tool_calls: [{ index: 0, ...fields }] });
const done = 'data: [DONE]\n\n';
const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } })}\n\n`;

const answer = [
  ': a comment\n\n',
  event({ role: 'assistant', content: '' }),
  event({ reasoning_content: '考え🤔' }),
  'event: message\nid: 7\ndata: {"choices":[{"index":0,\ndata: "delta":{"content":"空は\\n青い"}}]}\n\n',
  call({ id: 'c', function: { name: 'f', arguments: '{"a":' } }),
  call({ function: { arguments: '"🌊\\n",\n"n":12345678901234567890}' } }),
  event({}, { finish_reason: 'tool_calls' }),
  usage,
  done,
].join('');

describe('a stream is translated', () => {
  const expected = whole(answer);

  test('to lines that are whole, with what the server said', () => {
    const lines = expected.trimEnd().split('\n');
    const created = '"created_at":"1970-01-01T00:00:00.005Z"';
    expect(lines).toEqual([
      `{"model":"m",${created},"message":{"role":"assistant","content":"","thinking":"考え🤔"},"done":false}`,
      `{"model":"m",${created},"message":{"role":"assistant","content":"空は\\n青い"},"done":false}`,
      `{"model":"m",${created},"message":{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"index":0,"name":"f","arguments":{"a":"🌊\\n", "n":12345678901234567890}}}]},"done":false}`,
      `{"model":"m",${created},"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":5000000,"prompt_eval_count":3,"prompt_eval_duration":5000000,"eval_count":2}`,
    ]);
  });

  test.each(['\n', '\r\n', '\r'])('to the same wherever its bytes are cut, with lines that end with %j', (end) => {
    const bytes = Buffer.from(`\ufeff${answer.replaceAll('\n', end)}`);
    for (let cut = 0; cut <= bytes.length; cut++)
      expect(translate('/api/chat', chat, [bytes.subarray(0, cut), bytes.subarray(cut)])).toBe(expected);
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    expect(translate('/api/chat', chat, single)).toBe(expected);
  });

  test('to nothing more after its end mark or an error', () => {
    expect(whole(answer + event({ content: 'more' }) + done)).toBe(expected);
    const failed = `${event({ content: 'a' })}data: {"error":{"message":"out of memory"}}\n\n${event({ content: 'b' })}${done}`;
    const lines = whole(failed).trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(JSON.parse(lines[1] as string)).toEqual({ error: 'out of memory' });
    expect(whole('event: error\ndata: boom\n\n').trimEnd()).toBe('{"error":"boom"}');
  });

  test('without a last line if its end mark is missing', () => {
    expect(whole(event({ content: 'a' }))).not.toContain('"done":true');
    expect(whole(`${event({ content: 'a' }, { finish_reason: 'stop' })}data: [DONE]`)).toContain('"done":true');
  });

  test('with all tool calls, as they come and each once', () => {
    const two = [
      event({ tool_calls: [{ index: 1, id: 'b', function: { name: 'g', arguments: '' } }] }),
      event({ tool_calls: [{ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }] }),
      event({}, { finish_reason: 'tool_calls' }),
      done,
    ].join('');
    const calls = whole(two)
      .trimEnd()
      .split('\n')
      .flatMap((line) => (JSON.parse(line) as { message: { tool_calls?: object[] } }).message.tool_calls ?? []);
    expect(calls).toEqual([
      { id: 'b', function: { index: 0, name: 'g', arguments: {} } },
      { id: 'a', function: { index: 1, name: 'f', arguments: {} } },
    ]);
  });

  test('with the server’s own times where it says them', () => {
    const timings = { cache_n: 4, prompt_n: 6, prompt_ms: 2, predicted_n: 3, predicted_ms: 1.5 };
    const last = whole(
      `${event({ content: 'a' }, { finish_reason: 'stop' })}data: ${JSON.stringify({ choices: [], timings })}\n\n${done}`,
    );
    expect(JSON.parse(last.trimEnd().split('\n').at(-1) as string)).toMatchObject({
      prompt_eval_count: 10,
      prompt_eval_duration: 2_000_000,
      eval_count: 3,
      eval_duration: 1_500_000,
    });
  });
});

describe('a hostile stream ends the call', () => {
  test.each([
    ['an endless line', `data: ${'x'.repeat(mostEventBytes)}`],
    ['an endless event', `data: {"a":"${'x\ndata: '.repeat(mostEventBytes / 4)}`],
    ['an endless comment', `:${'x'.repeat(mostEventBytes)}`],
    ['no JSON', 'data: {"choices":[}\n\n'],
    ['no object', 'data: [1]\n\n'],
    ['several choices', 'data: {"choices":[{"index":0},{"index":1}]}\n\n'],
    ['a second choice', 'data: {"choices":[{"index":1,"delta":{"content":"x"}}]}\n\n'],
    ['a tool call at a place that is none', event({ tool_calls: [{ index: -1, function: {} }] })],
    ['more tool calls than are plausible', event({ tool_calls: [{ index: 1e9, function: {} }] })],
    ['arguments that are no object', call({ function: { name: 'f', arguments: '[]' } }) + done],
    ['arguments that break off', call({ function: { name: 'f', arguments: '{"a":' } }) + done],
    ['arguments with a second object', call({ function: { name: 'f', arguments: '{}{}' } }) + done],
    ['arguments that are nested too deep', call({ function: { name: 'f', arguments: `{"a":${'['.repeat(64)}` } })],
    ['endless arguments', call({ function: { name: 'f', arguments: 'x'.repeat(500_000) } }).repeat(9)],
  ])('with %s', (_, text) => {
    expect(() => whole(text)).toThrow(expect.objectContaining({ code: 'upstream_failed' }) as Error);
  });

  test('with arguments for a call that is over', () => {
    const begun = call({ function: { name: 'f', arguments: '' } }) + event({ refusal: 'x' });
    const late = begun + call({ function: { arguments: '{}' } });
    expect(() => whole(late, '/v1/messages', { ...chat, max_tokens: 1 })).toThrow(/go on after their end/);
  });

  test('and pays for what it lets the gateway collect', () => {
    let taken = 0;
    const piece = Buffer.from(call({ function: { name: 'f', arguments: 'x'.repeat(1000) } }));
    translate('/api/chat', chat, [piece, piece, piece, piece], (bytes) => (taken += bytes));
    expect(taken).toBe(8000);
  });
});

test('the text of a generation is translated too, of both routes', () => {
  const prompt = { prompt: 'x' };
  const end = { finish_reason: 'stop' };
  expect(whole(event({ content: 'a' }, end) + done, '/api/generate', prompt)).toContain('"response":"a","done":false');
  const text = `data: ${JSON.stringify({ choices: [{ index: 0, text: 'a', ...end }] })}\n\n${done}`;
  const raw = { ...prompt, raw: true, options: { num_predict: 5 } };
  expect(whole(text, '/api/generate', raw)).toContain('"response":"a","done":false');
});
