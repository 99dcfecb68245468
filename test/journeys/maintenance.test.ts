// Maintenance: new calls of every kind are refused with the operator's sentence, calls that are inside finish, and operators
// still reach everything that they need to end it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createKey } from '../../src/management/keys/keys.ts';
import { beginMaintenance, endMaintenance } from '../../src/management/maintenance/maintenance.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import {
  author,
  eventually,
  inTime,
  openGate,
  post,
  sekisho,
  type TestGate,
  temporaryDirectory,
  withinASecond,
} from '../gate.ts';
import { holdStream } from '../held-stream.ts';
import { refusedUpgrade } from '../services/socket-client.ts';
import { type RunningService, startService } from '../services/web-socket-server.ts';

const sentence = 'New disks until noon – 正午まで; ask "Ada".';
const model = 'gemma3:270m';
const messages = [{ role: 'user', content: 'hi' }];
let fake: FakeOllama;
let service: RunningService;
let gate: TestGate;
let member: Awaited<ReturnType<TestGate['member']>>;
let boss: string;

beforeAll(async () => {
  fake = await startFakeOllama();
  service = await startService({ onUpgrade: () => undefined, onRequest: (_, response) => response.end('plain') });
  const file = join(temporaryDirectory(), 'routes.json');
  const echo = { upstreams: [service.url], scope: 'route:echo', websocket: {} };
  writeFileSync(
    file,
    JSON.stringify([
      { ...echo, name: 'echo', path: '/echo', credential: ['header', 'ticket'] },
      { name: 'notes', path: '/notes', upstreams: [`${service.url}/mcp`], scope: 'route:echo', mcp: {} },
    ]),
  );
  gate = await openGate(fake.url, { ROUTES: file, SLOTS: '1' });
  member = await gate.member({ concurrentRequests: 2, waitingRequests: 5 });
  ({ secret: boss } = await gate.key({ scopes: ['management'] }));
});
afterEach(async () => {
  await gate.manage((store, by) => endMaintenance(store, by));
  await withinASecond(async () => expect((await list()).status).toBe(200));
});
afterAll(async () => {
  await gate.stop();
  await service.close();
  await fake.close();
});

