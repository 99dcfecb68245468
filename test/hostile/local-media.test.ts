// Media that would have a model server read its own disk: refused however the address is written, and for every key.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGate, post, type TestGate } from '../gate.ts';
import { type ImitatedServer, imitate } from '../model-servers/imitation.ts';
import { llamaServer } from '../model-servers/llama-server.ts';

let server: ImitatedServer;
let gate: TestGate;
let keys: string[];
beforeAll(async () => {
  server = await imitate(llamaServer);
  gate = await openGate(server.url, { PROBE_SECONDS: '600' });
  keys = [(await gate.key()).secret, (await gate.member({ maxOutputTokens: 100 })).secret];
});
afterAll(async () => {
  await gate.stop();
  server.close();
});

const chat = (part: string): string =>
  `{"model":"tiny.gguf","messages":[{"role":"user","content":[{"type":"text","text":"x"},${part}]}]}`;

test.each([
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"FILE:///etc/passwd"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":" file:/etc/passwd"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"\\u0066ile:///etc/passwd"}}')],
  [
    '/v1/chat/completions',
    chat('{"type":"image_url","image\\u005furl":{"\\u0075rl":"fi\\u006ce\\u003a///etc/passwd"}}'),
  ],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":"file:///etc/passwd"}')],
  ['/v1/chat/completions', chat('{"type":"input_audio","input_audio":{"data":"file:///etc/passwd","format":"wav"}}')],
  ['/v1/chat/completions', chat('{"type":"input_video","input_video":{"url":"file:///etc/passwd"}}')],
  ['/v1/chat/completions', chat('{"type":"audio_url","audio_url":{"url":"file://localhost/etc/passwd"}}')],
  [
    '/v1/responses',
    '{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"file:///x"}]}]}',
  ],
  ['/v1/messages', chat('{"type":"image","source":{"type":"url","url":"file:///etc/passwd"}}')],
  [
    '/v1/embeddings',
    '{"model":"m","input":[{"content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}',
  ],
  ['/v1/chat/completions', chat('{"type":"video","video":"file:///etc/x.mp4"}')],
  // SGLang opens a plain path.
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"/srv/private/a.png"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"\\/srv\\/private\\/a.png"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"../a.webp"}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":" private/a.JPG "}}')],
  ['/v1/chat/completions', chat('{"type":"image_url","image_url":{"url":"C:\\\\a.png"}}')],
  ['/v1/chat/completions', chat('{"type":"audio_url","audio_url":{"\\u0075rl":"/srv/a.wav"}}')],
  ['/v1/embeddings', '{"model":"m","input":[{"text":"x","image":"/srv/a.png"}]}'],
])('%s with %s is refused', async (path, body) => {
  const calls = (): number => server.heard.filter(({ method }) => method === 'POST').length;
  const before = calls();
  for (const key of keys) {
    const answer = await post(gate.url + path, key, body);
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining('must not be a file')]);
  }
  expect(calls()).toBe(before);
});

test.each([
  chat('{"type":"text","text":"file:///etc/passwd"}'),
  chat('{"type":"image_url","image_url":{"url":"https://example.org/file:///x.png"}}'),
  '{"model":"m","messages":[{"role":"user","content":"file:///etc/passwd, what is it? \\u00e9"}]}',
  chat('{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}'),
  chat(`{"type":"image","image":"/9j/${'A'.repeat(400)}"}`),
  chat('{"type":"tool_use","id":"1","name":"open","input":{"url":"/etc/passwd","path":"file:///x"}}'),
  '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"open","arguments":{"image":"/a.png"}}}]}]}',
  '{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"url":"file:///x"}}}]}',
])('%s is only text, and passes', async (body) => {
  for (const key of keys) expect((await post(`${gate.url}/v1/chat/completions`, key, body)).status).toBe(200);
});
