// WebSockets of services as people use them: images from ComfyUI, by a program and by a page in a real browser, and code in a
// kernel of Jupyter.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { Agent } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBrowser } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { picture, startComfyUi } from '../services/comfyui.ts';
import { type KernelMessage, kernelProtocol, readMessage, startJupyter, writeMessage } from '../services/jupyter.ts';
import { SocketClient } from '../services/socket-client.ts';
import type { RunningService } from '../services/web-socket-server.ts';

let fake: FakeOllama;
let comfy: RunningService;
let jupyter: RunningService;
let gate: TestGate;
let secret: string;
let keyId: string;
/** The back end of a page: serves it, and gets tickets for it with the key. */
let site: Server;
let origin: string;

beforeAll(async () => {
  const directory = temporaryDirectory();
  const token = 'of-the-notebook-server';
  [fake, comfy, jupyter] = await Promise.all([
    startFakeOllama(),
    startComfyUi(),
    startJupyter({ baseUrl: '/jupyter/', token }),
  ]);
  site = createServer((request, response) => {
    if (request.url !== '/ticket') {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>a page</title>');
      return;
    }
    const asked = fetch(`${gate.url}/comfy/sekisho-ticket`, {
      method: 'POST',
      headers: { 'x-api-key': secret, origin },
    });
    void asked.then(async (ticket) => response.writeHead(ticket.status).end(await ticket.text()));
  }).listen(0, '127.0.0.1');
  await once(site, 'listening');
  origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  const secretFile = join(directory, 'jupyter.secret');
  writeFileSync(secretFile, `authorization: token ${token}\n`);
  const routes = join(directory, 'routes.jsonc');
  writeFileSync(
    routes,
    JSON.stringify([
      {
        name: 'comfy',
        path: '/comfy',
        upstreams: [comfy.url],
        credential: ['header', 'ticket'],
        websocket: { origins: [origin], maxFrameBytes: 8_388_608 },
        cost: { perSecond: 1, unit: 'seconds' },
      },
      {
        name: 'jupyter',
        path: '/jupyter',
        strip: false,
        upstreams: [jupyter.url],
        methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
        secretFile,
        websocket: { maxFrameBytes: 8_388_608 },
      },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: routes });
  ({ secret, id: keyId } = await gate.key({ scopes: ['route:comfy', 'route:jupyter'] }));
});
afterAll(async () => {
  site.closeAllConnections();
  site.close();
  await gate.stop();
  await Promise.all([comfy.close(), jupyter.close(), fake.close()]);
});

interface Told {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

test('a program has an image made by ComfyUI: prompt, progress, preview, history and picture', async () => {
  const headers = { 'x-api-key': secret };
  const at = `${gate.url}/comfy`;
  const form = new FormData();
  form.append('image', new Blob([picture], { type: 'image/png' }), 'start.png');
  const uploaded = await fetch(`${at}/upload/image`, { method: 'POST', headers, body: form });
  expect(await uploaded.json()).toEqual({ name: 'start.png', subfolder: '', type: 'input' });

  const client = new SocketClient(`${at}/ws?clientId=mine`, headers);
  expect(JSON.parse(String(await client.message(0)))).toMatchObject({ type: 'status', data: { sid: 'mine' } });
  const asked = await fetch(`${at}/prompt`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: { '9': { class_type: 'SaveImage' } }, client_id: 'mine' }),
  });
  const { prompt_id: id } = (await asked.json()) as { prompt_id: string };
  const told: Told[] = [];
  const previews: Buffer[] = [];
  for (let number = 1; told.at(-1)?.type !== 'execution_success'; number++) {
    const message = await client.message(number);
    if (typeof message === 'string') told.push(JSON.parse(message) as Told);
    else previews.push(message);
  }
  expect(told.map(({ type }) => type)).toEqual([
    'status',
    'execution_start',
    'execution_cached',
    'executing',
    'progress',
    'progress',
    'progress',
    'executed',
    'executing',
    'execution_success',
  ]);
  expect(previews).toEqual(
    Array.from({ length: 3 }, () => Buffer.concat([Buffer.from([0, 0, 0, 1, 0, 0, 0, 2]), picture])),
  );

  const history = (await (await fetch(`${at}/history/${id}`, { headers })).json()) as Record<
    string,
    { outputs: Record<string, { images: { filename: string }[] }> }
  >;
  const { filename } = (history[id]?.outputs['9']?.images ?? [])[0] as { filename: string };
  const view = await fetch(`${at}/view?filename=${filename}&subfolder=&type=output`, { headers });
  expect(Buffer.from(await view.arrayBuffer())).toEqual(picture);
  client.socket.close();
  await client.closed;
  await eventually(async () => {
    const row = (await gate.ledger(0)).findLast(({ keyId: of, status }) => of === keyId && status === 101);
    expect(row).toMatchObject({ operation: 'route:comfy', outcome: 'completed', cost: { unit: 'seconds' } });
  });
});

