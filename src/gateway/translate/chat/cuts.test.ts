// However a server's bytes are cut into pieces, callers of every dialect get the same.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Screen } from '../../../upstream/screen.ts';
import { CompletionEvents } from '../completions/stream.ts';
import { MessageEvents } from '../messages/stream.ts';
import { ResponseEvents } from '../responses/stream.ts';
import { TranslatedStream } from '../translated-stream.ts';
import type { Answering, StreamWriter } from '../translation.ts';

const frames = { areEvents: true, endWith: () => true, spellError: () => 'e', spellModelError: () => 'm' };
const screen = new Screen({ secrets: [] }, new URL('http://127.0.0.1'));
const answering: Answering = { model: 'm', requestId: 'req_1', at: 0, elapsedMs: () => 0, take: () => undefined };

const chat = [
  ': a comment',
  'data: {"choices":[{"index":0,"delta":{"reasoning_content":"考え🌊"}}]}',
  'event: message\r\ndata: {"choices":[{"index":0,\r\ndata: "delta":{"content":"空"}}]}',
  'data:{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"name":"n","arguments":"{\\"x\\":"}},{"index":1,"id":"b","function":{"name":"n","arguments":"{}"}}]}}]}',
  'data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\"🌊}\\"}"}}]}}]}',
  'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}',
  'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}',
  'data: [DONE]',
];
const claude = [
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":1}}}',
  'data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"n","input":{}}}',
  'data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\\"x\\":\\"🌊\\"}"}}',
  'data: {"type":"content_block_stop","index":0}',
  'data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":2}}',
  'event: message_stop\ndata: {"type":"message_stop"}',
];

const asked = { stops: [], begun: '', omitsThinking: false };
const cases: readonly [string, readonly string[], (answering: Answering) => StreamWriter][] = [
  ['messages', chat, (to) => new MessageEvents(asked, to)],
  ['responses', chat, (to) => new ResponseEvents({ summarizes: false, begun: '', repeated: {} }, to)],
  ['completions', claude, (to) => new CompletionEvents(to, true)],
];

test.each(cases)('%s', (_, events, open) => {
  const read = (bytes: Buffer, cuts: readonly number[]): string => {
    const translated = { path: '', members: new Map<string, string>(), whole: () => '', stream: open };
    const stream = new TranslatedStream(translated, answering, { frames, id: 'req_1' } as never, screen);
    const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
    let text = '';
    for (let at = 1; at < places.length; at++)
      text += stream.push(bytes.subarray(places[at - 1], places[at])).toString();
    return text + stream.end().toString();
  };
  for (const end of ['\n\n', '\r\n\r\n', '\r\r']) {
    const bytes = Buffer.from(events.map((event) => event + end).join(''));
    const whole = read(bytes, []);
    expect(whole).toContain('🌊');
    const places = fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 40 });
    fc.assert(
      fc.property(places, (cuts) => {
        expect(read(bytes, cuts)).toBe(whole);
      }),
      { numRuns: 60 },
    );
    // Byte by byte.
    expect(read(bytes, [...bytes.keys()])).toBe(whole);
  }
});
