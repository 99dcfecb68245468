// The model server in front of which every subject runs: fixed answers with usage figures, whole or as 50 chunks. It uses
// bare sockets and prepared bytes, because it shares a core with the load generator and must never be what is measured.
// Usage: node bench/upstream.ts <port>. It trusts its callers to send valid HTTP/1.1: they are the bench's own.
import { createServer, type Socket } from 'node:net';
import process from 'node:process';
import { chunkCount, intervalMs, model, tokens } from './load.ts';

/** Streams are written in slots of this length, so that their chunks come evenly and not in one burst per interval. */
const slotMs = 1;
const createdAt = '2026-01-02T03:04:05.678901Z';
const sentence = 'A checkpoint stands on the road; whoever shows a pass walks on, and whoever has none turns back. '
  .repeat(2)
  .trim();

const wholeOllama = JSON.stringify({
  model,
  created_at: createdAt,
  message: { role: 'assistant', content: sentence },
  ...ollamaEnd(),
});
const wholeOpenai = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1_767_000_000,
  model,
  choices: [{ index: 0, message: { role: 'assistant', content: sentence }, finish_reason: 'stop' }],
  usage: openaiUsage(),
});

const json = 'application/json; charset=utf-8';
const wholeAnswers = { ollama: whole(wholeOllama), openai: whole(wholeOpenai) };
const modelList = whole(JSON.stringify({ models: [{ name: model, model }] }));
const streams = {
  ollama: { head: streamHead('application/x-ndjson'), ...ollamaChunks() },
  openai: { head: streamHead('text/event-stream'), ...openaiChunks() },
};

function ollamaEnd(): object {
  return {
    done: true,
    done_reason: 'stop',
    total_duration: 1_010_000_000,
    load_duration: 1_000_000,
    prompt_eval_count: tokens.prompt,
    prompt_eval_duration: 9_000_000,
    eval_count: tokens.completion,
    eval_duration: 1_000_000_000,
  };
}

function openaiUsage(): object {
  return {
    prompt_tokens: tokens.prompt,
    completion_tokens: tokens.completion,
    total_tokens: tokens.prompt + tokens.completion,
  };
}

function ollamaChunks(): { piece: Buffer; last: Buffer } {
  const base = { model, created_at: createdAt };
  const piece = JSON.stringify({ ...base, message: { role: 'assistant', content: ' road' }, done: false });
  const last = JSON.stringify({ ...base, message: { role: 'assistant', content: '' }, ...ollamaEnd() });
  return { piece: httpChunk(`${piece}\n`), last: Buffer.concat([httpChunk(`${last}\n`), Buffer.from('0\r\n\r\n')]) };
}

function openaiChunks(): { piece: Buffer; last: Buffer } {
  const base = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_767_000_000, model };
  const piece = JSON.stringify({ ...base, choices: [{ index: 0, delta: { content: ' road' }, finish_reason: null }] });
  const last = JSON.stringify({
    ...base,
    choices: [{ index: 0, delta: { content: '' }, finish_reason: 'stop' }],
    usage: openaiUsage(),
  });
  const end = Buffer.concat([httpChunk('data: [DONE]\n\n'), Buffer.from('0\r\n\r\n')]);
  return { piece: httpChunk(`data: ${piece}\n\n`), last: Buffer.concat([httpChunk(`data: ${last}\n\n`), end]) };
}

function whole(body: string): Buffer {
  return Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: ${json}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

function streamHead(type: string): Buffer {
  return Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`);
}

function httpChunk(data: string): Buffer {
  return Buffer.from(`${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`);
}

interface Stream {
  readonly socket: Socket;
  readonly dialect: 'ollama' | 'openai';
  sent: number;
}

const slots: Stream[][] = Array.from({ length: intervalMs / slotMs }, () => []);
let slot = 0;
let lastSlotAtMs = performance.now();

// One timer for all streams. After a delay it catches up, so that the rate holds under load.
setInterval(() => {
  const nowMs = performance.now();
  for (; lastSlotAtMs + slotMs <= nowMs; lastSlotAtMs += slotMs) {
    slot = (slot + 1) % slots.length;
    slots[slot] = (slots[slot] as Stream[]).filter(advance);
  }
}, slotMs);

/** Writes the next chunk; false if that was the last, or the reader is gone. */
function advance(stream: Stream): boolean {
  const { piece, last } = streams[stream.dialect];
  if (stream.socket.destroyed) return false;
  stream.sent++;
  stream.socket.write(stream.sent === chunkCount ? last : piece);
  return stream.sent < chunkCount;
}

function answer(socket: Socket, head: string, body: string): void {
  if (head.startsWith('GET')) {
    socket.write(modelList);
    return;
  }
  const dialect = head.startsWith('POST /v1/') ? 'openai' : 'ollama';
  if (!body.includes('"stream":true')) {
    socket.write(wholeAnswers[dialect]);
    return;
  }
  socket.write(Buffer.concat([streams[dialect].head, streams[dialect].piece]));
  (slots[slot] as Stream[]).push({ socket, dialect, sent: 1 });
}

const server = createServer({ noDelay: true }, (socket) => {
  let pending = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    pending = pending === '' ? chunk.toString('latin1') : pending + chunk.toString('latin1');
    for (let end = requestEnd(pending); end > 0; end = requestEnd(pending)) {
      const headEnd = pending.indexOf('\r\n\r\n');
      answer(socket, pending.slice(0, headEnd), pending.slice(headEnd + 4, end));
      pending = pending.slice(end);
    }
  });
});

/** Where the first request in this text ends, or 0 while it is incomplete. */
function requestEnd(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return 0;
  const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
  if (length !== undefined) return text.length >= headEnd + 4 + Number(length) ? headEnd + 4 + Number(length) : 0;
  if (!/\r\ntransfer-encoding: *chunked/i.test(text)) return headEnd + 4;
  const bodyEnd = text.indexOf('0\r\n\r\n', headEnd + 4);
  return bodyEnd < 0 ? 0 : bodyEnd + 5;
}

process.on('SIGTERM', () => process.exit(0));
server.listen(Number(process.argv[2]), '127.0.0.1', 4096);
