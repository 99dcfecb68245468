// What every translated call promises, for each kind of server of OpenAI's family that lacks the route: clients of Ollama's API get
// what they ask for, whole and streamed; nothing that they ask for is dropped; and the call is bounded, counted and ended as
// one that needs no translation.
import { Ollama } from 'ollama';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually, openGate, type TestGate } from '../gate.ts';
import { generate, type Words } from '../model-servers/generation.ts';
import { type ImitatedServer, type Imitation, imitate } from '../model-servers/imitation.ts';
import { lmstudio } from '../model-servers/lmstudio.ts';
import { sglang } from '../model-servers/sglang.ts';
import { vllm } from '../model-servers/vllm.ts';

interface Case {
  readonly kind: string;
  readonly imitation: Imitation;
  readonly words: Words;
}

const usage = (completion: number): object => ({
  prompt_tokens: 9,
  completion_tokens: completion,
  total_tokens: 9 + completion,
});

const cases: readonly Case[] = [
  { kind: 'vllm', imitation: vllm, words: { model: 'Qwen/Qwen3-8B', reasoning: 'reasoning', usage } },
  { kind: 'sglang', imitation: sglang, words: { model: 'Qwen/Qwen3-8B', reasoning: 'reasoning_content', usage } },
  {
    kind: 'lmstudio',
    imitation: lmstudio,
    words: { model: 'gemma-3-270m-it-qat', reasoning: 'reasoning_content', usage },
  },
];

const messages = [{ role: 'user', content: 'なぜ?' }];

describe.each(cases)('$kind', ({ kind, imitation, words }) => {
  const { model } = words;
  let server: ImitatedServer;
  let gate: TestGate;
  let secret: string;
  let client: Ollama;

  beforeAll(async () => {
    server = await imitate({
      ...imitation,
      answer: (heard, state) =>
        heard.url === '/v1/chat/completions' ? generate(heard, words) : imitation.answer(heard, state),
    });
    gate = await openGate(server.url, { PROBE_SECONDS: '0.05' });
    ({ secret } = await gate.key());
    client = new Ollama({ host: gate.url, headers: { 'x-api-key': secret } });
    await eventually(() => expect(gate.servers.all[0]?.kindName).toBe(kind));
  });
  afterAll(async () => {
    await gate.stop();
    server.close();
  });

  test('chats, whole and streamed, and is counted exactly', async () => {
    const whole = await client.chat({ model, messages });
    expect(whole).toMatchObject({
      model,
      message: { role: 'assistant', content: '空は青い🌊' },
      done: true,
      done_reason: 'stop',
      prompt_eval_count: 9,
      eval_count: 4,
    });
    const parts = [];
    for await (const part of await client.chat({ model, messages, stream: true })) parts.push(part);
    expect(parts.map(({ message, done }) => [message.content, done])).toEqual([
      ['空は', false],
      ['青い', false],
      ['🌊', false],
      ['', true],
    ]);
    expect(parts.at(-1)).toMatchObject({ done_reason: 'stop', prompt_eval_count: 9, eval_count: 4 });
    expect(server.heard.filter(({ method }) => method === 'POST').map(({ url, body }) => [url, body['model']])).toEqual(
      [
        ['/v1/chat/completions', model],
        ['/v1/chat/completions', model],
      ],
    );
    for (const row of await gate.ledger(2))
      expect(row).toMatchObject({ promptTokens: 9, completionTokens: 4, source: 'exact', outcome: 'completed' });
  });
});
