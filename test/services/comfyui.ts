// A service that answers as ComfyUI does, as far as a client needs it to have an image made (ComfyUI: server.py, execution.py, and
// script_examples/websockets_api_example.py). Like ComfyUI on a loopback address, it refuses requests whose Origin is not its Host.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Asked, type RunningService, type ServiceSocket, startService } from './web-socket-server.ts';

/** A PNG of one pixel. */
export const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
/** Steps of an image that is made. */
const steps = 3;

interface Made {
  readonly prompt: unknown;
  readonly outputs: Readonly<Record<string, unknown>>;
}

/** create_origin_only_middleware of server.py. */
export function isForeign({ headers }: Pick<Asked, 'headers'>): boolean {
  if (headers['sec-fetch-site'] === 'cross-site') return true;
  const { host, origin } = headers;
  if (host === undefined || origin === undefined) return false;
  return URL.parse(origin)?.host !== host.toLowerCase();
}

export async function startComfyUi(): Promise<RunningService> {
  const clients = new Map<string, ServiceSocket>();
  const history = new Map<string, Made>();
  const uploads = new Set<string>();
  let number = 0;

  function make(id: string, prompt: unknown, client: ServiceSocket | undefined): void {
    const tell = (type: string, data: object): void => client?.send(JSON.stringify({ type, data }));
    tell('status', { status: { exec_info: { queue_remaining: 1 } } });
    tell('execution_start', { prompt_id: id, timestamp: Date.now() });
    tell('execution_cached', { nodes: [], prompt_id: id, timestamp: Date.now() });
    tell('executing', { node: '3', display_node: '3', prompt_id: id });
    for (let value = 1; value <= steps; value++) {
      tell('progress', { value, max: steps, prompt_id: id, node: '3' });
      // BinaryEventTypes.PREVIEW_IMAGE, then the format: 2 is PNG.
      client?.send(Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]), picture]));
    }
    const images = [{ filename: `ComfyUI_${String(number).padStart(5, '0')}_.png`, subfolder: '', type: 'output' }];
    history.set(id, { prompt, outputs: { '9': { images } } });
    tell('executed', { node: '9', display_node: '9', output: { images }, prompt_id: id });
    tell('executing', { node: null, prompt_id: id });
    tell('execution_success', { prompt_id: id, timestamp: Date.now() });
    tell('status', { status: { exec_info: { queue_remaining: 0 } } });
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
    };
    if (isForeign({ headers: request.headers })) {
      response.writeHead(403).end();
      return;
    }
    const body = await bytesOf(request);
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
    if (request.method === 'POST' && pathname === '/prompt') {
      const { prompt, client_id } = JSON.parse(body.toString()) as { prompt: unknown; client_id?: string };
      const id = randomUUID();
      json(200, { prompt_id: id, number: number++, node_errors: {} });
      setImmediate(() => make(id, prompt, clients.get(client_id ?? '')));
    } else if (request.method === 'POST' && pathname === '/upload/image') {
      const form = await new Response(body, {
        headers: { 'content-type': request.headers['content-type'] ?? '' },
      }).formData();
      const { name } = form.get('image') as File;
      uploads.add(name);
      json(200, { name, subfolder: '', type: 'input' });
    } else if (request.method === 'GET' && pathname.startsWith('/history/')) {
      const id = pathname.slice('/history/'.length);
      const made = history.get(id);
      json(200, made ? { [id]: { ...made, status: { status_str: 'success', completed: true, messages: [] } } } : {});
    } else if (request.method === 'GET' && pathname === '/view') {
      const filename = searchParams.get('filename') ?? '';
      const isThere = filename.startsWith('ComfyUI_') || uploads.has(filename);
      response.writeHead(isThere ? 200 : 404, {
        'content-type': 'image/png',
        'content-disposition': `filename="${filename}"`,
      });
      response.end(isThere ? picture : '');
    } else response.writeHead(404).end('404: Not Found');
  }

  return startService({
    onRequest: answer,
    onUpgrade: (asked, accept, refuse) => {
      const { pathname, searchParams } = new URL(asked.url, 'http://x');
      if (isForeign(asked)) refuse('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      else if (pathname !== '/ws') refuse('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      else {
        const sid = searchParams.get('clientId') ?? randomUUID().replaceAll('-', '');
        const socket = accept();
        clients.set(sid, socket);
        socket.send(JSON.stringify({ type: 'status', data: { status: { exec_info: { queue_remaining: 0 } }, sid } }));
      }
    },
  });
}

export async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
