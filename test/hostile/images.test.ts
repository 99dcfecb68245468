import { expect, test } from 'vitest';
import { startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, post } from '../gate.ts';

// Ollama passes images in a tool's result to the model as well: anthropic/anthropic.go convertToolResultContent,
// openai/responses.go ResponsesFunctionCallOutput (commit 017eb8ae). They are struct fields, so Go folds the case of their
// names.
const image = '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aQ=="}}';
const inputImage = '{"type":"input_image","image_url":"data:image/png;base64,aQ=="}';
const three = (one: string): string => `[${one},${one},${one}]`;
test.each([
  ...['content', 'Content', 'c\\u006fntent'].map((name) => [
    `the ${name} of a tool_result`,
    '/v1/messages',
    `"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","${name}":${three(image)}}]}]`,
  ]),
  ...['output', 'Output', 'o\\u0075tput'].map((name) => [
    `the ${name} of a function_call_output`,
    '/v1/responses',
    `"input":[{"type":"function_call_output","call_id":"c","${name}":${three(inputImage)}}]`,
  ]),
])('U41: images in %s are counted too', async (_, path, fragment) => {
  const fake = await startFakeOllama();
  const gate = await openGate(fake.url);
  const { secret } = await gate.member({ maxImages: 1 });
  const answer = await post(`${gate.url}${path}`, secret, `{"model":"gemma3:270m",${fragment}}`);
  const heard = fake.calls.length;
  await gate.stop();
  await fake.close();
  expect([answer.status, heard]).toEqual([400, 0]);
});
