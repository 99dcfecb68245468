// A change of models at several servers: one call, one progress, one record, and each server harms only itself.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, sekisho, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

let servers: FakeOllama[];
let gate: TestGate;
let secret: string;

beforeEach(async () => {
  servers = await Promise.all([startFakeOllama(), startFakeOllama(), startFakeOllama()]);
  gate = await openGate(servers.map(({ url }) => url).join(), { PROBE_SECONDS: '600' });
  ({ secret } = await gate.key({
    scopes: ['models:pull', 'models:push', 'models:create', 'models:copy', 'models:delete', 'inference:chat'],
  }));
  await eventually(() => expect(gate.servers.all.map(({ kindName }) => kindName)).toEqual(Array(3).fill('ollama')));
});
afterEach(async () => {
  await gate.stop();
  for (const server of servers) await server.close();
});

const ask = (path: string, body: object, which: string | undefined, method = 'POST'): Promise<Response> =>
  fetch(gate.url + path, {
    method,
    headers: {
      'x-api-key': secret,
      'content-type': 'application/json',
      ...(which === undefined ? {} : { 'x-sekisho-servers': which }),
    },
    body: JSON.stringify(body),
  });

type Line = { readonly status?: string; readonly error?: string; readonly total?: number; readonly completed?: number };
const linesOf = async (answer: Response): Promise<Line[]> =>
  (await answer.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const heard = (path: string): number[] => servers.map(({ calls }) => calls.filter(({ url }) => url === path).length);
const isPull = ({ url }: FakeRequest): boolean => url === '/api/pull';
const ndjson = { 'Content-Type': 'application/x-ndjson' };
const row = async (): Promise<unknown> => (await gate.ledger(1))[0];

test('a pull to all servers has one progress with sums, and ends with success when all have it', async () => {
  const answer = await ask('/api/pull', { model: 'llama3' }, 'all');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/x-ndjson']);
  const lines = await linesOf(answer);
  expect(lines.at(-1)).toEqual({ status: 'success' });
  const layers = lines.filter(({ total }) => total !== undefined);
  expect(new Set(layers.map(({ total }) => total))).toEqual(new Set([3_000]));
  expect(layers.at(-1)?.completed).toBe(3_000);
  expect(layers.map(({ completed }) => completed)).toEqual(
    layers.map(({ completed }) => completed ?? 0).toSorted((a, b) => a - b),
  );
  expect(heard('/api/pull')).toEqual([1, 1, 1]);
  for (const { calls } of servers) expect(calls.find(isPull)?.headers['x-sekisho-servers']).toBeUndefined();
  expect(await row()).toMatchObject({
    operation: 'pull',
    outcome: 'completed',
    status: 200,
    upstream: servers.map(({ url }) => url).join(', '),
  });
  expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]);
});

test('a pull goes to the named servers only, and one name or none leaves it as it was', async () => {
  const direct = await (
    await fetch(`${servers[0]!.url}/api/pull`, { method: 'POST', body: '{"model":"llama3"}' })
  ).text();
  for (const [which, expected] of [
    ['upstream-1, upstream-3', [1, 0, 1]],
    ['upstream-2', [0, 1, 0]],
    [servers[1]!.url, [0, 1, 0]],
    ['upstream-3,upstream-3', [0, 0, 1]],
  ] as const) {
    const before = heard('/api/pull');
    const answer = await ask('/api/pull', { model: 'llama3' }, which);
    const text = await answer.text();
    expect(text).toContain('"status":"success"');
    if (!which.includes(' ')) expect(text).toBe(direct);
    expect(
      heard('/api/pull').map((count, at) => count - (before[at] as number)),
      which,
    ).toEqual(expected);
  }
  expect(await (await ask('/api/pull', { model: 'llama3' }, undefined)).text()).toBe(direct);
  const whole = await ask('/api/pull', { model: 'llama3', stream: false }, 'all');
  expect([whole.status, await whole.json()]).toEqual([200, { status: 'success' }]);
});

