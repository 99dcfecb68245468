// Model servers that operators add, change and remove through the management API while the gate serves.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serverRulesOf } from '../../src/management/servers/server-rules.ts';
import { createServer } from '../../src/management/servers/servers.ts';
import { loadConfig } from '../../src/settings/config.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import {
  author,
  type Begun,
  begunAnswer,
  commandFile,
  eventually,
  openGate,
  post,
  run,
  type TestGate,
  temporaryDirectory,
  withinASecond,
} from '../gate.ts';
import { operatorOf, type Reply, type Visitor } from '../visitor.ts';

let one: FakeOllama;
let two: FakeOllama;
let gate: TestGate;
let operator: Visitor;
let secret: string;
let files: string;
/** Lets every held stream end. */
let release: () => void;

const model = 'gemma3:270m';
const generation = ({ url }: FakeRequest): boolean => url === '/api/generate';
const heard = (fake: FakeOllama): number => fake.requests.filter(generation).length;
const ask = (stream = true, key = secret, named = model): Promise<Response> =>
  post(`${gate.url}/api/generate`, key, { model: named, prompt: 'x', stream });

beforeEach(async () => {
  [one, two] = await Promise.all([startFakeOllama(), startFakeOllama()]);
  const { promise, resolve } = Promise.withResolvers<void>();
  release = resolve;
  for (const fake of [one, two]) fake.pieces = ['a', 'b', 'c'];
  for (const fake of [one, two]) fake.pace = (index) => (index === 1 ? promise : undefined);
  files = temporaryDirectory();
});
afterEach(async () => {
  release();
  await gate.stop();
  await Promise.all([one.close(), two.close()]);
  rmSync(files, { recursive: true, force: true });
});

const keyFile = (): string => join(files, 'server-secrets.key');

async function open(environment: Record<string, string> = {}): Promise<void> {
  mkdirSync(join(files, 'shown'), { recursive: true });
  writeFileSync(keyFile(), randomBytes(32).toString('hex'));
  gate = await openGate(one.url, {
    SERVER_FILES: join(files, 'shown'),
    SERVER_SECRET_KEY: keyFile(),
    ...environment,
  });
  ({ secret } = await gate.key());
  operator = await operatorOf(gate);
  await eventually(async () => expect((await fetch(`${gate.url}/readyz`)).status).toBe(200));
}

const shown = async (id: string): Promise<Reply['body']> => (await operator.get(`/servers/${id}`)).body;
/** Adds a server, and waits until it answers. */
async function added(fields: object, state = 'up'): Promise<Reply> {
  const made = await operator.post('/servers', fields);
  expect([made.status, made.text]).toEqual([201, expect.anything()]);
  await eventually(async () => expect((await shown(made.body.id)).state).toBe(state));
  return made;
}
const patch = (id: string, body: object, headers: Record<string, string> = {}): Promise<Reply> =>
  operator.ask('PATCH', `/management/v1/servers/${id}`, { body, headers });

/** A stream whose first piece has arrived. */
const begun = async (key = secret): Promise<Begun> => begunAnswer(await ask(true, key));

