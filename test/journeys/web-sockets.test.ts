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
import { WebSocket as ProgramSocket } from 'ws';
import { openBrowser } from '../browser.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate, temporaryDirectory } from '../gate.ts';
import { picture, startComfyUi } from '../services/comfyui.ts';
import { documentedRoute } from '../services/documented-route.ts';
import { kernelProtocol, readMessage } from '../services/jupyter.ts';
import { contentOf, type Replayed, readRecording, startRecorded } from '../services/recorded-service.ts';
import { SocketClient } from '../services/socket-client.ts';
import type { RunningService } from '../services/web-socket-server.ts';

const recording = readRecording('jupyter-server-2.21.1');
const token = 'of-the-notebook-server';
let fake: FakeOllama;
let comfy: RunningService;
let jupyter: Replayed;
let gate: TestGate;
let secret: string;
let keyId: string;
/** The back end of a page: serves it, and gets tickets for it with the key. */
let site: Server;
let origin: string;

beforeAll(async () => {
  const directory = temporaryDirectory();
  [fake, comfy, jupyter] = await Promise.all([startFakeOllama(), startComfyUi(), startRecorded(recording)]);
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
  const cost = { perSecond: 1, unit: 'seconds' };
  const routes = join(directory, 'routes.jsonc');
  writeFileSync(
    routes,
    JSON.stringify([
      { ...documentedRoute('comfy', { upstreams: [comfy.url], websocket: { origins: [origin] } }), cost },
      documentedRoute('jupyter', { upstreams: [jupyter.url], secretFile }),
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

  const client = new ProgramSocket(`${at.replace('http', 'ws')}/ws?clientId=mine`, { headers });
  const told: Told[] = [];
  const previews: Buffer[] = [];
  client.on('message', (data: Buffer, isBinary) => {
    if (isBinary) previews.push(data);
    else told.push(JSON.parse(data.toString()) as Told);
  });
  await eventually(() => expect(told[0]).toMatchObject({ type: 'status', data: { sid: 'mine' } }));
  const asked = await fetch(`${at}/prompt`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ prompt: { '9': { class_type: 'SaveImage' } }, client_id: 'mine' }),
  });
  const { prompt_id: id } = (await asked.json()) as { prompt_id: string };
  await eventually(() => expect(told.map(({ type }) => type)).toContain('execution_success'));
  expect(told.slice(1, 11).map(({ type }) => type)).toEqual([
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
  client.close(1000);
  await once(client, 'close');
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
  expect(await (await fetch(`${at}/api`, { headers })).json()).toEqual({ version: '2.21.1' });
  expect((await fetch(`${at}/api/kernelspecs`, { headers })).status).toBe(200);
  const started = await fetch(`${at}/api/kernels`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: '{"name":"python3"}',
  });
  expect(started.status).toBe(201);
  // The cookie with which Jupyter recognises a browser is not the caller's.
  expect(started.headers.get('set-cookie')).toBeNull();
  const { id } = (await started.json()) as { id: string };
  expect(started.headers.get('location')).toBe(`/jupyter/api/kernels/${id}`);

  const channels = `${at.replace('http', 'ws')}/api/kernels/${id}/channels?session_id=s`;
  const client = new ProgramSocket(channels, [kernelProtocol], { headers });
  const heard: Buffer[] = [];
  client.on('message', (data: Buffer) => void heard.push(data));
  await once(client, 'open');
  expect(client.protocol).toBe(kernelProtocol);
  const [{ messages }] = recording.sockets as [(typeof recording.sockets)[number]];
  for (const message of messages) {
    if (message.from === 'client') client.send(contentOf(message));
    else await eventually(() => expect(heard.shift()).toEqual(contentOf(message)));
  }
  client.close(1000);
  await once(client, 'close');
  const said = messages.map((message) => readMessage(contentOf(message) as Buffer));
  expect(said.find(({ header }) => header['msg_type'] === 'execute_result')?.content).toMatchObject({
    data: { 'text/plain': '42' },
  });
  expect(said.find(({ header }) => header['msg_type'] === 'stream')?.content).toMatchObject({ text: 'あああ\n' });

  expect((await fetch(`${at}/api/kernels`, { headers })).status).toBe(200);
  expect((await fetch(`${at}/api/kernels/${id}`, { method: 'DELETE', headers })).status).toBe(204);
  expect(jupyter.strange).toEqual([]);
  for (const { headers: sent } of jupyter.asked) expect(sent.authorization).toBe(`token ${token}`);
  expect(JSON.stringify(jupyter.asked)).not.toContain(secret);
});
