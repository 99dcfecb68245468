import { describe, expect, test } from 'vitest';
import type { Fields } from '../../../upstream/kind.ts';
import type { Answering } from '../translation.ts';
import type { MessagesAsked } from './request.ts';
import { MessageEvents } from './stream.ts';
import { wholeMessage } from './whole.ts';

const answering: Answering = {
  model: 'm',
  requestId: 'req_1',
  at: 0,
  elapsedMs: () => 0,
  take: () => undefined,
};
const asked: MessagesAsked = { stops: ['END'], begun: '', omitsThinking: false };

const delta = (fields: object, more: object = {}): Fields => ({ choices: [{ index: 0, delta: fields, ...more }] });
const end = (reason: string, more: object = {}): Fields => delta({}, { finish_reason: reason, ...more });
const call = (index: number, text: string, more: object = {}): object => ({
  index,
  function: { arguments: text },
  ...more,
});
const begin = (index: number, id: string, text = ''): object => ({
  index,
  id,
  function: { name: `n${id}`, arguments: text },
});
const usage: Fields = {
  choices: [],
  usage: {
    prompt_tokens: 10,
    completion_tokens: 5,
    prompt_tokens_details: { cached_tokens: 8 },
    completion_tokens_details: { reasoning_tokens: 2 },
  },
};

interface Event {
  readonly type: string;
  readonly [name: string]: unknown;
}

function stream(events: readonly Fields[], terms = asked): Event[] {
  const writer = new MessageEvents(terms, answering);
  const text = events.map((event) => writer.event(event)).join('') + writer.end();
  return text
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => {
      const [name = '', data = ''] = frame.split('\n');
      const event = JSON.parse(data.slice('data: '.length)) as Event;
      expect(name).toBe(`event: ${event.type}`);
      return event;
    });
}

/** The blocks of a stream, put together as a client does. */
function blocksOf(events: readonly Event[]): Record<string, unknown>[] {
  const blocks: Record<string, unknown>[] = [];
  let open: number | undefined;
  for (const event of events)
    if (event.type === 'content_block_start') {
      expect(open).toBeUndefined();
      open = event['index'] as number;
      expect(open).toBe(blocks.length);
      blocks.push({ ...(event['content_block'] as object) });
    } else if (event.type === 'content_block_delta') {
      expect(event['index']).toBe(open);
      const { type, ...fields } = event['delta'] as Record<string, string>;
      const block = blocks[open as number] as Record<string, unknown>;
      for (const [name, text] of Object.entries(fields))
        block[name] = ((block[name] as string | undefined) ?? '') + text;
      expect(type).toMatch(/^(text|thinking|signature|input_json)_delta$/);
    } else if (event.type === 'content_block_stop') {
      expect(event['index']).toBe(open);
      open = undefined;
    }
  expect(open).toBeUndefined();
  return blocks.map(({ partial_json: json, ...block }) =>
    json === undefined ? block : { ...block, input: JSON.parse(json as string) as unknown },
  );
}

