// Services that are published while the gate runs, through the management API and the command line: used within a second,
// changed, removed without cutting what runs, and refused with a sentence where they cannot be.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, eventually, openGate, sekisho, type TestGate, temporaryDirectory } from '../gate.ts';
import { type EchoService, echoAnswer, startEchoService } from '../services/echo-service.ts';

let fake: FakeOllama;
let gate: TestGate;
let first: EchoService;
let second: EchoService;
let operator: string;
let environment: Record<string, string>;
let files: string;

beforeAll(async () => {
  [fake, first, second] = await Promise.all([startFakeOllama(), startEchoService(), startEchoService()]);
  const directory = temporaryDirectory();
  files = join(directory, 'files');
  mkdirSync(files);
  const routes = join(directory, 'routes.jsonc');
  writeFileSync(routes, JSON.stringify([{ name: 'fixed', path: '/fixed', upstreams: [first.url] }]));
  const settings = { ROUTES: routes, SERVER_FILES: files, SERVER_DRAIN_SECONDS: '20' };
  gate = await openGate(fake.url, settings);
  environment = { ...settings, DATA_DIR: gate.dataDir };
  ({ secret: operator } = await gate.key({ scopes: ['management:read', 'management:write'] }));
});
afterAll(async () => {
  await gate.stop();
  await Promise.all([first.stop(), second.stop(), fake.close()]);
});

interface Shown {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly fixed: boolean;
  readonly options: Record<string, unknown>;
  readonly servers: readonly { readonly address: string; readonly state: string }[];
}