describe('a server that is added through the API', () => {
  test('gets its share of the calls under load, and loses none when it is removed under load', async () => {
    release();
    await open({ SLOTS: '2' });
    const over = new AbortController();
    let calls = 0;
    const work = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const answer = await ask();
        const lines = (await answer.text()).trim().split('\n');
        expect([answer.status, JSON.parse(lines.at(-1)!)]).toMatchObject([200, { done: true }]);
        calls++;
      }
    };
    const workers = Array.from({ length: 6 }, work);
    for (let round = 0; round < 2; round++) {
      const before = heard(two);
      const { body } = await added({ name: 'second', address: `${two.url}/v1/` });
      expect(body).toMatchObject({ address: two.url, fixed: false, weight: 1, version: 1, secret: null });
      await eventually(() => expect(heard(two)).toBeGreaterThan(before + 5));
      expect((await operator.delete(`/servers/${body.id}`)).status).toBe(204);
      await eventually(() => expect(gate.servers.all).toHaveLength(1));
      const drained = heard(two);
      const { length } = one.requests;
      await eventually(() => expect(one.requests.length).toBeGreaterThan(length + 5));
      expect(heard(two)).toBe(drained);
    }
    over.abort();
    await Promise.all(workers);
    const rows = await gate.ledger(calls);
    expect(new Set(rows.map(({ outcome, source }) => `${outcome} ${source}`))).toEqual(new Set(['completed exact']));
    const audit = (await operator.get('/audit')).body.items as { action: string }[];
    expect(audit.map(({ action }) => action).filter((action) => action.startsWith('server.'))).toEqual([
      'server.delete',
      'server.create',
      'server.delete',
      'server.create',
    ]);
  });

  test('keeps its streams until they end when it is removed, and is shown as draining until then', async () => {
    await open();
    const { body: made } = await added({ name: 'second', address: two.url, weight: 100 });
    const streams = [await begun(), await begun()];
    expect([heard(one), heard(two)]).toEqual([0, 2]);
    await operator.delete(`/servers/${made.id}`);
    await withinASecond(async () => {
      const { items } = (await operator.get('/servers')).body;
      expect(items.map((each: Reply['body']) => [each.name, each.state, each.inFlight])).toEqual([
        [one.url, 'up', 0],
        ['second', 'draining', 2],
      ]);
    });
    expect((await operator.get(`/servers/${made.id}`)).status).toBe(404);
    const late = await begun();
    expect([heard(one), heard(two)]).toEqual([1, 2]);
    release();
    for (const { rest } of [...streams, late]) expect(await rest).toMatchObject({ clean: true });
    await eventually(async () => expect((await operator.get('/servers')).body.items).toHaveLength(1));
  });

  test('ends its streams with a last frame when it is removed and the time of the setting is over', async () => {
    await open({ SERVER_DRAIN_SECONDS: '0.05' });
    const { body: made } = await added({ name: 'second', address: two.url, weight: 100 });
    const running = await begun();
    await operator.delete(`/servers/${made.id}`);
    const { text, clean } = await running.rest;
    expect([clean, JSON.parse(text.trim().split('\n').at(-1)!)]).toMatchObject([false, { code: 'draining' }]);
  });

  test('moves to another address without cutting a stream, and its other fields change in place', async () => {
    await open();
    const three = await startFakeOllama();
    const { body: made } = await added({ name: 'second', address: two.url, weight: 100 });
    const running = await begun();
    const [before] = gate.servers.all.slice(1);
    expect((await patch(made.id, { name: 'renamed', slots: { '*': 3, gemma3: 1 } })).body).toMatchObject({
      name: 'renamed',
      slots: { '*': 3, 'gemma3:latest': 1 },
      version: 2,
    });
    await withinASecond(() => expect(before!.terms.slots).toEqual({ '*': 3, 'gemma3:latest': 1 }));
    expect(gate.servers.all.slice(1)).toEqual([before]);
    await patch(made.id, { address: three.url });
    await eventually(async () => expect(await shown(made.id)).toMatchObject({ address: three.url, state: 'up' }));
    expect((await ask(false)).status).toBe(200);
    expect([heard(one), heard(two), heard(three)]).toEqual([0, 1, 1]);
    release();
    expect(await running.rest).toMatchObject({ clean: true });
    await eventually(() => expect(gate.servers.all.map(({ name }) => name)).toEqual([one.url, three.url]));
    await three.close();
  });

  test('gets no new calls in maintenance, keeps those that run, and comes back', async () => {
    await open();
    const { body: made } = await added({ name: 'second', address: two.url, weight: 100 });
    const running = await begun();
    expect((await patch(made.id, { maintenance: true })).status).toBe(200);
    await withinASecond(async () => expect(await shown(made.id)).toMatchObject({ state: 'draining', inFlight: 1 }));
    const other = await begun();
    expect([heard(one), heard(two)]).toEqual([1, 1]);
    release();
    for (const { rest } of [running, other]) expect(await rest).toMatchObject({ clean: true });
    await eventually(async () =>
      expect(await shown(made.id)).toMatchObject({ state: 'maintenance', inFlight: 0, since: expect.any(String) }),
    );
    await patch(made.id, { maintenance: false });
    await withinASecond(async () => expect((await shown(made.id)).state).toBe('up'));
    expect((await ask(false)).status).toBe(200);
    expect(heard(two)).toBe(2);
  });

  test('works on as many calls as its own slots say', async () => {
    await open({ SLOTS: '1' });
    await added({ name: 'second', address: two.url, slots: { [model]: 2 } });
    const streams = await Promise.all([begun(), begun(), begun()]);
    const fourth = begun();
    await eventually(() => expect(gate.waiting()).toBe(1));
    expect([heard(one), heard(two)]).toEqual([1, 2]);
    release();
    for (const { rest } of [...streams, await fourth]) expect(await rest).toMatchObject({ clean: true });
  });

  test('is there when a gate starts', async () => {
    release();
    const dataDir = join(files, 'data');
    mkdirSync(dataDir);
    const store = await openSqlite(dataDir);
    const rules = serverRulesOf(loadConfig({ UPSTREAM: one.url }), []);
    await createServer(store, { name: 'second', address: two.url, weight: 100 }, rules, author());
    // It was there before the setting named its address.
    const taken = await createServer(store, { name: 'taken', address: one.url }, { ...rules, fixed: [] }, author());
    await store.close();
    const key = 'a-static-key-of-a-test-0123456789';
    gate = await openGate(one.url, { DATA_DIR: dataDir, API_KEYS: key });
    await eventually(() => expect(gate.servers.all.map(({ health }) => health.up)).toEqual([true, true]));
    expect((await ask(false, key)).status).toBe(200);
    expect(heard(two)).toBe(1);
    expect(gate.log()).toContain('the setting upstream names the same address');
    expect(taken.version).toBe(1);
  });
});