test('a server of the store is named by its name, and one that is not for the key by none', async () => {
  const operator = await operatorOf(gate);
  const box = await startFakeOllama();
  servers.push(box);
  const added = await operator.post('/servers', { name: 'box', address: box.url, plans: ['trusted'] });
  expect(added.status).toBe(201);
  await eventually(() => expect(gate.servers.all.length).toBe(4));
  // The server is for another plan than that of the key.
  const refused = await ask('/api/pull', { model: 'llama3' }, 'upstream-1, box');
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('not for this key: box')]);
  expect((await operator.patch(`/servers/${added.body.id}`, { plans: null })).status).toBe(200);
  await eventually(async () => {
    expect(await (await ask('/api/pull', { model: 'llama3' }, 'box, upstream-1')).text()).toContain('"success"');
  });
  expect(heard('/api/pull').slice(1)).toEqual([0, 0, 1]);
});

test('when one server fails, the others finish, and the last line says which failed', async () => {
  servers[1]!.pullError = 'file does not exist';
  const lines = await linesOf(await ask('/api/pull', { model: 'llama3' }, 'all'));
  expect(lines.filter(({ status }) => status === 'success')).toEqual([]);
  expect(lines.at(-1)).toMatchObject({
    error: '1 of 3 model servers failed. upstream-2: pull model manifest: file does not exist',
    code: 'upstream_failed',
  });
  expect(await row()).toMatchObject({ outcome: 'upstream_error', status: 200, code: 'upstream_failed' });
  expect(lines.some(({ status }) => status?.startsWith('failed: ') && status.includes('upstream-2'))).toBe(true);
  const whole = await ask('/api/pull', { model: 'llama3', stream: false }, 'all');
  expect([whole.status, await whole.text()]).toEqual([502, expect.stringContaining('1 of 3 model servers failed')]);
  expect(heard('/api/pull')).toEqual([2, 2, 2]);
});

test('servers that break off, lie, refuse or never end harm only themselves', async () => {
  const scripts: [name: string, script: Parameters<FakeOllama['next']>[0], reason: string][] = [
    ['cut', (_, answer) => (answer.head(200, ndjson), answer.reset()), 'upstream-3: The model server'],
    [
      'early',
      (_, answer) => (answer.head(200, ndjson), void answer.chunk('{"status":"x"}\n').then(() => answer.end())),
      'ended too early',
    ],
    [
      'refuses',
      (_, answer) => answer.whole(401, { 'Content-Type': 'application/json' }, '{"error":"x"}'),
      'refuses the gateway',
    ],
    [
      'fails',
      (_, answer) => answer.whole(500, { 'Content-Type': 'application/json' }, '{"error":"disk is full"}'),
      'disk is full',
    ],
    [
      'page',
      (_, answer) => answer.whole(200, { 'Content-Type': 'application/json' }, '[]'),
      'does not say that it succeeded',
    ],
    ['coded', (_, answer) => answer.whole(200, { ...ndjson, 'Content-Encoding': 'gzip' }, 'x'), 'is encoded'],
    [
      'noise',
      (_, answer) => (
        answer.head(200, ndjson),
        void answer.chunk(`not json\n[]\n{"status":${'9'.repeat(70_000)}}\n{"error":"gave up"}\n`)
      ),
      'gave up',
    ],
  ];
  for (const [name, script, reason] of scripts) {
    servers[2]!.next(script, isPull);
    const lines = await linesOf(await ask('/api/pull', { model: 'llama3' }, 'all'));
    expect(lines.at(-1)?.error, name).toMatch(/^1 of 3 model servers failed\. upstream-3: /);
    expect(lines.at(-1)?.error, name).toContain(reason);
  }
  const closed = servers[2]!;
  await closed.close();
  const lines = await linesOf(await ask('/api/pull', { model: 'llama3' }, 'upstream-1, upstream-3'));
  expect(lines.at(-1)?.error).toContain('upstream-3: ');
  expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]);
  expect((await gate.ledger(scripts.length + 1)).map(({ outcome }) => outcome)).toEqual(
    Array(scripts.length + 1).fill('upstream_error'),
  );
});

