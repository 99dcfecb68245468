// How long a model server may hold a call: its turn ends with the answer's own end mark, whatever the server does with the
// connection afterwards.

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openGate, post, type TestGate } from '../gate.ts';

let gate: TestGate;
let secret: string;
/** What the model server sends after the head of its answer before it goes silent. */
let said = '';
let type = '';
let calls = 0;
const sockets = new Set<Socket>();
const server = createServer((socket) => {
  sockets.add(socket);
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  socket.on('data', (bytes) => {
    const head = bytes.toString('latin1');
    const isLook = !head.includes('sekisho');
    if (isLook) {
      const text = head.startsWith('GET /api/tags') ? '{"models":[{"name":"m:latest","model":"m:latest"}]}' : '{}';
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
      );
      return;
    }
    calls++;
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n${said.length.toString(16)}\r\n${said}\r\n`,
    );
  });
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  gate = await openGate(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { SLOTS: '1' });
  ({ secret } = await gate.key());
});
afterAll(async () => {
  await gate.stop();
  for (const socket of sockets) socket.destroy();
  server.close();
});

const piece = 'data: {"choices":[{"delta":{"content":"a"}}]}\n\n';
const answers: [string, string, string, string][] = [
  [
    '/api/chat',
    'application/x-ndjson',
    '{"done":false}\n{"done":true,"prompt_eval_count":3,"eval_count":4}\n',
    '"done":true',
  ],
  ['/v1/chat/completions', 'text/event-stream', `${piece}data: [DONE]\n\n`, '[DONE]'],
  [
    '/v1/responses',
    'text/event-stream',
    'event: response.completed\ndata: {"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4}}}\n\n',
    'completed',
  ],
  ['/v1/messages', 'text/event-stream', 'event: message_stop\ndata: {"type":"message_stop"}\n\n', 'message_stop'],
  ['/v1/chat/completions', 'text/event-stream', `${piece}data: {"error":{"message":"too warm"}}\n\n`, 'too warm'],
];
test.each(answers)(
  'a server that goes silent after the end of its answer on %s keeps no slot, and its caller gets the end',
  async (path, contentType, text, mark) => {
    said = text;
    type = contentType;
    const body = { model: 'm', messages: [{ role: 'user', content: 'x' }], input: 'x', max_tokens: 9, stream: true };
    const before = calls;
    const answered = await Promise.all(
      [1, 2, 3].map(async () => {
        const answer = await post(gate.url + path, secret, body);
        return answer.text();
      }),
    );
    expect(calls).toBe(before + 3);
    for (const each of answered) expect(each).toContain(mark);
    const rows = (await gate.ledger(before + 3)).slice(before);
    const outcome = mark === 'too warm' ? 'upstream_error' : 'completed';
    expect(rows.map((row) => row.outcome)).toEqual([outcome, outcome, outcome]);
  },
);
