// The gate as a process: how it starts, what it reports when it cannot start, how it stops, and what survives a kill.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, post, RawClient, run, sekisho, serverWords, spawnGate, temporaryDirectory } from '../gate.ts';
import { holdStream } from '../held-stream.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'x' }] };
/** Sends one piece and then nothing more. */
function stall(): void {
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    await answer.chunk('{"message":{"content":"a"},"done":false}\n');
  });
}
const refuseToStart = (environment: Record<string, string>) =>
  run(process.execPath, serverWords, { DATA_DIR: temporaryDirectory(), PORT: '0', ...environment });

describe('starting', () => {
  test('P1: without a model server the gate starts, reports it, answers 503, is not ready, and notices when a server appears', async () => {
    const later = await startFakeOllama();
    const { port } = later;
    await later.close();
    const gate = await spawnGate({ UPSTREAM: `http://127.0.0.1:${port}`, PROBE_SECONDS: '0.1' });
    await eventually(() => expect(gate.output()).toMatch(/no model server answers there; the gateway keeps trying/));
    const health = await fetch(`${gate.url}/healthz`);
    expect([health.status, health.headers.get('x-request-id')]).toEqual([200, expect.stringMatching(/^req_/)]);
    expect((await fetch(`${gate.url}/readyz`)).status).toBe(503);
    const { secret } = await gate.key();
    const response = await post(`${gate.url}/api/chat`, secret, chat);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await response.json()).toMatchObject({ code: 'upstream_unreachable' });
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'failed', source: 'none', promptTokens: 0 }]);
    const come = await new FakeOllama().listen(port);
    await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(200));
    expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
    await come.close();
  });
  test('P1: with two servers, calls go to the one that answers', async () => {
    const gate = await spawnGate({ UPSTREAM: `http://127.0.0.1:1,${fake.url}` });
    const { secret } = await gate.key();
    for (let i = 0; i < 5; i++) expect((await post(`${gate.url}/api/chat`, secret, chat)).status).toBe(200);
    expect((await fetch(`${gate.url}/readyz`)).status).toBe(200);
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
  });
  test('creates a data directory that only its owner can read', async () => {
    const dataDir = join(temporaryDirectory(), 'deep', 'data');
    const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dataDir)) expect(statSync(join(dataDir, name)).mode & 0o077).toBe(0);
    gate.process.kill('SIGTERM');
    await gate.ended;
  });
  test('S3, H10: explains a taken port, a second gate or a broken database in one sentence that says what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const port = String((taken.address() as { port: number }).port);
    expect(await refuseToStart({ PORT: port })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^Port \d+ on 127\.0\.0\.1 is taken\. .*set PORT.*\n$/),
    });
    taken.close();

    const gate = await spawnGate({ UPSTREAM: fake.url });
    expect(await refuseToStart({ DATA_DIR: gate.dataDir })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^Another gateway is already using .*\n$/),
    });
    gate.process.kill('SIGTERM');
    await gate.ended;

    const broken = temporaryDirectory();
    writeFileSync(join(broken, 'sekisho.db'), 'this is not a database, and it is long enough to be looked at as one');
    expect(await refuseToStart({ DATA_DIR: broken })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/damaged or not a database.*\n$/),
    });
    expect(readFileSync(join(broken, 'sekisho.db'), 'utf8')).toMatch(/^this is not/);

    const blocked = temporaryDirectory();
    mkdirSync(join(blocked, 'sekisho.db'));
    expect(await refuseToStart({ DATA_DIR: blocked })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/cannot be used.*\n$/),
    });
    writeFileSync(join(blocked, 'file'), '');
    expect(await refuseToStart({ DATA_DIR: join(blocked, 'file') })).toMatchObject({
      code: 1,
      err: expect.stringMatching(/cannot be used.*\n$/),
    });
  });
  test('lists all wrong settings at once', async () => {
    const file = join(temporaryDirectory(), 'sekisho.yaml');
    writeFileSync(file, 'port: 70000\ncors_origin: "*"\nupstream: ftp://x\n');
    const { code, err } = await refuseToStart({
      SEKISHO_CONFIG: file,
      PORT: '70000',
      DRAIN_SECONDS: 'soon',
      SEKISHO_NONSENSE: '1',
      TRUSTED_PROXIES: '10.0.0.0/99',
      CORS_ORIGINS: 'example.org',
      API_KEYS: 'changeme',
      LOG_LEVEL: 'loud',
    });
    expect(code).toBe(1);
    for (const fault of [
      'PORT',
      'cors_origin ',
      'did you mean cors_origins',
      'upstream in',
      'DRAIN_SECONDS',
      'SEKISHO_NONSENSE',
      'TRUSTED_PROXIES',
      'CORS_ORIGINS',
      'sample',
      'LOG_LEVEL',
    ])
      expect(err).toContain(fault);
    expect(err).not.toMatch(/\n\s+at /);
  });
  test('`sekisho config` prints the settings in force and no secret', async () => {
    const { out } = await sekisho(['config', '--json'], {
      API_KEYS: 'a-static-key-of-the-operator',
      DRAIN_SECONDS: '7',
      SEKISHO_PORT: '4000',
    });
    expect(JSON.parse(out)).toMatchObject({ drain_seconds: 7, port: 4000, api_keys: ['[secret]'] });
  });
});

