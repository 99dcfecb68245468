// The load of streamed answers: opens 300 streams within a short while, reads them all to their end, and does so in waves.
// Reports how many pieces arrived, how many streams were whole, and how long the first piece took. Usage: node
// bench/streams.ts <port> <path> <waves> <key> [header…]; it prints one line of JSON.
import { connect } from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { chatBody, chunkCount, streamsAtOnce } from './load.ts';

export interface StreamFigures {
  readonly streams: number;
  /** Streams with every piece and a proper end. */
  readonly whole: number;
  readonly chunks: number;
  readonly firstMsP50: number;
  readonly firstMsP99: number;
  /** What went wrong, each kind once. */
  readonly faults: readonly string[];
}

interface Outcome {
  readonly chunks: number;
  readonly firstMs: number;
  readonly fault: string | undefined;
}

// All streams of a wave are open together for most of their second, but are not all opened at the same instant.
const openingMs = 300;
const streamTimeoutMs = 20_000;
/** Occurs exactly once in each piece of both dialects. */
const mark = '"model":"';

if (import.meta.main) {
  const [port = '', path = '', waves = '', key = '', ...headers] = process.argv.slice(2);
  const body = chatBody(true);
  const lines = [`POST ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, 'Content-Type: application/json'];
  lines.push(`x-api-key: ${key}`, ...headers, `Content-Length: ${Buffer.byteLength(body)}`);
  const request = Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);

  const outcomes: Outcome[] = [];
  for (let wave = 0; wave < Number(waves); wave++) outcomes.push(...(await runWave(Number(port), request)));
  process.stdout.write(`${JSON.stringify(sum(outcomes))}\n`);
}

async function runWave(port: number, request: Buffer): Promise<Outcome[]> {
  const running: Promise<Outcome>[] = [];
  const beganMs = performance.now();
  for (let i = 0; i < streamsAtOnce; i++) {
    const dueMs = beganMs + (i * openingMs) / streamsAtOnce;
    if (dueMs > performance.now()) await sleep(1);
    running.push(readStream(port, request));
  }
  return Promise.all(running);
}

/** Sends one request and reads its answer to the end. Never rejects. */
function readStream(port: number, request: Buffer): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let askedMs = 0;
    let firstMs = Number.NaN;
    let chunks = 0;
    let tail = '';
    let head = '';
    const finish = (fault: string | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ chunks, firstMs, fault });
    };
    const timer = setTimeout(() => finish('a stream did not end in time'), streamTimeoutMs);
    socket.on('connect', () => {
      askedMs = performance.now();
      socket.write(request);
    });
    socket.on('data', (chunk) => {
      const text = tail + chunk.toString('latin1');
      if (head === '') head = text.slice(0, 12);
      const before = chunks;
      let from = 0;
      for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, from)) {
        chunks++;
        from = at + mark.length;
      }
      if (before === 0 && chunks > 0) firstMs = performance.now() - askedMs;
      // A mark may be cut in two, and so may the end; a mark that was counted must not be counted again.
      tail = text.slice(Math.max(from, text.length - mark.length + 1));
      if (text.endsWith('\r\n0\r\n\r\n')) finish(judge(head, chunks));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => finish(`a stream broke: ${error.code}`));
    socket.on('close', () => finish(`a stream was closed before its end: ${head}`));
  });
}

function judge(head: string, chunks: number): string | undefined {
  if (head !== 'HTTP/1.1 200') return `a stream was answered ${head}`;
  return chunks === chunkCount ? undefined : `a stream had ${chunks} pieces instead of ${chunkCount}`;
}

function sum(outcomes: readonly Outcome[]): StreamFigures {
  const firstMs = outcomes.map((outcome) => outcome.firstMs).filter((ms) => !Number.isNaN(ms));
  firstMs.sort((a, b) => a - b);
  const at = (share: number): number => firstMs[Math.min(firstMs.length - 1, Math.floor(firstMs.length * share))] ?? 0;
  return {
    streams: outcomes.length,
    whole: outcomes.filter((outcome) => outcome.fault === undefined).length,
    chunks: outcomes.reduce((total, outcome) => total + outcome.chunks, 0),
    firstMsP50: at(0.5),
    firstMsP99: at(0.99),
    faults: [...new Set(outcomes.flatMap((outcome) => outcome.fault ?? []))],
  };
}