test('a gate that encrypts has WebSockets on its encrypted port only', async () => {
  const file = join(temporaryDirectory(), 'routes.json');
  writeFileSync(file, JSON.stringify([{ name: 'comfy', path: '/comfy', upstreams: [comfy.url], websocket: {} }]));
  const own = await openGate(fake.url, { ROUTES: file, TLS: 'self-signed' });
  const made = await own.key({ scopes: ['route:comfy'] });
  const at = `localhost:${own.port}/comfy/ws?clientId=encrypted`;
  const headers = { 'x-api-key': made.secret };
  const trusting = new Agent({ connect: { rejectUnauthorized: false } });
  const client = new SocketClient(`https://${at}`, headers, [], trusting);
  expect(JSON.parse(String(await client.message(0)))).toMatchObject({ data: { sid: 'encrypted' } });
  expect(comfy.sockets.at(-1)?.asked.headers['x-forwarded-proto']).toBe('https');
  client.socket.close();
  await client.closed;
  const count = comfy.sockets.length;
  await expect(new SocketClient(`http://${at}`, headers).opened).rejects.toThrow('not opened');
  expect(comfy.sockets.length).toBe(count);
  await trusting.close();
  await own.stop();
});

test('a page in a browser shows a ticket; a page of another site opens nothing', async () => {
  const browser: Browser = await openBrowser();
  try {
    const page = await browser.newPage();
    await page.goto(origin);
    const address = `${gate.url.replace('http', 'ws')}/comfy/ws?clientId=page`;
    const heard = await page.evaluate(async (url) => {
      const { protocols } = (await (await fetch('/ticket', { method: 'POST' })).json()) as { protocols: string[] };
      const open = (offered: string[]): Promise<string> =>
        new Promise((resolve) => {
          const socket = new WebSocket(url, offered);
          socket.addEventListener('message', ({ data }) => {
            resolve(`${socket.protocol} ${String(data)}`);
            socket.close();
          });
          socket.addEventListener('error', () => resolve('refused'));
        });
      return { first: await open(protocols), again: await open(protocols), without: await open([]) };
    }, address);
    expect(heard.first).toMatch(/^sekisho \{"type":"status",.*"sid":"page"/);
    expect([heard.again, heard.without]).toEqual(['refused', 'refused']);

    const foreign = await browser.newPage();
    await foreign.goto(origin.replace('127.0.0.1', 'localhost'));
    const told = await foreign.evaluate(async (url) => {
      // As a page would that got hold of a ticket.
      const { protocols } = (await (await fetch('/ticket', { method: 'POST' })).json()) as {
        protocols: string[];
      };
      return new Promise((resolve) => {
        const socket = new WebSocket(url, protocols);
        socket.addEventListener('open', () => resolve('opened'));
        socket.addEventListener('error', () => resolve('refused'));
      });
    }, address);
    expect(told).toBe('refused');
  } finally {
    await browser.close();
  }
});

test('a program runs code in a kernel of Jupyter, which lies under the same prefix and has its own token', async () => {
  const headers = { 'x-api-key': secret };
  const at = `${gate.url}/jupyter`;
  const started = await fetch(`${at}/api/kernels`, { method: 'POST', headers });
  expect(started.status).toBe(201);
  const { id } = (await started.json()) as { id: string };
  expect(started.headers.get('location')).toBe(`/jupyter/api/kernels/${id}`);
  const client = new SocketClient(`${at}/api/kernels/${id}/channels?session_id=s`, headers, [kernelProtocol]);
  await client.opened;
  expect(client.socket.protocol).toBe(kernelProtocol);
  const request: KernelMessage = {
    channel: 'shell',
    header: { msg_id: 'm', msg_type: 'execute_request', session: 's', username: 'me', date: '', version: '5.3' },
    parent_header: {},
    metadata: {},
    content: { code: '20 + 22', silent: false, store_history: true },
  };
  client.socket.send(writeMessage(request));
  const replies: KernelMessage[] = [];
  while (replies.at(-1)?.content['execution_state'] !== 'idle')
    replies.push(readMessage((await client.message(replies.length)) as Buffer));
  expect(replies.map(({ channel, header }) => `${channel} ${String(header['msg_type'])}`)).toEqual([
    'iopub status',
    'iopub execute_input',
    'iopub execute_result',
    'shell execute_reply',
    'iopub status',
  ]);
  expect(replies[2]?.content).toMatchObject({ data: { 'text/plain': '42' } });
  client.socket.close();
  await client.closed;
});