describe('H1: stopping', () => {
  test('does not wait for idle connections or for connections that never sent anything', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url });
    const silent = new RawClient(Number(new URL(gate.url).port));
    await once(silent.socket, 'connect');
    await fetch(`${gate.url}/healthz`);
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
  });
  test.each(['off', 'self-signed'])('answers what clients had sent before they could know (TLS: %s)', async (TLS) => {
    const gate = await spawnGate({ UPSTREAM: fake.url, SLOTS: '16', TLS });
    const { secret } = await gate.key();
    const port = Number(new URL(gate.url).port);
    const body = JSON.stringify({ ...chat, stream: false });
    const call = `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const kept = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const client = new RawClient(port, TLS === 'off' ? undefined : connect({ port, rejectUnauthorized: false }));
        client.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
        await client.until('{"live":true}');
        client.received = Buffer.alloc(0);
        return client;
      }),
    );
    const clients = TLS === 'off' ? 16 : 8;
    const stopping = eventually(() => expect(gate.output()).toContain('stopping'));
    for (let i = 0; i < clients; i++)
      fake.next(async (_, answer) => {
        await stopping;
        answer.whole(200, { 'Content-Type': 'application/json' }, '{"done":true,"prompt_eval_count":1,"eval_count":1}');
      });
    // While the process does not run, its system takes what clients send, their connections, and the signal.
    gate.process.kill('SIGSTOP');
    const fresh = TLS === 'off' ? Array.from({ length: 8 }, () => new RawClient(port)) : [];
    await Promise.all(fresh.map((client) => once(client.socket, 'connect')));
    await Promise.all(
      [...kept, ...fresh].map((client) => new Promise((resolve) => client.socket.write(call, resolve))),
    );
    gate.process.kill('SIGTERM');
    gate.process.kill('SIGCONT');
    for (const client of [...kept, ...fresh]) {
      await client.closed;
      expect(client.text).toMatch(/^HTTP\/1\.1 200 .*\r\nConnection: close\r\n.*"done":true/s);
    }
    expect(await gate.ended).toBe(0);
    expect((await gate.ledger(clients)).filter(({ outcome }) => outcome === 'completed')).toHaveLength(clients);
  });
  test('lets a running stream finish, accepts no new connection, and loses no record', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url, DRAIN_SECONDS: '10' });
    const { secret } = await gate.key();
    const release = holdStream(fake);
    // A second connection, kept alive since before the signal.
    const kept = new RawClient(Number(new URL(gate.url).port));
    const silent = new RawClient(Number(new URL(gate.url).port));
    const response = await post(`${gate.url}/api/chat`, secret, chat);
    const reader = response.body!.getReader();
    await reader.read();
    kept.write(`GET /api/version HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n\r\nGET /api/`);
    await kept.until('"version"');
    gate.process.kill('SIGTERM');
    // Requests are answered until then.
    await silent.closed;
    kept.write(`version HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\n\r\n`);
    await eventually(() => expect(kept.text + (kept.socket.destroyed ? 'draining' : '')).toContain('draining'));
    await expect(fetch(`${gate.url}/healthz`)).rejects.toThrow();
    release();
    expect(new TextDecoder().decode((await reader.read()).value)).toContain('"done":true');
    expect((await reader.read()).done).toBe(true);
    expect(await gate.ended).toBe(0);
    expect((await gate.ledger(2)).find((row) => row.operation === 'chat')).toMatchObject({
      outcome: 'completed',
      completionTokens: 1,
    });
  });
  test('closes the connection of a call that ends meanwhile, so that no balancer sends another one on it', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url, SLOTS: '2', DRAIN_SECONDS: '300', IDLE_SECONDS: '600' });
    const { secret } = await gate.key();
    const body = JSON.stringify(chat);
    const stream = async (): Promise<readonly [RawClient, () => void]> => {
      const release = holdStream(fake);
      const client = new RawClient(Number(new URL(gate.url).port));
      client.write(`POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Type: application/json\r\n`);
      client.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
      await client.until('"done":false');
      return [client, release];
    };
    const [first, releaseFirst] = await stream();
    const [second, releaseSecond] = await stream();
    gate.process.kill('SIGTERM');
    await eventually(() => expect(gate.output()).toContain('stopping'));
    releaseFirst();
    await first.closed;
    expect(first.text).toContain('"done":true');
    releaseSecond();
    await second.closed;
    expect(second.text).toMatch(/"done":true.*\r\n0\r\n\r\n$/s);
    expect(await gate.ended).toBe(0);
  });
  test('ends a call that outlasts DRAIN_SECONDS with the last frame of its dialect, and exits with 0', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url, DRAIN_SECONDS: '0.2' });
    const { secret } = await gate.key();
    stall();
    const response = await post(`${gate.url}/api/chat`, secret, chat);
    const reader = response.body!.getReader();
    await reader.read();
    gate.process.kill('SIGTERM');
    expect(JSON.parse(new TextDecoder().decode((await reader.read()).value))).toMatchObject({ code: 'draining' });
    await expect(reader.read()).rejects.toThrow();
    expect(await gate.ended).toBe(0);
    expect(await gate.ledger(1)).toMatchObject([
      { outcome: 'ended', code: 'draining', source: 'estimated', completionTokens: 1 },
    ]);
  });
  test('resets the connection of such a call in HTTP/1.0, where a clean close would look like the end of the answer', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url, DRAIN_SECONDS: '0.2' });
    const { secret } = await gate.key();
    stall();
    const client = new RawClient(Number(new URL(gate.url).port));
    const reset = once(client.socket, 'error');
    const body = JSON.stringify(chat);
    client.write(`POST /api/chat HTTP/1.0\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Type: application/json\r\n`);
    client.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
    await client.until('"done":false');
    gate.process.kill('SIGTERM');
    expect(await reset).toMatchObject([{ code: 'ECONNRESET' }]);
    expect(await gate.ended).toBe(0);
  });
  test('passes a signal to `npm start` on to the gate, which stops in order and leaves no process behind', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url }, ['npm', 'start']);
    expect((await fetch(`${gate.url}/healthz`)).status).toBe(200);
    gate.process.kill('SIGTERM');
    await gate.ended;
    await eventually(() => expect(gate.output()).toContain('"msg":"stopped"'));
    await expect(fetch(`${gate.url}/healthz`)).rejects.toThrow('fetch failed');
  });
  test('H2: a second signal stops the gate at once', async () => {
    const gate = await spawnGate({ UPSTREAM: fake.url, DRAIN_SECONDS: '60' });
    const { secret } = await gate.key();
    stall();
    await (await post(`${gate.url}/api/chat`, secret, chat)).body!.getReader().read();
    gate.process.kill('SIGTERM');
    await eventually(() => expect(gate.output()).toContain('stopping'));
    // Signals within one second of the first count as the same request; a later one stops the gate at once.
    await eventually(() => {
      gate.process.kill('SIGTERM');
      expect(gate.process.exitCode).not.toBeNull();
    });
    expect(await gate.ended).toBe(1);
  });
});

describe('H3: kill -9', () => {
  test('loses no record: finished exchanges are there once, the running one as interrupted', async () => {
    const dataDir = temporaryDirectory();
    let gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
    const { secret } = await gate.key();
    for (let round = 0; round < 3; round++) {
      stall();
      const running = await post(`${gate.url}/api/chat`, secret, chat);
      const reader = running.body!.getReader();
      await reader.read();
      const answers = await Promise.all(
        Array.from({ length: 40 }, () =>
          post(`${gate.url}/api/chat`, secret, { ...chat, stream: false }).then((response) => response.text()),
        ),
      );
      expect(answers.every((answer) => answer.includes('"done":true'))).toBe(true);
      // Read at once: the last answers cannot have reached the database in the ordinary way yet.
      gate.process.kill('SIGKILL');
      expect(await gate.ended).toBe('SIGKILL');
      await reader.cancel().catch(() => undefined);
      gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
    }
    const rows = await gate.ledger(123);
    expect(rows).toHaveLength(123);
    expect(new Set(rows.map((row) => row.id)).size).toBe(123);
    expect(rows.filter((row) => row.outcome === 'completed' && row.source === 'exact')).toHaveLength(120);
    expect(rows.filter((row) => row.outcome === 'interrupted')).toMatchObject(
      Array.from({ length: 3 }, () => ({ operation: 'chat', model: 'gemma3:270m' })),
    );
    gate.process.kill('SIGTERM');
    expect(await gate.ended).toBe(0);
    expect(readdirSync(join(dataDir, 'journal'))).toEqual([]);
  });
});

describe('U54, A18: a planted prompt and a planted key', () => {
  test('appear in no log line, database page, journal or error body', async () => {
    const canary = 'CANARY-prompt-7f3a';
    const dataDir = temporaryDirectory();
    const gate = await spawnGate({
      UPSTREAM: fake.url,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'trace',
      API_KEYS: 'CANARY-static-key-of-the-operator',
    });
    const { secret } = await gate.key({ allowPath: true });
    const { secret: narrow } = await gate.key({ models: ['llama3'], scopes: ['inference'] });
    const said = {
      model: 'gemma3:270m',
      messages: [{ role: 'user', content: canary }],
      prompt: canary,
      input: canary,
      max_tokens: 5,
    };
    const bodies: string[] = [];
    const send = async (path: string, key: string, body: unknown): Promise<void> => {
      const response = await post(gate.url + path, key, body).catch(() => undefined);
      const text = await response?.text().catch(() => '');
      if (response && response.status >= 400) bodies.push(text ?? '');
    };
    for (const path of [
      '/api/chat',
      '/api/generate',
      '/api/embed',
      '/v1/chat/completions',
      '/v1/responses',
      '/v1/messages',
      '/v1/completions',
    ]) {
      await send(path, secret, said);
      await send(path, narrow, said);
      await send(path, 'CANARY-static-key-of-the-operator', said);
      await send(path, `${secret}x`, said);
      await send(path, secret, `{"${canary}":1,"${canary}":2}`);
      await send(path, secret, `{"model":"gemma3:270m","messages":"${canary}`);
      await send(path, secret, { ...said, model: 'missing' });
      fake.next((_, answer) => answer.reset());
      await send(path, secret, said);
      fake.next((_, answer) => answer.raw(`rubbish ${canary}\r\n\r\n`));
      await send(path, secret, said);
      await send(`/k/${secret}${path}`, '', said);
      await send(`${path}?key=${secret}`, secret, said);
      await send(`//k/${secret}${path}`, secret, said);
      await send(`/K/${secret}${path}`, secret, said);
      await send(`/%6b/${secret}${path}`, secret, said);
    }
    stall();
    void post(`${gate.url}/api/chat`, secret, said).catch(() => undefined);
    await fake.arrival(() => true);
    gate.process.kill('SIGKILL');
    await gate.ended;
    const second = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir, LOG_LEVEL: 'trace' });
    second.process.kill('SIGTERM');
    await second.ended;

    const places = [gate.output(), second.output(), ...bodies];
    const walk = (directory: string): void => {
      for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
        if (entry.isFile()) places.push(readFileSync(join(entry.parentPath, entry.name), 'latin1'));
      }
    };
    walk(dataDir);
    expect(places.join('').length).toBeGreaterThan(20_000);
    expect(bodies.length).toBeGreaterThan(50);
    for (const place of places) {
      expect(place).not.toContain('CANARY');
      for (const key of [secret, narrow]) {
        expect(place).not.toContain(key);
        expect(place).not.toContain(key.slice(21));
      }
    }
  });
});