describe('a secret', () => {
  const token = 'sk-verysecret-0123456789abcdef';
  const authorization = (fake: FakeOllama): unknown => fake.requests.at(-1)?.headers['authorization'];

  /** Everything that the gate has written to its disk, as text. */
  const written = (): string =>
    readdirSync(gate.dataDir, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
      .join('\n');

  test('that is stored reaches the server, and no answer, audit event, log line or file of the gate', async () => {
    await open({ LOG_LEVEL: 'trace' });
    release();
    const answers: Reply[] = [];
    const made = await added({ name: 'second', address: two.url, secret: token, weight: 100 });
    answers.push(made);
    expect(made.body.secret).toEqual({ from: 'stored', file: null, setAt: expect.any(String) });
    expect((await ask(false)).status).toBe(200);
    expect(authorization(two)).toBe(`Bearer ${token}`);
    // A server that says what it was shown.
    two.next(async (_, response) => {
      response.head(400, { 'content-type': 'application/json' });
      await response.chunk(JSON.stringify({ error: `not ${token}` }));
      response.end();
    }, generation);
    answers.push({ text: await (await ask(false)).text() } as Reply);
    const second = `${token}-two`;
    answers.push(await patch(made.body.id, { secret: `X-Api-Key: ${second}` }));
    await withinASecond(async () => {
      await (await ask(false)).text();
      expect(two.requests.at(-1)?.headers['x-api-key']).toBe(second);
    });
    answers.push(await patch(made.body.id, { secret: `x-api-key ${token} without a colon` }));
    expect(answers.at(-1)).toMatchObject({
      status: 400,
      body: { detail: 'Line 1 does not have the form "Name: value".' },
    });
    for (const path of ['/servers', `/servers/${made.body.id}`, '/audit', '/status', '/overview', '/openapi.json'])
      answers.push(await operator.get(path));
    await operator.delete(`/servers/${made.body.id}`);
    answers.push(await operator.get('/audit'));
    const actions = answers.at(-1)!.body.items.filter(({ action }: Reply['body']) => action.startsWith('server.'));
    expect(actions.map(({ action, to }: Reply['body']) => [action, to?.secret?.from])).toEqual([
      ['server.delete', undefined],
      ['server.set', 'stored'],
      ['server.create', 'stored'],
    ]);
    const sealed = Buffer.from(token).toString('base64').slice(4, 20);
    for (const { text } of answers) expect(text).not.toMatch(/verysecret|v1\.[0-9a-f]{16}\./);
    expect(gate.log()).not.toContain('verysecret');
    const disk = written();
    expect(disk.includes('server.create')).toBe(true);
    for (const each of ['verysecret', sealed, Buffer.from('verysecret').toString('hex')])
      expect(disk.includes(each)).toBe(false);
  });

  test('that is stored is not shown to another address, where it could be read', async () => {
    await open();
    const made = await added({ name: 'second', address: `${two.url}/a`, secret: token });
    expect(await patch(made.body.id, { address: one.url.replace('127.0.0.1', 'localhost') })).toMatchObject({
      status: 400,
      text: expect.stringContaining('server_secret_again'),
    });
    // The same host has seen it.
    expect((await patch(made.body.id, { address: two.url })).status).toBe(200);
    const moved = { address: one.url.replace('127.0.0.1', 'localhost') };
    expect((await patch(made.body.id, { ...moved, secret: `${token}-two` })).status).toBe(200);
    expect((await patch(made.body.id, { address: two.url, secret: null })).status).toBe(200);
    expect(one.requests.some(({ headers }) => headers['authorization'] === `Bearer ${token}`)).toBe(false);
  });

  test('is refused where no key is set, and a server whose key was replaced is unusable and harms no other', async () => {
    await open({ SERVER_SECRET_KEY: '', SERVER_FILES: '' });
    release();
    const refused = await operator.post('/servers', { name: 'second', address: two.url, secret: token });
    expect([refused.status, refused.body.detail]).toEqual([400, expect.stringContaining('server_secret_key')]);
    const noFiles = await operator.post('/servers', { name: 'second', address: two.url, secretFile: 'x' });
    expect([noFiles.status, noFiles.body.detail]).toEqual([400, expect.stringContaining('server_files')]);
    await gate.stop();

    await open();
    const { body } = await added({ name: 'second', address: two.url, secret: token });
    const kept = readFileSync(keyFile());
    writeFileSync(keyFile(), randomBytes(32).toString('base64'));
    gate.reload();
    expect(await shown(body.id)).toMatchObject({ state: 'unusable', reason: expect.stringContaining('another key') });
    const before = heard(two);
    for (let i = 0; i < 4; i++) expect((await ask(false)).status).toBe(200);
    expect(heard(two)).toBe(before);
    writeFileSync(keyFile(), kept);
    gate.reload();
    expect(await shown(body.id)).toMatchObject({ state: 'up', reason: null });
  });

  test('is sealed with another key while calls go on: all secrets or none', async () => {
    await open();
    release();
    const { body } = await added({ name: 'second', address: two.url, secret: token, weight: 100 });
    const [old, next] = [readFileSync(keyFile(), 'utf8'), randomBytes(32).toString('hex')];
    const sealedOf = async (): Promise<string> =>
      JSON.stringify((await gate.manage((store) => store.findServer(body.id)))?.secret);
    const environment = { DATA_DIR: gate.dataDir, UPSTREAM: one.url, SERVER_SECRET_KEY: keyFile() };
    const reseal = (): Promise<{ code: number; out: string; err: string }> =>
      run(process.execPath, [commandFile, 'server', 'reseal', '--json'], environment);
    const before = await sealedOf();
    writeFileSync(keyFile(), next);
    const refused = await reseal();
    expect([refused.code, refused.out, refused.err]).toEqual([4, '', expect.stringContaining('Nothing was changed')]);
    expect(await sealedOf()).toBe(before);
    writeFileSync(keyFile(), `${next}\n${old}`);
    expect(JSON.parse((await reseal()).out)).toEqual({ resealed: ['second'], kept: [] });
    expect(await sealedOf()).not.toBe(before);
    await eventually(async () => expect(await shown(body.id)).toMatchObject({ version: 2, state: 'up' }));
    // Once the gateway has read the row that was encrypted again.
    writeFileSync(keyFile(), next);
    await eventually(async () => {
      gate.reload();
      expect(await shown(body.id)).toMatchObject({ state: 'up', secret: { from: 'stored' } });
    });
    expect((await ask(false)).status).toBe(200);
    expect(two.requests.filter(generation).at(-1)?.headers['authorization']).toBe(`Bearer ${token}`);
    expect(JSON.parse((await reseal()).out)).toEqual({ resealed: [], kept: ['second'] });
    const audit = (await operator.get('/audit')).body.items.map(({ action }: Reply['body']) => action);
    expect(audit.filter((action: string) => action === 'server.reseal')).toHaveLength(1);
  });

  test('can be in a file of the directory for it, and in no other; a missing file harms only its server', async () => {
    await open();
    release();
    for (const secretFile of ['../server-secrets.key', '/etc/passwd', 'a/b', '..', '.hidden', '']) {
      const { status } = await operator.post('/servers', { name: 'second', address: two.url, secretFile });
      expect([secretFile, status]).toEqual([secretFile, 400]);
    }
    const { body } = await added({ name: 'second', address: two.url, secretFile: 'box.txt', weight: 100 }, 'unusable');
    expect((await shown(body.id)).reason).toMatch(/box\.txt: it cannot be read/);
    expect((await ask(false)).status).toBe(200);
    expect([heard(one), heard(two)]).toEqual([1, 0]);
    writeFileSync(join(files, 'shown/box.txt'), `# of the box\nX-Api-Key: ${token}\n`);
    // It is tried again by itself.
    await eventually(async () => expect((await shown(body.id)).state).toBe('up'));
    expect((await ask(false)).status).toBe(200);
    expect(two.requests.at(-1)?.headers['x-api-key']).toBe(token);
    expect(await shown(body.id)).toMatchObject({ secret: { from: 'file', file: 'box.txt', setAt: null } });
    const cleared = await patch(body.id, { secretFile: null });
    expect(cleared.body.secret).toBeNull();
  });
});

describe('a server for some plans or accounts', () => {
  test('does not exist for others: no list names its models, and a call for one is answered like a missing model', async () => {
    two.models = [{ name: 'private:1b' }];
    await open();
    release();
    const [inside, outside] = [await gate.member({}), await gate.member({})];
    const { body } = await added({ name: 'second', address: two.url, plans: [inside.account.plan as string] });
    const list = async (key: string, path: string): Promise<string> =>
      (await fetch(gate.url + path, { headers: { 'x-api-key': key } })).text();
    for (const path of ['/api/tags', '/v1/models']) {
      expect(await list(inside.secret, path)).toContain('private');
      expect(await list(outside.secret, path)).not.toContain('private');
    }
    expect(await list(outside.secret, '/management/v1/me/models')).not.toContain('private');
    expect(await list(inside.secret, '/management/v1/me/models')).toContain('private');
    expect((await ask(false, inside.secret, 'private:1b')).status).toBe(200);
    const hidden = await ask(false, outside.secret, 'private:1b');
    const missing = await ask(false, outside.secret, 'nothing:1b');
    expect([hidden.status, await hidden.text()]).toEqual([404, '{"error":"model \'private:1b\' not found"}']);
    expect([missing.status, await missing.text()]).toEqual([404, '{"error":"model \'nothing:1b\' not found"}']);
    expect(heard(two)).toBe(1);

    // An account instead of the plan.
    await patch(body.id, { plans: null, accounts: [outside.account.name] });
    await withinASecond(async () => expect((await ask(false, outside.secret, 'private:1b')).status).toBe(200));
    expect((await ask(false, inside.secret, 'private:1b')).status).toBe(404);
    expect((await patch(body.id, { plans: ['nothing'] })).status).toBe(404);
    expect((await patch(body.id, { accounts: ['nobody'] })).status).toBe(404);
  });

  test('takes none of the calls of others, who wait for their own servers while it is free', async () => {
    await open({ SLOTS: '1' });
    const [inside, outside] = [
      await gate.member({ concurrentRequests: null, waitingRequests: null }),
      await gate.member({ concurrentRequests: null, waitingRequests: null }),
    ];
    const plan = inside.account.plan as string;
    await added({ name: 'second', address: two.url, plans: [plan] });
    const first = await begun(outside.secret);
    const waits = begun(outside.secret);
    await eventually(() => expect(gate.waiting()).toBe(1));
    expect([heard(one), heard(two)]).toEqual([1, 0]);
    // A caller who may reach the free server does not wait behind those who may not.
    const direct = await begun(inside.secret);
    expect([heard(one), heard(two), gate.waiting()]).toEqual([1, 1, 1]);
    release();
    for (const { rest } of [first, direct, await waits]) expect(await rest).toMatchObject({ clean: true });
    expect([heard(one), heard(two)]).toEqual([2, 1]);
    expect((await operator.delete(`/plans/${plan}`)).body).toMatchObject({ code: 'conflict' });
  });

  test('leaves a caller who may reach no server at all with no model', async () => {
    await open();
    release();
    const outside = await gate.member({});
    const { body } = await added({ name: 'second', address: two.url, plans: ['default'] });
    await gate.servers.drain(gate.servers.all[0]!, 1);
    const answer = await ask(false, outside.secret);
    expect([answer.status, await answer.text()]).toEqual([404, `{"error":"model '${model}' not found"}`]);
    const tags = await fetch(`${gate.url}/api/tags`, { headers: { 'x-api-key': outside.secret } });
    expect(tags.status).toBe(503);
    expect((await patch(body.id, { plans: null })).status).toBe(200);
    await withinASecond(async () => expect((await ask(false, outside.secret)).status).toBe(200));
  });
});

test('what cannot be a model server is refused with a sentence, and stored nowhere', async () => {
  await open();
  release();
  const { body } = await added({ name: 'second', address: two.url });
  const refusals: [fields: object, status: number, detail: RegExp][] = [
    [{ name: 'x', address: 'box:8000' }, 400, /starts with http/],
    [{ name: 'x', address: 'ftp://box' }, 400, /starts with http/],
    [{ name: 'x', address: 'http://user:pw@box' }, 400, /a user or password/],
    [{ name: 'x', address: 'http://box?key=1' }, 400, /anything after its path/],
    [{ name: 'x', address: gate.url }, 400, /this gateway itself/],
    [{ name: 'x', address: `http://localhost:${gate.port}/v1` }, 400, /this gateway itself/],
    [{ name: 'x', address: `http://[::ffff:127.0.0.1]:${gate.port}` }, 400, /this gateway itself/],
    [{ name: 'x', address: `${one.url}/v1` }, 409, /upstream already has/],
    [{ name: 'x', address: `${two.url}/` }, 409, /Another model server already has the address/],
    [{ name: 'second', address: 'http://box' }, 409, /already/],
    [{ name: 'x', address: 'http://box', kind: 'nothing' }, 400, /the kinds are ollama/],
    [{ name: 'x', address: 'http://box', slots: { 'a b': 1 } }, 400, /not the name of a model/],
    [{ name: 'x', address: 'http://box', secret: 'a: b', secretFile: 'c' }, 400, /not both/],
    [{ name: 'x', address: 'http://box', secret: 'Host: b' }, 400, /cannot be set/],
    [{ name: 'x', address: 'http://box', certificateFile: 'c.pem' }, 400, /certificateFile and keyFile together/],
    [{ name: 'X', address: 'http://box' }, 400, /name/],
    [{ name: 'x', address: 'http://box', weight: 0 }, 400, /weight/],
    [{ name: 'x', address: 'http://box', unknown: 1 }, 400, /unknown/],
  ];
  for (const [fields, status, detail] of refusals) {
    const refused = await operator.post('/servers', fields);
    expect([fields, refused.status, refused.body.detail]).toEqual([fields, status, expect.stringMatching(detail)]);
  }
  expect((await gate.manage((store) => store.listServers())).map(({ name }) => name)).toEqual(['second']);
  // A change follows what was seen, and states that change by themselves are no change.
  const seen = await operator.get(`/servers/${body.id}`);
  const etag = seen.headers.get('etag')!;
  await ask(false).then((answer) => answer.body?.cancel());
  expect((await operator.get(`/servers/${body.id}`)).headers.get('etag')).toBe(etag);
  expect((await patch(body.id, { weight: 2 }, { 'if-match': etag })).status).toBe(200);
  expect((await patch(body.id, { weight: 3 }, { 'if-match': etag })).status).toBe(412);
  const create = (address: string): Promise<Reply> =>
    operator.ask('POST', '/management/v1/servers', {
      body: { name: 'once', address },
      headers: { 'idempotency-key': 'k1' },
    });
  const [made, again] = [await create('http://box:1'), await create('http://box:1')];
  expect([made.status, again.status, again.body.id]).toEqual([201, 200, made.body.id]);
  expect((await create('http://box:2')).status).toBe(422);
  // A server that does not answer says so, and takes nothing from the others.
  const down = await operator.post('/servers', { name: 'down', address: 'http://127.0.0.1:1' });
  await eventually(async () =>
    expect(await shown(down.body.id)).toMatchObject({ state: 'down', reason: 'ECONNREFUSED' }),
  );
  release();
  expect((await ask(false)).status).toBe(200);
});

test('the directory of files, the key and the data of the gateway have to lie apart', async () => {
  await open();
  const faults = (environment: Record<string, string>): string => {
    try {
      loadConfig({ DATA_DIR: '/srv/gate/data', ...environment });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(faults({ SERVER_FILES: '/srv/gate/shown', SERVER_SECRET_KEY: '/srv/gate/servers.key' })).toBe('');
  expect(faults({ SERVER_FILES: '/srv/gate/data-2' })).toBe('');
  for (const path of ['/srv/gate/data', '/srv/gate', '/srv/gate/data/shown', '/srv/gate/x/../data', '/'])
    expect([path, faults({ SERVER_FILES: path })]).toEqual([path, expect.stringContaining('must lie apart')]);
  expect(faults({ SERVER_SECRET_KEY: '/srv/gate/data/servers.key' })).toContain('outside data_dir');
  const both = { SERVER_FILES: '/srv/gate/shown', SERVER_SECRET_KEY: '/srv/gate/shown/servers.key' };
  expect(faults(both)).toContain('outside server_files');
});

test('an auditor looks at servers and changes none', async () => {
  await open();
  const { body } = await added({ name: 'second', address: two.url });
  const auditor = await operatorOf(gate, 'auditor');
  expect((await auditor.get('/servers')).body.items.map(({ name }: Reply['body']) => name)).toEqual([
    one.url,
    'second',
  ]);
  expect((await auditor.get(`/servers/${body.id}`)).status).toBe(200);
  expect((await auditor.post('/servers', { name: 'x', address: 'http://box' })).status).toBe(403);
  expect((await auditor.patch(`/servers/${body.id}`, { weight: 2 })).status).toBe(403);
  expect((await auditor.delete(`/servers/${body.id}`)).status).toBe(403);
  const { secret: plain } = await gate.member({});
  expect((await fetch(`${gate.url}/management/v1/servers`, { headers: { 'x-api-key': plain } })).status).toBe(403);
  expect(await shown(body.id)).toMatchObject({ version: 1, weight: 1 });
});

test('the command adds, changes, drains and removes servers of a running gate, and prints no secret', async () => {
  await open();
  release();
  const environment = { DATA_DIR: gate.dataDir, UPSTREAM: one.url, SERVER_SECRET_KEY: keyFile(), PORT: `${gate.port}` };
  const printed: string[] = [];
  const does = async (command: string, input = ''): Promise<{ code: number; out: string; err: string }> => {
    const line = `printf %s '${input}' | node ${commandFile} server ${command}`;
    const done = await run('sh', ['-c', line.replace(' node ', ` '${process.execPath}' `)], environment);
    printed.push(done.out, done.err);
    return done;
  };
  const gives = async (command: string, input?: string): Promise<Reply['body']> => {
    const { code, out, err } = await does(`${command} --json`, input);
    expect([command, code, err]).toEqual([command, 0, '']);
    return JSON.parse(out);
  };
  const made = await gives(
    `add box ${two.url}/v1 weight=3 '*=4' gemma3:4b=8 plans=default --secret`,
    'sk-of-the-command',
  );
  expect(made).toMatchObject({ name: 'box', address: two.url, weight: 3, slots: { '*': 4, 'gemma3:4b': 8 } });
  expect(made).toMatchObject({ plans: ['default'], secret: { from: 'stored' }, version: 1, fixed: false });
  await eventually(async () => expect((await shown('box')).state).toBe('up'));
  expect(two.requests.at(-1)?.headers['authorization']).toBe('Bearer sk-of-the-command');
  expect(await gives('list')).toMatchObject([{ address: one.url, fixed: true }, { name: 'box' }]);
  expect(await gives('set box plans=none slots=none weight=1 --no-secret')).toMatchObject({
    plans: null,
    slots: null,
    secret: null,
    version: 2,
  });
  expect(await gives(`drain ${made.id}`)).toMatchObject({ maintenance: true });
  await eventually(async () => expect((await shown('box')).state).toBe('maintenance'));
  expect(await gives('set box maintenance=false name=box-2')).toMatchObject({ maintenance: false, name: 'box-2' });
  const refused = [
    [`add box ${gate.url}`, 'this gateway itself', 2],
    [`add box ${one.url}`, 'upstream already has', 4],
    ['add box box:8000', 'starts with http', 2],
    ['set box-2 kind=nothing', 'the kinds are ollama', 2],
    ['set box-2 wight=2x', 'no field "wight"', 2],
    ['set nothing weight=2', 'no model server "nothing"', 3],
    ['add box http://box secretFile=x', 'server_files', 2],
  ] as const;
  // At the same time: each is a process.
  const ends = await Promise.all(refused.map(([command]) => does(command)));
  for (const [at, [command, said, code]] of refused.entries())
    expect([command, ends[at]!.code, ends[at]!.err]).toEqual([command, code, expect.stringContaining(said)]);
  expect((await does('list')).out).toMatch(/^id +name +address +fixed/);
  expect((await gives('show box-2')).version).toBe(4);
  expect((await does('remove box-2 --yes')).out).toBe('The model server box-2 is removed.\n');
  await eventually(() => expect(gate.servers.all).toHaveLength(1));
  expect(printed.join('')).not.toContain('sk-of-the');
  const actions = (await operator.get('/audit')).body.items.map(({ action }: Reply['body']) => action);
  expect(actions.filter((action: string) => action.startsWith('server.'))).toEqual([
    'server.delete',
    'server.set',
    'server.set',
    'server.set',
    'server.create',
  ]);
});