test('a stream is the events of a message, in their order', () => {
  const events = stream([
    delta({ role: 'assistant', content: '' }),
    delta({ content: 'a' }),
    delta({ content: 'b' }),
    end('stop'),
    usage,
  ]);
  expect(events.map(({ type }) => type)).toEqual([
    'message_start',
    'ping',
    'content_block_start',
    'content_block_delta',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
  expect(events[0]?.['message']).toMatchObject({ id: 'msg_req1', model: 'm', role: 'assistant', content: [] });
  expect(events.at(-2)).toEqual({
    type: 'message_delta',
    delta: { stop_reason: 'end_turn', stop_sequence: null },
    usage: {
      input_tokens: 2,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 8,
      output_tokens: 5,
      output_tokens_details: { thinking_tokens: 2 },
    },
  });
});

test('thoughts, text and calls are blocks one after the other', () => {
  const events = stream([
    delta({ reasoning_content: 'h' }),
    delta({ reasoning: 'm' }),
    delta({ content: 'text' }),
    delta({ tool_calls: [begin(0, 'a')] }),
    delta({ tool_calls: [call(0, '{"x":')] }),
    delta({ tool_calls: [call(0, '"}"}')] }),
    delta({ tool_calls: [begin(1, 'b', '{}')] }),
    end('tool_calls'),
    usage,
  ]);
  expect(blocksOf(events)).toEqual([
    { type: 'thinking', thinking: 'hm', signature: '' },
    { type: 'text', text: 'text', citations: null },
    { type: 'tool_use', id: 'a', name: 'na', input: { x: '}' } },
    { type: 'tool_use', id: 'b', name: 'nb', input: {} },
  ]);
  expect(events.at(-2)?.['delta']).toEqual({ stop_reason: 'tool_use', stop_sequence: null });
});

test('the pieces of several calls may be mixed, and text may come between them', () => {
  const blocks = blocksOf(
    stream([
      delta({ tool_calls: [begin(0, 'a'), begin(1, 'b'), begin(2, 'c')] }),
      delta({ tool_calls: [call(1, '{"b"'), call(0, '{"a":')] }),
      delta({ content: 'late' }),
      delta({ tool_calls: [call(1, ':2}'), call(0, '1}')] }),
      end('tool_calls'),
    ]),
  );
  expect(blocks).toEqual([
    { type: 'tool_use', id: 'a', name: 'na', input: { a: 1 } },
    { type: 'tool_use', id: 'b', name: 'nb', input: { b: 2 } },
    { type: 'tool_use', id: 'c', name: 'nc', input: {} },
    { type: 'text', text: 'late', citations: null },
  ]);
});

test('calls that all have the index 0, or none, are told apart by their ids', () => {
  const one = blocksOf(
    stream([delta({ tool_calls: [begin(0, 'a', '{}')] }), delta({ tool_calls: [begin(0, 'b', '{}')] }), end('stop')]),
  );
  expect(one.map(({ id }) => id)).toEqual(['a', 'b']);
  const none = blocksOf(
    stream([
      delta({ tool_calls: [{ id: 'a', function: { name: 'n', arguments: '{' } }] }),
      delta({ tool_calls: [{ id: 'a', function: { arguments: '}' } }] }),
      delta({ tool_calls: [{ id: 'b', function: { name: 'n', arguments: { x: 1 } } }] }),
      end('stop'),
    ]),
  );
  expect(none.map(({ id, input }) => [id, input])).toEqual([
    ['a', {}],
    ['b', { x: 1 }],
  ]);
});

describe('the reason of the end', () => {
  test.each([
    ['stop', {}, 'end_turn', null],
    ['stop', { stop_reason: 'END' }, 'stop_sequence', 'END'],
    ['stop', { matched_stop: 'END' }, 'stop_sequence', 'END'],
    ['stop', { stop_reason: 151_645 }, 'end_turn', null],
    ['stop', { stop_reason: 'not asked for' }, 'end_turn', null],
    ['length', {}, 'max_tokens', null],
    ['content_filter', {}, 'refusal', null],
  ])('%s with %j is %s', (reason, more, stopReason, sequence) => {
    const event = stream([delta({ content: 'x' }), end(reason, more)]).at(-2);
    expect(event?.['delta']).toEqual({ stop_reason: stopReason, stop_sequence: sequence });
  });

  test('a refusal is one, streamed and whole', () => {
    expect(stream([delta({ refusal: 'no' }), end('stop')]).at(-2)?.['delta']).toMatchObject({ stop_reason: 'refusal' });
    expect(whole({ content: null, refusal: 'no' }, 'stop')).toMatchObject({
      stop_reason: 'refusal',
      content: [{ type: 'text', text: 'no' }],
    });
  });
});

function whole(message: object, reason: string, terms = asked): Record<string, unknown> {
  const bytes = JSON.stringify({ choices: [{ index: 0, message, finish_reason: reason }], usage: usage['usage'] });
  return JSON.parse(wholeMessage(Buffer.from(bytes), terms, answering)) as Record<string, unknown>;
}

test('a whole answer is a message with the same blocks', () => {
  const message = {
    role: 'assistant',
    reasoning_content: 'hm',
    content: 'text',
    tool_calls: [
      { id: 'a', type: 'function', function: { name: 'n', arguments: '{"x":12345678901234567890}' } },
      { type: 'function', function: { name: 'n', arguments: '' } },
    ],
  };
  const text = wholeMessage(
    Buffer.from(
      JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }], usage: usage['usage'] }),
    ),
    asked,
    answering,
  );
  expect(text).toContain('"input":{"x":12345678901234567890}');
  expect(JSON.parse(text)).toMatchObject({
    id: 'msg_req1',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [
      { type: 'thinking', thinking: 'hm', signature: '' },
      { type: 'text', text: 'text' },
      { type: 'tool_use', id: 'a', name: 'n' },
      { type: 'tool_use', id: 'toolu_req11', name: 'n', input: {} },
    ],
    stop_reason: 'tool_use',
    usage: { input_tokens: 2, cache_read_input_tokens: 8, output_tokens: 5 },
  });
});

