// A service that says again what a real one said (record.ts): to a call what it answered to the same call, piece by piece, and to each
// message of a WebSocket what came after it.
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type RunningService, startService } from './web-socket-server.ts';

export interface RecordedCall {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly asked: string;
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly pieces: readonly string[];
}

export interface RecordedMessage {
  readonly from: 'client' | 'service';
  readonly text?: string;
  readonly base64?: string;
}

export interface RecordedSocket {
  readonly path: string;
  readonly protocol: string;
  readonly messages: RecordedMessage[];
}

export interface Recording {
  readonly calls: readonly RecordedCall[];
  readonly sockets: readonly RecordedSocket[];
}

/** `name`: of a folder in test/fixtures, which names the program and its version. */
export const readRecording = (name: string): Recording =>
  JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures', name, 'recording.json'), 'utf8')) as Recording;

export const contentOf = ({ text, base64 = '' }: RecordedMessage): string | Buffer =>
  text ?? Buffer.from(base64, 'base64');

export interface Replayed extends RunningService {
  /** What was asked for and is not in the recording. */
  readonly strange: string[];
}

export async function startRecorded({ calls, sockets }: Recording): Promise<Replayed> {
  const strange: string[] = [];
  const left = new Set(calls);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray()).toString('utf8');
    const { method, url } = request;
    const same = calls.filter((call) => call.method === method && call.path === url && call.asked === body);
    // Each once, in order; the last again and again, as for probes.
    const call = same.find((each) => left.has(each)) ?? same.at(-1);
    if (call) left.delete(call);
    else {
      strange.push(`${method} ${url} ${body}`);
      response.writeHead(500).end();
      return;
    }
    response.writeHead(call.status, call.headers.flat());
    for (const piece of call.pieces) response.write(piece);
    response.end();
  }

  const service = await startService({
    onRequest: answer,
    onUpgrade: (asked, accept, refuse) => {
      const recorded = sockets.find(({ path }) => path === asked.url);
      if (!recorded) {
        strange.push(`a WebSocket of ${asked.url}`);
        refuse('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      const socket = accept(recorded.protocol === '' ? undefined : recorded.protocol);
      let next = 0;
      const speak = (): void => {
        for (; recorded.messages[next]?.from === 'service'; next++)
          socket.send(contentOf(recorded.messages[next] as RecordedMessage));
      };
      socket.onMessage = (message) => {
        const meant = recorded.messages[next++];
        if (!meant || !Buffer.from(contentOf(meant)).equals(Buffer.from(message))) strange.push(String(message));
        speak();
      };
      speak();
    },
  });
  return { ...service, strange };
}