test('the command pulls, copies and deletes on named servers or all, and its exit code says how that went', async () => {
  const model = (words: string, environment: Record<string, string> = {}) =>
    sekisho(['model', ...words.split(' ')], {
      GATE_KEY: secret,
      PORT: String(gate.port),
      HOST: '127.0.0.1',
      ...environment,
    });
  const pulled = await model('pull llama3 --server all');
  expect([pulled.code, pulled.err]).toEqual([0, '']);
  expect(pulled.out.split('\n').slice(-2)).toEqual(['success', '']);
  expect(pulled.out).toContain('done, 3.0 kB\n');
  expect(heard('/api/pull')).toEqual([1, 1, 1]);
  const [one, asJson, copied, unsure] = await Promise.all([
    model(`pull llama3 --server upstream-2 --url ${gate.url}`, { PORT: '1' }),
    model('pull llama3 --server upstream-1,upstream-3 --json'),
    model('copy llama3 twin --server all'),
    model('delete llama3 --server all'),
  ]);
  expect([one.code, one.out.endsWith('success\n')]).toEqual([0, true]);
  const lines = asJson.out.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line) as Line).at(-1)).toEqual({ status: 'success' });
  expect(heard('/api/pull')).toEqual([2, 2, 2]);
  expect([copied.code, copied.out]).toEqual([0, expect.stringMatching(/^name +result *\nupstream-1 +done *\n/)]);
  expect([unsure.code, unsure.err]).toEqual([2, expect.stringContaining('will be deleted from all model servers. ')]);
  servers[1]!.pullError = 'file does not exist';
  const [deleted, gone, failed, keyless, wrong, away] = await Promise.all([
    model('delete gemma3:270m --server upstream-2 --yes'),
    model('delete nothing --server all --yes'),
    model('pull llama3 --server all'),
    model('pull llama3', { GATE_KEY: '' }),
    model('pull llama3', { GATE_KEY: `${secret.slice(0, -6)}zzzzzz` }),
    model('pull llama3 --url http://127.0.0.1:1'),
  ]);
  expect([deleted.code, deleted.out]).toEqual([0, 'Deleted the model gemma3:270m.\n']);
  expect([gone.code, gone.err]).toEqual([3, expect.stringContaining('not found')]);
  expect([failed.code, failed.err]).toEqual([
    4,
    '1 of 3 model servers failed. upstream-2: pull model manifest: file does not exist\n',
  ]);
  expect([keyless.code, keyless.err]).toEqual([2, expect.stringContaining('Set the environment variable GATE_KEY')]);
  expect([wrong.code, away.code]).toEqual([4, 7]);
});

test('a hang-up ends every part, before and after the first line', async () => {
  for (const speaks of [true, false]) {
    const gone = servers.map((server) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.next((request, answer) => {
        void request.aborted.then(resolve);
        if (!speaks) return;
        answer.head(200, ndjson);
        void answer.chunk('{"status":"pulling manifest"}\n');
      }, isPull);
      return { promise, arrived: server.arrival(isPull) };
    });
    const client = new RawClient(gate.port);
    client.write(
      `POST /api/pull HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nx-sekisho-servers: all\r\nContent-Length: 18\r\n\r\n{"model":"llama3"}`,
    );
    await Promise.all(gone.map(({ arrived }) => arrived));
    if (speaks) await client.until('pulling manifest"');
    client.socket.resetAndDestroy();
    await Promise.all(gone.map(({ promise }) => promise));
  }
  expect((await gate.ledger(2)).map(({ outcome }) => outcome)).toEqual(['client_closed', 'client_closed']);
  await eventually(() => expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0, 0]));
});

test('a revoked key ends every part, and its reader sees an error and no clean end', async () => {
  const { secret: doomed, id } = await gate.key({ scopes: ['models:pull'] });
  const gone = servers.map((server) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.next((request, answer) => {
      void request.aborted.then(resolve);
      answer.head(200, ndjson);
      void answer.chunk('{"status":"pulling manifest"}\n');
    }, isPull);
    return promise;
  });
  const client = new RawClient(gate.port);
  client.write(
    `POST /api/pull HTTP/1.1\r\nHost: x\r\nx-api-key: ${doomed}\r\nx-sekisho-servers: all\r\nContent-Length: 18\r\n\r\n{"model":"llama3"}`,
  );
  await client.until('"pulling manifest"');
  const operator = await operatorOf(gate);
  expect((await operator.post(`/keys/${id}/revoke`, {})).status).toBeLessThan(300);
  await Promise.all(gone);
  await client.closed;
  expect(client.text).toContain('"error"');
  expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/);
});