test('the same sources run on Deno with only the permissions that they need', async ({ onTestFinished }) => {
  // Deno lets nobody without all permissions into /dev, where the other tests may have their files.
  const DATA_DIR = mkdtempSync('/var/tmp/sekisho-test-');
  onTestFinished(() => rmSync(DATA_DIR, { recursive: true }));
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR }, [process.execPath, 'scripts/start-deno.ts']);
  const { out } = await run(process.execPath, ['scripts/start-deno.ts', '--print'], {
    UPSTREAM: fake.url,
    DATA_DIR: gate.dataDir,
  });
  expect(out).toMatch(/--allow-net=127\.0\.0\.1,127\.0\.0\.1:\d+ /);
  expect(out).not.toMatch(/--allow-(all|run|import)|--allow-(net|read|write|ffi|sys) | -A /);
  const { secret } = await gate.key();
  const whole = await post(`${gate.url}/api/chat`, secret, { ...chat, stream: false });
  expect(await whole.json()).toMatchObject({ done: true, message: { content: fake.pieces.join('') } });
  const streamed = await (await post(`${gate.url}/v1/chat/completions`, secret, { ...chat, stream: true })).text();
  expect(streamed).toMatch(/data: \[DONE\]\n\n$/);
  expect(streamed).not.toContain('"usage"');
  expect((await fetch(`${gate.url}/api/tags`)).status).toBe(401);

  stall();
  const arrival = fake.arrival();
  const client = new RawClient(Number(new URL(gate.url).port));
  const body = JSON.stringify(chat);
  client.write(
    `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await client.until('"done":false');
  const request = await arrival;
  client.socket.destroy();
  await request.aborted;

  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  expect((await gate.ledger(3)).map((row) => [row.outcome, row.source])).toEqual([
    ['completed', 'exact'],
    ['completed', 'exact'],
    ['client_closed', 'estimated'],
  ]);
});
