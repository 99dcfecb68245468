import { expect, test } from 'vitest';
import type { Fields } from '../../../upstream/kind.ts';
import type { Answering } from '../translation.ts';
import type { ResponsesAsked } from './request.ts';
import { ResponseEvents } from './stream.ts';
import { wholeResponse } from './whole.ts';

const answering: Answering = {
  model: 'm',
  requestId: 'req_1',
  at: 1_700_000_000_000,
  elapsedMs: () => 2_000,
  take: () => undefined,
};
const asked: ResponsesAsked = { summarizes: false, begun: '', repeated: { tools: [], temperature: 1 } };

const delta = (fields: object, more: object = {}): Fields => ({ choices: [{ index: 0, delta: fields, ...more }] });
const end = (reason: string): Fields => delta({}, { finish_reason: reason });
const usage = {
  prompt_tokens: 10,
  completion_tokens: 5,
  prompt_tokens_details: { cached_tokens: 8 },
  completion_tokens_details: { reasoning_tokens: 2 },
};
const told = {
  input_tokens: 10,
  input_tokens_details: { cached_tokens: 8 },
  output_tokens: 5,
  output_tokens_details: { reasoning_tokens: 2 },
  total_tokens: 15,
};

interface Event {
  readonly type: string;
  readonly sequence_number: number;
  readonly [name: string]: unknown;
}

function stream(events: readonly Fields[], terms = asked): Event[] {
  const writer = new ResponseEvents(terms, answering);
  const text = events.map((event) => writer.event(event)).join('') + writer.end();
  const found = text
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => JSON.parse((frame.split('\n')[1] as string).slice('data: '.length)) as Event);
  expect(found.map(({ sequence_number: at }) => at)).toEqual(found.map((_, at) => at));
  return found;
}

const text = { type: 'output_text', annotations: [], logprobs: [], text: 'ab' };
const message = { id: 'msg_req10', type: 'message', status: 'completed', role: 'assistant', content: [text] };

test('a text is written with the full sequence of events', () => {
  const events = stream([delta({ content: 'a' }), delta({ content: 'b' }), end('stop'), { choices: [], usage }]);
  const place = { output_index: 0, item_id: 'msg_req10', content_index: 0 };
  expect(events).toMatchObject([
    { type: 'response.created', response: { id: 'resp_req1', status: 'in_progress', output: [], usage: null } },
    { type: 'response.in_progress' },
    {
      type: 'response.output_item.added',
      output_index: 0,
      item: { id: 'msg_req10', status: 'in_progress', content: [] },
    },
    { type: 'response.content_part.added', ...place, part: { type: 'output_text', text: '' } },
    { type: 'response.output_text.delta', ...place, delta: 'a', logprobs: [] },
    { type: 'response.output_text.delta', ...place, delta: 'b', logprobs: [] },
    { type: 'response.output_text.done', ...place, text: 'ab', logprobs: [] },
    { type: 'response.content_part.done', ...place, part: text },
    { type: 'response.output_item.done', output_index: 0, item: message },
    {
      type: 'response.completed',
      response: {
        object: 'response',
        status: 'completed',
        created_at: 1_700_000_000,
        completed_at: 1_700_000_002,
        model: 'm',
        output: [message],
        store: false,
        temperature: 1,
        usage: told,
      },
    },
  ]);
});

const thought = { choices: [{ index: 0, delta: { reasoning_content: 'hm' } }] };
const called = delta({
  tool_calls: [{ index: 0, id: 'c1', function: { name: 'look', arguments: '{"x":1}' } }],
});

test('thoughts and calls are items of their own', () => {
  const events = stream([thought, called, end('tool_calls')]);
  expect(events.map(({ type }) => type).slice(2, -1)).toEqual([
    'response.output_item.added',
    'response.content_part.added',
    'response.reasoning_text.delta',
    'response.reasoning_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'response.output_item.done',
  ]);
  const call = {
    id: 'fc_req11',
    type: 'function_call',
    status: 'completed',
    arguments: '{"x":1}',
    call_id: 'c1',
    name: 'look',
  };
  expect(events.at(-1)?.['response']).toMatchObject({
    output: [
      { id: 'rs_req10', type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'hm' }] },
      call,
    ],
  });
  expect(events.at(-3)).toMatchObject({ item_id: 'fc_req11', output_index: 1, arguments: '{"x":1}' });
});

test('thoughts are a summary where the call asks for one', () => {
  const events = stream([thought, end('stop')], { ...asked, summarizes: true });
  expect(events.map(({ type }) => type).slice(3, -2)).toEqual([
    'response.reasoning_summary_part.added',
    'response.reasoning_summary_text.delta',
    'response.reasoning_summary_text.done',
    'response.reasoning_summary_part.done',
  ]);
  expect(events[4]).toMatchObject({ summary_index: 0, delta: 'hm' });
  expect(events.at(-2)?.['item']).toEqual({
    id: 'rs_req10',
    type: 'reasoning',
    summary: [{ type: 'summary_text', text: 'hm' }],
  });
});

test('a refusal is a part of its own', () => {
  const events = stream([delta({ refusal: 'no' }), end('stop')]);
  expect(events.map(({ type }) => type)).toContain('response.refusal.delta');
  expect(events.at(-2)?.['item']).toMatchObject({ content: [{ type: 'refusal', refusal: 'no' }] });
});

test('an answer that its length cut off is incomplete, and so is its last item', () => {
  const last = stream([delta({ content: 'ab' }), end('length'), { choices: [], usage }]).at(-1);
  expect(last).toMatchObject({
    type: 'response.incomplete',
    response: {
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      output: [{ status: 'incomplete' }],
      usage: told,
    },
  });
});

test('a whole answer is a response with the same items', () => {
  const bytes = JSON.stringify({
    choices: [
      {
        index: 0,
        finish_reason: 'tool_calls',
        message: {
          content: 'ab',
          reasoning: 'hm',
          tool_calls: [{ id: 'c1', function: { name: 'look', arguments: '{}' } }],
        },
      },
    ],
    usage,
  });
  expect(JSON.parse(wholeResponse(Buffer.from(bytes), asked, answering))).toMatchObject({
    id: 'resp_req1',
    object: 'response',
    status: 'completed',
    output: [
      { type: 'reasoning' },
      { type: 'message', content: [{ type: 'output_text', text: 'ab' }] },
      { type: 'function_call', call_id: 'c1', arguments: '{}' },
    ],
    usage: told,
  });
});

test('the text of a stream is charged, and has an end', () => {
  let taken = 0;
  const writer = new ResponseEvents(asked, { ...answering, take: (bytes) => (taken += bytes) });
  writer.event(delta({ content: 'abc' }));
  expect(taken).toBe(6);
  const piece = 'x'.repeat(1024 * 1024);
  expect(() => {
    for (let at = 0; at < 20; at++) writer.event(delta({ content: piece }));
  }).toThrow('without an end');
});

test.each([
  ['no reason for its end', [delta({ content: 'x' })]],
  ['an answer that it gave up', [end('abort')]],
  [
    'arguments that are no JSON',
    [delta({ tool_calls: [{ index: 0, id: 'a', function: { name: 'n', arguments: '{x}' } }] }), end('stop')],
  ],
])('a server that answers with %s ends the call', (_, events) => {
  expect(() => stream(events)).toThrow(/^The model server answered with/);
});