test('a model is deleted and copied on each server, and the answer says what each has done', async () => {
  for (const [at, server] of servers.entries()) server.models = at === 1 ? [] : [{ name: 'llama3:latest' }];
  const copied = await ask('/api/copy', { source: 'llama3', destination: 'mine' }, 'upstream-1, upstream-2');
  expect([copied.status, await copied.json()]).toEqual([
    200,
    {
      servers: [
        { name: 'upstream-1', result: 'done' },
        { name: 'upstream-2', result: 'missing' },
      ],
    },
  ]);
  const deleted = await ask('/api/delete', { model: 'llama3' }, 'all', 'DELETE');
  expect([deleted.status, await deleted.json()]).toEqual([
    200,
    {
      servers: [
        { name: 'upstream-1', result: 'done' },
        { name: 'upstream-2', result: 'missing' },
        { name: 'upstream-3', result: 'done' },
      ],
    },
  ]);
  for (const server of servers) server.models = [];
  const again = await ask('/api/delete', { model: 'llama3' }, 'all', 'DELETE');
  expect([again.status, await again.text()]).toEqual([404, '{"error":"model \'llama3\' not found"}']);
  servers[0]!.next((_, answer) => answer.whole(500, { 'Content-Type': 'application/json' }, '{"error":"in use"}'));
  const failed = await ask('/api/delete', { model: 'llama3' }, 'all', 'DELETE');
  expect([failed.status, await failed.text()]).toEqual([502, expect.stringContaining('upstream-1: in use')]);
});

test('a model is created on several servers at once', async () => {
  const lines = await linesOf(await ask('/api/create', { model: 'mine', from: 'gemma3:270m' }, 'all'));
  expect(lines.at(-1)).toEqual({ status: 'success' });
  expect(heard('/api/create')).toEqual([1, 1, 1]);
});

test('a creation is no success where a server has not made the model', async () => {
  servers[1]!.next((_, answer) =>
    answer.whole(404, { 'Content-Type': 'application/json' }, '{"error":"no such base"}'),
  );
  const lines = await linesOf(await ask('/api/create', { model: 'mine', from: 'gemma3:270m' }, 'all'));
  expect(lines.at(-1)?.error).toMatch(/1 of 3 model servers failed. upstream-2: no such base/);
  expect(await row()).toMatchObject({ outcome: 'upstream_error' });
});

test('no stored server takes a name that stands for others', async () => {
  const operator = await operatorOf(gate);
  for (const name of ['all', 'upstream-1', 'upstream-99']) {
    const answer = await operator.post('/servers', { name, address: 'http://127.0.0.1:9' });
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('server_name_reserved')]);
  }
});

test.each([
  ['upstream-9', /does not exist, takes no calls, or is not for this key: upstream-9/],
  ['upstream-1, nobody', /: nobody/],
  ['', /or names of model servers, separated by commas/],
  ['upstream-1,,upstream-2', /or names of model servers, separated by commas/],
  ['all, upstream-1', /does not exist/],
  ['UPSTREAM-1', /or names of model servers, separated by commas/],
  [Array.from({ length: 201 }, (_, at) => `s${at}`).join(), /or names of model servers, separated by commas/],
])('%j is refused, and no server hears of it', async (which, said) => {
  const answer = await ask('/api/pull', { model: 'llama3' }, which);
  expect([answer.status, await answer.text()]).toEqual([400, expect.stringMatching(said)]);
  expect(heard('/api/pull')).toEqual([0, 0, 0]);
});

test('a push goes to one server, a chat is not aimed, and a key without the scope is refused as before', async () => {
  const push = await ask('/api/push', { model: 'gemma3:270m' }, 'upstream-1, upstream-2');
  expect([push.status, await push.text()]).toEqual([
    400,
    expect.stringContaining('may name one server for POST /api/push'),
  ]);
  const chat = await ask('/api/chat', { model: 'gemma3:270m', messages: [], stream: false }, 'nobody');
  expect(chat.status).toBe(200);
  const { secret: other } = await gate.key({ scopes: ['inference:chat'] });
  const refused = await fetch(`${gate.url}/api/pull`, {
    method: 'POST',
    headers: { 'x-api-key': other, 'x-sekisho-servers': 'all' },
    body: '{"model":"llama3"}',
  });
  expect(refused.status).toBe(403);
});