async function manage(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Shown & { detail: string; items: Shown[] } }> {
  const answer = await fetch(`${gate.url}/management/v1${path}`, {
    method,
    headers: { 'x-api-key': operator, 'content-type': 'application/json' },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
}

async function keyFor(name: string): Promise<string> {
  return (await gate.key({ scopes: [`route:${name}`] })).secret;
}

const ask = (path: string, secret: string): Promise<Response> =>
  fetch(gate.url + path, { headers: { 'x-api-key': secret } });

test('a service is published, changed and removed, and what runs there goes on', async () => {
  writeFileSync(join(files, 'box.secret'), 'x-box: of-the-box\n');
  const made = await manage('POST', '/routes', {
    name: 'box',
    path: '/box',
    upstreams: [first.url],
    secretFile: 'box.secret',
  });
  expect(made.status).toBe(201);
  expect(made.body).toMatchObject({ name: 'box', fixed: false, options: { path: '/box', strip: true, slots: null } });
  const secret = await keyFor('box');
  await eventually(async () => expect((await ask('/box/a', secret)).status).toBe(200));
  expect(first.seen.at(-1)).toMatchObject({ url: '/a', headers: { 'x-box': 'of-the-box' } });

  first.answer = (_, response) => {
    response.writeHead(200).write('begun ');
    setImmediate(() => (finish = () => response.end('and ended')));
  };
  let finish = (): void => undefined;
  const running = await begunAnswer(await ask('/box/long', secret));
  first.answer = echoAnswer;
  const changed = await manage('PATCH', `/routes/${made.body.id}`, { upstreams: [second.url], secretFile: null });
  expect(changed.body).toMatchObject({ options: { upstreams: [second.url], secretFile: null } });
  await eventually(async () => {
    expect((await ask('/box/b', secret)).status).toBe(200);
    expect(second.seen.at(-1)).toMatchObject({ url: '/b' });
  });
  expect(second.seen.at(-1)?.headers).not.toHaveProperty('x-box');
  const listed = await manage('GET', '/routes');
  expect(listed.body.items.map(({ name, fixed, state }) => [name, fixed, state])).toEqual([
    ['fixed', true, 'published'],
    ['box', false, 'published'],
  ]);
  expect(listed.body.items[1]?.servers).toMatchObject([{ address: second.url, state: 'unknown' }]);

  expect((await manage('DELETE', `/routes/${made.body.id}`)).status).toBe(204);
  await eventually(async () => expect((await ask('/box/c', secret)).status).toBe(404));
  finish();
  expect(await running.rest).toEqual({ text: 'begun and ended', clean: true });
  const audit = await gate.manage((store) => store.listAudit({ limit: 10 }));
  const events = audit.filter(({ action }) => action.startsWith('route.')).toReversed();
  expect(events.map(({ action }) => action)).toEqual(['route.create', 'route.set', 'route.delete']);
  expect(events[1]).toMatchObject({ from: { secretFile: 'box.secret' }, to: { upstreams: [second.url] } });
});

test.each([
  ['two names', { name: 'fixed', path: '/other' }, 409, 'Two routes have the name "fixed".'],
  ['a path that another has', { path: '/fixed' }, 409, 'Routes "fixed" and "new" have the same path.'],
  ['a path under another', { path: '/fixed/inner' }, 409, 'The paths of routes "fixed" and "new" overlap.'],
  ['a path of the gate', { path: '/v1/x' }, 409, 'Route "new": addresses under /v1 belong to the gateway itself.'],
  ['the gate itself', { path: '/x', upstreams: ['SELF'] }, 400, 'is this gateway itself'],
  ['an unknown scheme', { path: '/x', upstreams: ['ftp://x'] }, 400, 'upstreams has addresses that begin with http://'],
  ['a file elsewhere', { path: '/x', secretFile: '../keys' }, 400, 'Give the name of a file without its directory'],
  ['no place', {}, 400, 'Route "new": give either a path, such as /service, or a hostName.'],
])('%s is refused with a sentence', async (_, fields, status, sentence) => {
  const route = { name: 'new', upstreams: [second.url], ...fields };
  const upstreams = route.upstreams.map((address) => (address === 'SELF' ? gate.url : address));
  const answer = await manage('POST', '/routes', { ...route, upstreams });
  expect([answer.status, answer.body.detail]).toEqual([status, expect.stringContaining(sentence)]);
});

test('a route whose file is missing is kept out with the reason, hinders no other, and is published once it is there', async () => {
  const made = await manage('POST', '/routes', {
    name: 'later',
    path: '/later',
    upstreams: [second.url],
    secretFile: 'later.secret',
  });
  expect(made.status).toBe(201);
  const secret = await keyFor('later');
  await eventually(async () =>
    expect((await manage('GET', '/routes/later')).body).toMatchObject({
      state: 'unusable',
      reason: expect.stringContaining('later.secret'),
      servers: [],
    }),
  );
  expect((await ask('/later/x', secret)).status).toBe(404);
  expect((await ask('/fixed/x', await keyFor('fixed'))).status).toBe(200);
  writeFileSync(join(files, 'later.secret'), 'a-key-of-its-own');
  gate.reload();
  expect((await ask('/later/x', secret)).status).toBe(200);
  expect(second.seen.at(-1)?.headers['authorization']).toBe('Bearer a-key-of-its-own');
});

test('the command line does the same', async () => {
  const run = async (...given: string[]): Promise<{ code: number; out: string; err: string }> => {
    const { code, out, err } = await sekisho(['route', ...given], environment);
    return { code, out, err };
  };
  const added = await run(
    'add',
    'typed',
    'path=/typed',
    `upstreams=${second.url}`,
    'methods=GET,PUT',
    'timeouts.head=7',
    'cost.fixed=2',
    'cost.unit=images',
    '--json',
  );
  expect(added.err).toBe('');
  expect(JSON.parse(added.out)).toMatchObject({
    path: '/typed',
    methods: ['GET', 'PUT'],
    timeouts: { connect: 5, head: 7 },
    cost: { unit: 'images', fixed: 2 },
  });
  const secret = await keyFor('typed');
  await eventually(async () => expect((await ask('/typed/x', secret)).status).toBe(200));
  const set = await run('set', 'typed', 'timeouts.idle=9', 'cost=none', 'slots=3', '--json');
  expect(JSON.parse(set.out)).toMatchObject({ timeouts: { head: 7, idle: 9 }, cost: null, slots: 3 });
  expect((await run('set', 'typed', 'speed=fast')).err).toContain('Route "typed" has no option "speed".');
  expect((await run('list')).out).toMatch(/typed +\/typed/);
  expect((await run('show', 'typed')).out).toContain('route:typed');
  expect((await run('remove', 'typed', '--yes')).out).toContain('The route typed is removed.');
  await eventually(async () => expect((await ask('/typed/x', secret)).status).toBe(404));
});
