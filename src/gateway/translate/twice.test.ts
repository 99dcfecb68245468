import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import type { GatewayError } from '../../domain/error.ts';
import { FieldRefused, type Translated, type Translation } from './translation.ts';
import { translations } from './translations.ts';
import { translateTwice } from './twice.ts';

const target = { contextOf: () => undefined, takes: { sampling: { top_k: 'top_k' } } };
const second = translations.get('/v1/chat/completions') as Translation;

function twice(path: string, body: object, then = second): Translated {
  const bytes = Buffer.from(JSON.stringify({ model: 'm', ...body }));
  const asked = { bytes, stream: false, usageInjected: false, model: 'm' };
  const first = (translations.get(path) as Translation)(asked, target);
  if ('own' in first) throw new Error(path);
  return translateTwice(first, then, asked, target);
}

function refusal(path: string, body: object): GatewayError {
  try {
    twice(path, body);
  } catch (error) {
    return error as GatewayError;
  }
  throw new Error('nothing was refused');
}

const image = 'iVBORw0KGgo=';
const bmp = 'Qk0AAAAA';
const messages = [{ role: 'user', content: 'x' }];
const refusals: [string, object, string][] = [
  ['/api/chat', { messages, options: { seed: 1 } }, 'options.seed'],
  ['/api/chat', { messages, options: { temperature: 1.5 } }, 'options.temperature'],
  ['/api/chat', { messages, options: { presence_penalty: 1 } }, 'options.presence_penalty'],
  ['/api/chat', { messages, options: { stop: 5 } }, 'options.stop'],
  ['/api/chat', { messages, options: { num_predict: 2.5 } }, 'options.num_predict'],
  ['/api/chat', { messages, format: 'json' }, 'format'],
  ['/api/chat', { messages, logprobs: true }, 'logprobs'],
  ['/api/chat', { messages: [{ role: 'user', content: 'x', images: [image, bmp] }] }, 'messages[0].images'],
  ['/api/generate', { prompt: 'x', options: { seed: 1 } }, 'options.seed'],
  ['/api/generate', { prompt: 'x', images: [bmp] }, 'images'],
  ['/v1/responses', { input: 'x', reasoning: { effort: 'minimal' } }, 'reasoning.effort'],
  ['/v1/responses', { input: 'x', text: { format: { type: 'json_object' } } }, 'text.format.type'],
  ['/v1/responses', { input: 'x', temperature: 2 }, 'temperature'],
  [
    '/v1/responses',
    {
      instructions: 'Be short.',
      input: [
        ...messages,
        { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' },
        { type: 'function_call', call_id: 'b', name: 'f', arguments: '[' },
        ...messages,
      ],
    },
    'input[2].arguments',
  ],
  [
    '/v1/responses',
    {
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'x' },
            { type: 'input_image', detail: 'high', image_url: `data:image/png;base64,${image}` },
          ],
        },
      ],
    },
    'input[0].content[1].detail',
  ],
  [
    '/v1/responses',
    {
      input: [
        { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' },
        {
          type: 'function_call_output',
          call_id: 'a',
          output: [{ type: 'input_image', detail: 'low', image_url: `data:image/png;base64,${image}` }],
        },
      ],
    },
    'input[1].output',
  ],
];

describe('a call that is translated twice', () => {
  test.each(refusals)('of %s with %j is refused by the name that its caller knows', (path, body, field) => {
    const error = refusal(path, body);
    expect(error).toBeInstanceOf(FieldRefused);
    expect((error as FieldRefused).field).toBe(field);
    expect(error.message).toContain(field);
    expect(error.status).toBe(400);
  });

  test('leaves no body between behind, while its answer is awaited', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const between: WeakRef<Buffer>[] = [];
    const long = 'x'.repeat(100_000);
    const calls = [
      ['/api/chat', { messages: [{ role: 'user', content: long }] }],
      ['/v1/responses', { input: long }],
    ] as const;
    const held = calls.map(([path, body]) =>
      twice(path, body, (asked, to) => {
        between.push(new WeakRef(asked.bytes));
        return second(asked, to);
      }),
    );
    await nextTurn();
    collect();
    expect(between.map((each) => each.deref())).toEqual([undefined, undefined]);
    for (const { whole } of held) expect(whole).toBeTypeOf('function');
  });
});