test('thoughts are left out where the call says so', () => {
  const terms = { ...asked, omitsThinking: true };
  expect(
    blocksOf(stream([delta({ reasoning_content: 'hm' }), delta({ content: 'x' }), end('stop')], terms)),
  ).toHaveLength(1);
  expect(whole({ reasoning_content: 'hm', content: 'x' }, 'stop', terms)['content']).toHaveLength(1);
});

test('the beginning of an answer, which the caller has, is left out where a server repeats it', () => {
  const terms = { ...asked, begun: 'The answer is ' };
  const textOf = (pieces: readonly string[]): unknown =>
    blocksOf(stream([...pieces.map((content) => delta({ content })), end('stop')], terms)).map(({ text }) => text);
  expect(textOf(['The', ' answer is ', 'blue'])).toEqual(['blue']);
  expect(textOf(['The answer is blue'])).toEqual(['blue']);
  expect(textOf(['The an', 'imal'])).toEqual(['The animal']);
  expect(textOf(['The'])).toEqual(['The']);
  expect(whole({ content: 'The answer is blue' }, 'stop', terms)['content']).toMatchObject([{ text: 'blue' }]);
});

test('a call that the length cut off ends with its reason', () => {
  const events = stream([delta({ tool_calls: [begin(0, 'a', '{"x": "unfinis')] }), end('length')]);
  expect(events.at(-2)?.['delta']).toMatchObject({ stop_reason: 'max_tokens' });
  const message = { content: 'x', tool_calls: [{ id: 'a', function: { name: 'n', arguments: '{"x": "unf' } }] };
  expect(whole(message, 'length')).toMatchObject({ content: [{ type: 'text' }], stop_reason: 'max_tokens' });
});

describe('a server that lies', () => {
  test.each<[string, readonly Fields[]]>([
    ['arguments that are no JSON', [delta({ tool_calls: [begin(0, 'a', '{x}')] }), end('tool_calls')]],
    ['arguments that are no object', [delta({ tool_calls: [begin(0, 'a', '[1]')] }), end('tool_calls')]],
    ['arguments without an end', [delta({ tool_calls: [begin(0, 'a', '{"x":')] }), end('tool_calls')]],
    ['arguments after their end', [delta({ tool_calls: [begin(0, 'a', '{}'), call(0, '{}')] }), end('tool_calls')]],
    ['a negative index', [delta({ tool_calls: [begin(-1, 'a')] })]],
    ['a broken index', [delta({ tool_calls: [begin(0.5, 'a')] })]],
    ['a huge index', [delta({ tool_calls: [begin(1e9, 'a')] })]],
    ['a call without a name', [delta({ tool_calls: [call(0, '{}')] })]],
    [
      'ten thousand calls',
      [delta({ tool_calls: Array.from({ length: 10_000 }, (_, at) => begin(at, `c${at}`, '{}')) })],
    ],
    [
      'ten thousand calls without an index',
      [delta({ tool_calls: Array.from({ length: 10_000 }, (_, at) => ({ id: `c${at}`, function: { name: 'n' } })) })],
    ],
    ['a choice that was not asked for', [{ choices: [{ index: 1, delta: { content: 'x' } }] }]],
    ['two choices', [{ choices: [{ index: 0 }, { index: 1 }] }]],
    ['text that is no text', [delta({ content: 7 })]],
    ['no reason for its end', [delta({ content: 'x' })]],
    ['an answer that it gave up', [end('abort')]],
    ['nothing', []],
  ])('%s ends the call', (_, events) => {
    expect(() => stream(events)).toThrow(/^The model server answered with/);
  });

  test('a call whose arguments never end is not kept without end', () => {
    const writer = new MessageEvents(asked, answering);
    writer.event(delta({ tool_calls: [begin(0, 'a', '{"x":"')] }));
    const piece = 'x'.repeat(64 * 1024);
    expect(() => {
      for (let at = 0; at < 100; at++) writer.event(delta({ tool_calls: [call(0, piece)] }));
    }).toThrow('without an end');
  });

  test('what is kept is charged', () => {
    let taken = 0;
    const writer = new MessageEvents(asked, { ...answering, take: (bytes) => (taken += bytes) });
    writer.event(delta({ tool_calls: [begin(0, 'a', '{'), begin(1, 'b', '{"x":1}')] }));
    expect(taken).toBe(16);
  });
});
