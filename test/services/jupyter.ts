// A service that answers as jupyter-server does, as far as a client needs it to run code in a kernel: its REST API for kernels, and
// the channels of a kernel over v1.kernel.websocket.jupyter.org (jupyter_server/services/kernels/connection/base.py). Everything lies
// under its base_url. It wants a token, and refuses WebSockets whose Origin is not its Host (jupyter_server/base/handlers.py).
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Asked, type RunningService, startService } from './web-socket-server.ts';

export const kernelProtocol = 'v1.kernel.websocket.jupyter.org';

export interface KernelMessage {
  readonly channel: string;
  readonly header: Readonly<Record<string, unknown>>;
  readonly parent_header: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly content: Readonly<Record<string, unknown>>;
}

/** Offsets as 64-bit numbers, little-endian: their count, then each; the parts follow (serialize_msg_to_ws_v1). */
export function writeMessage({ channel, header, parent_header, metadata, content }: KernelMessage): Buffer {
  const parts = [
    Buffer.from(channel),
    ...[header, parent_header, metadata, content].map((part) => Buffer.from(JSON.stringify(part))),
  ];
  const offsets = [8 * (2 + parts.length)];
  for (const part of parts) offsets.push((offsets.at(-1) as number) + part.length);
  const head = Buffer.alloc(offsets[0] as number);
  head.writeBigUInt64LE(BigInt(offsets.length));
  for (const [at, offset] of offsets.entries()) head.writeBigUInt64LE(BigInt(offset), 8 * (at + 1));
  return Buffer.concat([head, ...parts]);
}

export function readMessage(bytes: Buffer): KernelMessage {
  const count = Number(bytes.readBigUInt64LE(0));
  const offsets = Array.from({ length: count }, (_, at) => Number(bytes.readBigUInt64LE(8 * (at + 1))));
  const parts = offsets.slice(1).map((end, at) => bytes.subarray(offsets[at] as number, end).toString('utf8'));
  const [channel = '', ...texts] = parts;
  const [header, parent_header, metadata, content] = texts.map((text) => JSON.parse(text) as KernelMessage['content']);
  return { channel, header, parent_header, metadata, content } as KernelMessage;
}

export interface JupyterSettings {
  /** Begins and ends with a slash. */
  readonly baseUrl: string;
  readonly token: string;
}

export function startJupyter({ baseUrl, token }: JupyterSettings): Promise<RunningService> {
  const kernels = new Map<string, { readonly id: string; readonly name: string }>();
  const isAllowed = ({ headers }: Pick<Asked, 'headers'>): boolean => headers.authorization === `token ${token}`;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    request.resume();
    const { pathname } = new URL(request.url ?? '', 'http://x');
    if (!pathname.startsWith(baseUrl)) json(404, { message: 'Not Found', reason: null });
    else if (!isAllowed(request)) json(403, { message: 'Forbidden', reason: null });
    else if (request.method === 'POST' && pathname === `${baseUrl}api/kernels`) {
      const kernel = { id: randomUUID(), name: 'python3' };
      kernels.set(kernel.id, kernel);
      response.setHeader('location', `${baseUrl}api/kernels/${kernel.id}`);
      json(201, { ...kernel, execution_state: 'starting', connections: 0, last_activity: new Date().toISOString() });
    } else if (request.method === 'GET' && pathname === `${baseUrl}api/kernels`) json(200, [...kernels.values()]);
    else json(404, { message: 'Not Found', reason: null });
  }

  return startService({
    onRequest: answer,
    onUpgrade: (asked, accept, refuse) => {
      const { pathname } = new URL(asked.url, 'http://x');
      const id = new RegExp(`^${baseUrl}api/kernels/([0-9a-f-]+)/channels$`).exec(pathname)?.[1];
      const { origin, host } = asked.headers;
      const isOwn = origin === undefined || URL.parse(origin)?.host === host;
      const say = (status: string): void =>
        refuse(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      if (id === undefined || !kernels.has(id)) say('404 Not Found');
      else if (!isAllowed(asked) || !isOwn) say('403 Forbidden');
      else {
        const offered = asked.headers['sec-websocket-protocol']?.split(', ') ?? [];
        const socket = accept(offered.includes(kernelProtocol) ? kernelProtocol : undefined);
        socket.onMessage = (message) => {
          for (const reply of runCode(readMessage(message as Buffer))) socket.send(writeMessage(reply));
        };
      }
    },
  });
}

/** The messages with which a kernel answers an execute_request (jupyter-client, "Messaging in Jupyter"). */
function* runCode({ header, content }: KernelMessage): Generator<KernelMessage> {
  const say = (channel: string, type: string, body: KernelMessage['content']): KernelMessage => ({
    channel,
    header: {
      msg_id: randomUUID(),
      msg_type: type,
      session: header['session'],
      username: 'kernel',
      date: new Date().toISOString(),
      version: '5.3',
    },
    parent_header: header,
    metadata: {},
    content: body,
  });
  if (header['msg_type'] !== 'execute_request') return;
  const [, a = '0', b = '0'] = /^(\d+)\s*\+\s*(\d+)$/.exec(String(content['code'])) ?? [];
  yield say('iopub', 'status', { execution_state: 'busy' });
  yield say('iopub', 'execute_input', { code: content['code'], execution_count: 1 });
  yield say('iopub', 'execute_result', {
    data: { 'text/plain': String(Number(a) + Number(b)) },
    metadata: {},
    execution_count: 1,
  });
  yield say('shell', 'execute_reply', { status: 'ok', execution_count: 1, payload: [], user_expressions: {} });
  yield say('iopub', 'status', { execution_state: 'idle' });
}