const manage = (method: string, body?: unknown): Promise<Response> =>
  fetch(`${gate.url}/management/v1/maintenance`, {
    method,
    headers: { 'x-api-key': boss, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const chat = (url = gate.url, secret = member.secret): Promise<Response> =>
  post(`${url}/api/chat`, secret, { model, messages });
const list = (): Promise<Response> => fetch(`${gate.url}/v1/models`, { headers: { 'x-api-key': member.secret } });

test('new calls of every kind get the sentence of the operator and nothing reaches a server', async () => {
  const caller = await gate.key({ scopes: ['inference:chat', 'inference:embed', 'metadata', 'route:echo'] });
  const until = new Date(Date.now() + 3_600_000).toISOString();
  const begun = await manage('PATCH', { on: true, message: ` ${sentence}\n`, until });
  expect(await begun.json()).toMatchObject({ on: true, message: sentence, until });
  await withinASecond(async () => expect((await list()).status).toBe(503));
  const bodies: Readonly<Record<string, object>> = {
    '/api/chat': { model, messages },
    '/api/embed': { model, input: 'hi' },
    '/v1/chat/completions': { model, messages, stream: true },
    '/v1/responses': { model, input: 'hi' },
    '/v1/messages': { model, messages, max_tokens: 5 },
    '/echo/x': { any: 'thing' },
    '/echo/ws?ticket': {},
    '/notes': { jsonrpc: '2.0', id: 1, method: 'initialize', params: {} },
  };
  for (const [path, body] of Object.entries(bodies)) {
    const answer = await post(gate.url + path, caller.secret, body, { accept: 'application/json, text/event-stream' });
    expect([path, answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([path, 503, 'maintenance']);
    expect(answer.headers.get('x-sekisho-error-owner')).toBe('gateway');
    const wait = Number(answer.headers.get('retry-after'));
    expect(wait).toBeGreaterThan(3_500);
    expect(wait).toBeLessThanOrEqual(3_600);
    // The official SDKs would otherwise try twice more within seconds.
    expect(answer.headers.get('x-should-retry')).toBe('false');
    const said = (await answer.json()) as { error: string | { message: string } };
    expect(typeof said.error === 'string' ? said.error : said.error.message, path).toBe(sentence);
  }
  const reached = fake.requests.filter(({ url }) => Object.hasOwn(bodies, url));
  const upgrade = await refusedUpgrade(gate.port, { path: '/echo/ws', lines: [`x-api-key: ${caller.secret}`] });
  expect(upgrade).toMatchObject({ status: 503, answers: 1 });
  expect(upgrade.text).toContain('x-sekisho-error-code: maintenance');
  expect([reached, service.sockets]).toEqual([[], []]);

  // Strangers learn nothing, and a refusal is in the ledger of its caller.
  expect((await chat(gate.url, 'sekisho_000000000000_x')).status).toBe(401);
  const rows = (await gate.ledger(9)).filter(({ keyId }) => keyId === caller.id);
  expect(new Set(rows.map(({ code, outcome }) => `${outcome} ${code}`))).toEqual(new Set(['refused maintenance']));

  const ready = await fetch(`${gate.url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { accepting: true, store: true, upstream: true, maintenance: true },
  ]);
  expect((await fetch(`${gate.url}/portal/`)).status).toBe(200);
  // No operator has asked for a public status page here.
  expect((await fetch(`${gate.url}/management/v1/status-page`)).status).toBe(404);
  const session = await fetch(`${gate.url}/management/v1/session`);
  expect(await session.json()).toMatchObject({ gate: { maintenance: { message: sentence, until } } });
  expect(await (await manage('PATCH', { on: false })).json()).toEqual({
    on: false,
    message: null,
    since: null,
    until: null,
  });
  await withinASecond(async () => expect((await list()).status).toBe(200));
  const actions = await gate.manage((store) => store.listAudit({ limit: 2 }));
  expect(actions.map(({ action }) => action)).toEqual(['maintenance.off', 'maintenance.on']);
  expect(actions[1]?.to).toMatchObject({ message: sentence, until });
});

test('calls that run and calls that wait for their turn finish', async () => {
  const release = holdStream(fake);
  const running = await chat();
  const waiting = chat();
  await eventually(() => expect(gate.waiting()).toBe(1));
  await gate.manage((store, by) => beginMaintenance(store, {}, by));
  await withinASecond(async () => expect((await list()).status).toBe(503));
  const refused = await chat();
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '60']);
  expect(await refused.json()).toMatchObject({ error: 'The gateway is under maintenance.', code: 'maintenance' });
  release();
  expect(await running.text()).toContain('"done":true');
  expect((await waiting).status).toBe(200);
});

test('it ends by itself at its time, and a preview says why a call would not pass until then', async () => {
  const preview = async (): Promise<unknown> =>
    (await post(`${gate.url}/management/v1/preview`, boss, { key: member.id, model, path: '/api/chat' })).json();
  await inTime(2_000, async (lifeMs) => {
    await gate.manage((store, by) => beginMaintenance(store, { message: 'A minute.', until: by.at + lifeMs }, by));
    await withinASecond(async () => expect((await list()).status).toBe(503));
    expect(await preview()).toMatchObject({ passes: false, code: 'maintenance', reason: 'A minute.' });
  });
  await eventually(async () => expect((await list()).status).toBe(200));
  expect(await (await manage('GET')).json()).toMatchObject({ on: false, message: null });
  expect(await (await fetch(`${gate.url}/readyz`)).json()).toMatchObject({ maintenance: false });
  // The audit log has the end once, by the gate itself.
  await eventually(async () => {
    const [last, ...others] = await gate.manage((store) => store.listAudit({ subject: 'maintenance', limit: 2 }));
    expect(last).toMatchObject({ actor: 'gate', action: 'maintenance.off', from: { message: 'A minute.' }, to: null });
    expect(others).toMatchObject([{ action: 'maintenance.on' }]);
  });
});

test('invalid messages and times are refused and change nothing', async () => {
  const invalid = [
    { on: true, until: '2020-01-01T00:00:00Z' },
    { on: true, message: 'a\u0007b' },
    { on: true, message: 'x'.repeat(501) },
    { on: true, message: ' ' },
    { message: 'x' },
  ];
  for (const body of invalid) expect((await manage('PATCH', body)).status, JSON.stringify(body)).toBeGreaterThan(399);
  expect(await (await manage('GET')).json()).toMatchObject({ on: false });
});

test('a gate that starts under maintenance refuses its first call', async () => {
  const dataDir = temporaryDirectory();
  const place = { DATA_DIR: dataDir, DATABASE_URL: '' };
  const store = await openSqlite(dataDir);
  await openGate(fake.url, place).then((first) => first.stop());
  const { secret } = await createKey(store, { name: 'test', account: 'operator' }, author());
  await beginMaintenance(store, { message: 'Moving.' }, author());
  await store.close();
  const second = await openGate(fake.url, place);
  expect((await chat(second.url, secret?.reveal())).status).toBe(503);
  await second.stop();
});

test('the command begins, changes, shows and ends it', async () => {
  const run = (...words: string[]) => sekisho(['maintenance', ...words], { DATA_DIR: gate.dataDir });
  const on = await run('on', '--message', 'New disks.', '--for', '90m', '--json');
  const { since, until } = JSON.parse(on.out) as { since: string; until: string };
  expect(Date.parse(until) - Date.parse(since)).toBe(90 * 60_000);
  const changed = JSON.parse((await run('on', '--message', 'Newer disks.', '--json')).out) as object;
  expect(changed).toEqual({ on: true, message: 'Newer disks.', since, until });
  expect((await run('show')).out).toMatch(/^on +true\nmessage +Newer disks\./);
  expect(await run('on', '--for', '1h', '--until', '2h')).toMatchObject({ code: 2 });
  expect((await run('off')).out).toBe('Maintenance has ended.\n');
  expect((await run('off')).out).toBe('Maintenance was not on.\n');
  const events = await gate.manage((store) => store.listAudit({ limit: 3 }));
  expect(events.map(({ action }) => action)).toEqual(['maintenance.off', 'maintenance.set', 'maintenance.on']);
  expect(events[1]).toMatchObject({ from: { message: 'New disks.' }, to: { message: 'Newer disks.' } });
});
