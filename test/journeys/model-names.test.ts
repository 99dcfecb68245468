// Names that stand for models, and models that take the place of others: stored by operators at run time, used by calls of
// every dialect, and told to the caller and the ledger.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Scope } from '../../src/domain/scope.ts';
import { type FakeOllama, type FakeRequest, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, eventually, openGate, post, sekisho, type TestGate, withinASecond } from '../gate.ts';
import { operatorOf, type Reply, type Visitor } from '../visitor.ts';

let one: FakeOllama;
let two: FakeOllama;
let gate: TestGate;
let operator: Visitor;
let secret: string;

beforeEach(async () => {
  [one, two] = await Promise.all([startFakeOllama(), startFakeOllama()]);
  one.models = [
    { name: 'gemma3:4b', sizeBytes: 4 },
    { name: 'llama3:latest' },
    { name: 'far:1b', remoteHost: 'https://x' },
  ];
  two.models = [{ name: 'gemma3:27b', sizeBytes: 27 }];
});
afterEach(async () => {
  await gate.stop();
  await Promise.all([one.close(), two.close()]);
});

async function open(environment: Record<string, string> = {}): Promise<void> {
  gate = await openGate(`${one.url},${two.url}`, environment);
  ({ secret } = await gate.key());
  operator = await operatorOf(gate);
  await eventually(() => expect(gate.servers.all.map(({ models }) => models.names?.size)).toEqual([3, 1]));
}

const add = async (name: string, fields: object): Promise<Reply> => {
  const made = await operator.post('/model-names', { name, ...fields });
  expect([made.status, made.text]).toEqual([201, expect.anything()]);
  return made;
};
const told = ({ headers }: Response): (string | null)[] =>
  ['x-sekisho-model', 'x-sekisho-fallback'].map((name) => headers.get(name));
const chat = (model: string, key = secret): Promise<Response> =>
  post(`${gate.url}/api/chat`, key, { model, messages: [{ role: 'user', content: '"default"' }], stream: false });
const get = (path: string, key = secret): Promise<Response> =>
  fetch(gate.url + path, { headers: { 'x-api-key': key } });
const heard = async ({ body }: FakeRequest): Promise<string> => (await body).toString();
/** The names in the list of a dialect, as the key sees them. */
async function listed(path: string, key = secret): Promise<string[]> {
  const { models, data } = (await (await get(path, key)).json()) as Record<string, { name: string; id: string }[]>;
  return (models ?? data ?? []).map(({ name, id }) => id ?? name);
}

describe('an alias', () => {
  test('reaches its model from every dialect and place, and nothing else of the body changes', async () => {
    await open();
    await add('Default', { target: 'gemma3:4b' });
    const content = '\\u0022default\\u0022 12345678901234567890';
    const bodies: [path: string, before: string, after?: string][] = [
      ['/api/chat', `{"messages":[{"role":"user","content":"${content}"}], "stream":false,"model": "default"}`],
      ['/api/generate', `{"prompt":"${content}","stream":false, "model":"DEFAULT:latest" ,"x":1}`],
      ['/api/show', '{"name":"default","model":"default"}'],
      [
        '/v1/chat/completions',
        `{"model":"def\\u0061ult","messages":[{"role":"user","content":"default"}],"seed":12345678901234567890}`,
      ],
      ['/v1/messages', `{"max_tokens":5,"model":"library/default","messages":[{"role":"user","content":"x"}]}`],
      ['/v1/responses', `{"model":"default","input":"default"}`],
      ['/v1/embeddings', `{"input":"default","model":"default"}`],
    ];
    await withinASecond(async () => expect((await chat('default')).status).toBe(200));
    for (const [path, before] of bodies) {
      one.requests.length = 0;
      const answer = await post(gate.url + path, secret, before);
      expect([path, answer.status, ...told(answer)]).toEqual([path, 200, 'gemma3:4b', null]);
      const after = before.replace(/("(?:model|name)": ?)"[^"]*"/g, '$1"gemma3:4b"');
      expect(await heard(one.calls.at(-1)!)).toBe(after);
      await answer.body?.cancel();
    }
    const found = await get('/v1/models/default');
    expect([found.status, one.calls.at(-1)!.url]).toEqual([200, '/v1/models/gemma3:4b']);
    const form = new FormData();
    form.set('model', 'default');
    form.set('file', new Blob(['RIFFdefault']), 'a.wav');
    const spoken = await fetch(`${gate.url}/v1/audio/transcriptions`, {
      method: 'POST',
      headers: { 'x-api-key': secret },
      body: form,
    });
    expect(told(spoken)).toEqual(['gemma3:4b', null]);
    const sent = await heard(one.calls.at(-1)!);
    expect(sent).toMatch(/name="model"\r\n\r\ngemma3:4b\r\n/);
    expect(sent).toContain('RIFFdefault');
    const rows = await gate.ledger(10);
    expect(new Set(rows.map(({ model, askedModel, fallbackFor }) => `${model} ${askedModel} ${fallbackFor}`))).toEqual(
      new Set(['gemma3:4b default:latest null']),
    );
    // Where models are managed, a name is that of the model.
    const deleted = await fetch(`${gate.url}/api/delete`, {
      method: 'DELETE',
      headers: { 'x-api-key': (await gate.key({ scopes: ['models:delete'] })).secret },
      body: '{"model":"default"}',
    });
    expect([await heard(one.calls.at(-1)!), told(deleted)]).toEqual(['{"model":"default"}', [null, null]]);
  });

  test('means another model for callers of a plan, follows each change, and is a missing model when it is gone', async () => {
    await open();
    const [plain, trial] = [await gate.member({}), await gate.member({})];
    const plan = trial.account.plan as string;
    const { body } = await add('default', { target: 'gemma3:4b', plans: { [plan]: 'llama3' } });
    const model = async (key: string): Promise<string | null> => {
      const answer = await chat('default', key);
      await answer.text();
      return answer.status === 200 ? answer.headers.get('x-sekisho-model') : null;
    };
    await withinASecond(async () => expect(await model(plain.secret)).toBe('gemma3:4b'));
    expect(await model(trial.secret)).toBe('llama3');
    const changed = await operator.patch(`/model-names/${body.id}`, { target: null });
    expect(changed.body).toMatchObject({ target: null, plans: { [plan]: 'llama3' }, version: 2 });
    await withinASecond(async () => expect(await model(plain.secret)).toBeNull());
    expect(await model(trial.secret)).toBe('llama3');
    expect((await operator.delete(`/plans/${plan}`)).body.detail).toContain('has a model for the plan');
    // Only what is named changes.
    const again = await operator.patch('/model-names/DEFAULT', { target: 'gemma3:27b', plans: { [plan]: null } });
    expect(again.body).toMatchObject({ target: 'gemma3:27b', plans: {}, version: 3 });
    await withinASecond(async () => expect(await model(trial.secret)).toBe('gemma3:27b'));
    expect((await operator.delete(`/model-names/${body.id}`)).status).toBe(204);
    await withinASecond(async () => expect(await model(trial.secret)).toBeNull());
    const missing = await chat('default', trial.secret);
    expect([missing.status, await missing.text()]).toEqual([404, '{"error":"model \'default\' not found"}']);
    const audit = (await operator.get('/audit')).body.items.map(({ action }: Reply['body']) => action);
    expect(audit.filter((action: string) => action.startsWith('model-name.'))).toEqual([
      'model-name.delete',
      'model-name.set',
      'model-name.set',
      'model-name.create',
    ]);
  });

  test('is in the lists of every dialect for those who can use it, with the facts of its model', async () => {
    one.models = [
      { name: 'gemma3:4b', sizeBytes: 4 },
      { name: 'llama3:latest' },
      { name: 'shadow:latest', sizeBytes: 9 },
    ];
    await open();
    const { secret: narrow } = await gate.key({ models: ['llama3'] });
    const { secret: granted } = await gate.key({ models: ['default'] });
    await add('default', { target: 'gemma3:4b' });
    await add('shadow', { target: 'gemma3:27b' });
    await add('nothing', { target: 'missing:1b' });
    await withinASecond(async () => expect(await listed('/v1/models')).toContain('default'));
    const all = ['gemma3:4b', 'llama3:latest', 'shadow', 'gemma3:27b', 'default'];
    for (const path of ['/api/tags', '/v1/models', '/api/ps']) {
      expect([path, await listed(path)]).toEqual([path, all]);
      expect([path, await listed(path, narrow)]).toEqual([path, ['llama3:latest']]);
      expect([path, await listed(path, granted)]).toEqual([path, ['default']]);
    }
    const { models } = (await (await get('/api/tags')).json()) as { models: Record<string, unknown>[] };
    const { name: _, model: __, ...facts } = models[0]!;
    expect(models[4]).toEqual({ name: 'default', model: 'default', ...facts });
    expect(models[2]).toMatchObject({ name: 'shadow', size: 27 });
    const mine = async (key: string): Promise<string[]> =>
      ((await (await get('/management/v1/me/models', key)).json()) as { items: { name: string }[] }).items.map(
        ({ name }) => name,
      );
    expect(await mine(granted)).toEqual(['default']);
    expect((await mine(secret)).toSorted()).toEqual(all.toSorted());
    // With one server, whose list would otherwise be passed on as it is.
    await gate.servers.drain(gate.servers.all[1]!, 1);
    expect(await listed('/api/tags')).toEqual(['gemma3:4b', 'llama3:latest', 'default']);
  });
});

describe('a fallback', () => {
  const away = (): Promise<void> => gate.servers.drain(gate.servers.all[1]!, 1);

  test('takes the place of a model that no server can serve, for those who may use both, and is told', async () => {
    await open();
    await add('gemma3:27b', { fallbacks: ['far:1b', 'missing:1b', 'gemma3:4b', 'llama3'] });
    await add('best', { target: 'gemma3:27b' });
    await add('other', { target: 'gemma3:27b', fallbacks: ['llama3'] });
    await withinASecond(async () => expect(told(await chat('best'))).toEqual(['gemma3:27b', null]));
    expect(told(await chat('gemma3:27b'))).toEqual([null, null]);
    const only = (models: string[], more: Scope[] = []): Promise<{ secret: string }> =>
      gate.key({ models, scopes: ['inference:chat', 'metadata', ...more] });
    const keys = {
      narrow: (await only(['gemma3:27b'])).secret,
      hidden: (await only(['gemma3:4b'])).secret,
      granted: (await only(['best'])).secret,
      cloud: (await only(['*'], ['cloud'])).secret,
    };
    await gate.ledger(1);
    await away();
    const answer = await chat('Gemma3:27B');
    expect([answer.status, ...told(answer)]).toEqual([200, 'gemma3:4b', 'gemma3:27b -> gemma3:4b']);
    expect(await answer.json()).toMatchObject({ model: 'gemma3:4b' });
    expect(JSON.parse(await heard(one.calls.at(-1)!))).toMatchObject({ model: 'gemma3:4b' });
    const rows = await gate.ledger((await gate.ledger(1)).length);
    expect(rows.at(-1)).toMatchObject({
      model: 'gemma3:4b',
      askedModel: 'gemma3:27b',
      fallbackFor: 'gemma3:27b',
      outcome: 'completed',
    });
    // An alias has the fallbacks of its model, unless it has its own.
    expect(told(await chat('best'))).toEqual(['gemma3:4b', 'gemma3:27b -> gemma3:4b']);
    expect(told(await chat('other'))).toEqual(['llama3', 'gemma3:27b -> llama3']);
    expect(told(await chat('gemma3:27b', keys.cloud))).toEqual(['far:1b', 'gemma3:27b -> far:1b']);
    // Who may not use the other model gets what they would get without it.
    const refused = async (model: string, key: string): Promise<unknown[]> => {
      const response = await chat(model, key);
      return [response.status, ...told(response), await response.text()];
    };
    expect(await refused('gemma3:27b', keys.narrow)).toEqual(await refused('gemma3:27b', keys.hidden));
    expect(await refused('gemma3:27b', keys.hidden)).toEqual([
      404,
      null,
      null,
      '{"error":"model \'gemma3:27b\' not found"}',
    ]);
    // Granting an alias grants what it leads to.
    expect(told(await chat('best', keys.granted))).toEqual(['gemma3:4b', 'gemma3:27b -> gemma3:4b']);
    expect(await refused('gemma3:4b', keys.granted)).toEqual([
      404,
      null,
      null,
      '{"error":"model \'gemma3:4b\' not found"}',
    ]);
    expect(await listed('/v1/models', keys.granted)).toEqual(['best']);
  });

  test('takes the place of a model whose last server leaves while the call waits', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    two.pieces = ['a', 'b'];
    two.pace = (index) => (index === 1 ? promise : undefined);
    await open({ SLOTS: '1' });
    const { secret: limited } = await gate.member({ maxOutputTokens: 50, concurrentRequests: null });
    await add('gemma3:27b', { fallbacks: ['gemma3:4b'] });
    await eventually(async () => expect((await operator.get('/model-names')).body.items).toHaveLength(1));
    const stream = await begunAnswer(
      await post(`${gate.url}/api/generate`, secret, { model: 'gemma3:27b', prompt: 'x' }),
    );
    const waits = post(`${gate.url}/api/generate`, limited, { model: 'gemma3:27b', prompt: 'x', stream: false });
    await eventually(() => expect(gate.waiting()).toBe(1));
    void away();
    const answer = await waits;
    expect([answer.status, ...told(answer)]).toEqual([200, 'gemma3:4b', 'gemma3:27b -> gemma3:4b']);
    expect(JSON.parse(await heard(one.calls.at(-1)!))).toMatchObject({
      model: 'gemma3:4b',
      options: { num_predict: 50 },
    });
    resolve();
    await stream.rest;
    const rows = await gate.ledger(2);
    expect(rows.find(({ model }) => model === 'gemma3:4b')).toMatchObject({ fallbackFor: 'gemma3:27b' });
    // The calls of a name are found, whichever model answered.
    const found = await sekisho(['usage', '--asked', 'gemma3:27b'], { DATA_DIR: gate.dataDir });
    expect(found.out.split('\n')[0]).toMatch(/ model +askedModel +fallbackFor +outcome /);
    expect(found.out).toMatch(/ gemma3:4b +gemma3:27b +gemma3:27b +completed /);
    const none = await sekisho(['usage', '--asked', 'gemma3:4b'], { DATA_DIR: gate.dataDir });
    expect(none.out).toBe('No usage yet.\n');
    const ofName = await operator.get('/usage?asked=gemma3:27b');
    expect(ofName.body.items).toMatchObject([
      { model: 'gemma3:4b', askedModel: 'gemma3:27b', fallbackFor: 'gemma3:27b' },
    ]);
    expect((await operator.get('/usage?asked=gemma3:4b')).body.items).toEqual([]);
  });
});

describe('before health notices that a server has died', () => {
  /** With probes so rare that only calls can notice. */
  const openQuietly = async (): Promise<void> => {
    await open({ PROBE_SECONDS: '600', SLOTS: '2' });
    await add('gemma3:27b', { fallbacks: ['missing:1b', 'gemma3:4b'] });
    await add('best', { target: 'gemma3:27b' });
    await withinASecond(async () => expect(told(await chat('best'))).toEqual(['gemma3:27b', null]));
  };

  test('a call that could not connect goes to the fallback, in every dialect, with its headers, bounds and one row', async () => {
    await openQuietly();
    const { secret: limited } = await gate.member({ maxOutputTokens: 50, concurrentRequests: 1 });
    const before = (await gate.ledger(1)).length;
    await two.close();
    const user = [{ role: 'user', content: 'x' }];
    const calls: [string, object][] = [
      ['/api/chat', { messages: user }],
      ['/api/generate', { prompt: 'x', stream: false }],
      ['/v1/chat/completions', { messages: user, stream: true }],
      ['/v1/messages', { messages: user, max_tokens: 9 }],
      ['/v1/responses', { input: 'x' }],
      ['/v1/embeddings', { input: 'x' }],
    ];
    for (const [path, body] of calls) {
      // Its next look would know; until then every call finds out by itself.
      Object.defineProperty(gate.servers.all[1]!.health, 'state', { configurable: true, get: () => 'up' });
      const answer = await post(gate.url + path, limited, { model: 'best', ...body });
      expect([path, answer.status, ...told(answer)]).toEqual([path, 200, 'gemma3:4b', 'gemma3:27b -> gemma3:4b']);
      await answer.text();
      expect(JSON.parse(await heard(one.calls.at(-1)!))).toMatchObject({ model: 'gemma3:4b' });
    }
    const rows = (await gate.ledger(before + calls.length)).slice(before);
    expect(rows.map((row) => [row.model, row.askedModel, row.fallbackFor, row.upstream, row.outcome])).toEqual(
      calls.map(() => ['gemma3:4b', 'best:latest', 'gemma3:27b', one.url, 'completed']),
    );
    expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
    // Nothing is held: as many calls as there are slots run at once, for both models.
    expect((await chat('gemma3:4b', limited)).status).toBe(200);
  });

  test('a call without a fallback, or whose fallback is away too, gets the error of its own model', async () => {
    await openQuietly();
    await one.close();
    await two.close();
    for (const model of ['best', 'gemma3:4b']) {
      const answer = await chat(model);
      expect([model, answer.status, answer.headers.get('x-sekisho-error-code')]).toEqual([
        model,
        503,
        'upstream_unreachable',
      ]);
      expect(answer.headers.get('retry-after')).not.toBeNull();
    }
    expect(gate.servers.all.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  test('nothing is repeated once a byte of the call has left, whatever the server does then', async () => {
    await openQuietly();
    const before = one.calls.length;
    two.next((_, answer) => answer.reset());
    const answer = await chat('best');
    expect([answer.status, answer.headers.get('x-sekisho-error-code'), ...told(answer)]).toEqual([
      502,
      'upstream_failed',
      'gemma3:27b',
      null,
    ]);
    expect(one.calls.length).toBe(before);
  });
});

test('what a name cannot be is refused with a sentence, and stored nowhere', async () => {
  await open();
  await add('default', { target: 'gemma3:4b' });
  await add('gemma3:27b', { fallbacks: ['gemma3:4b'] });
  const long = 'x'.repeat(201);
  const refusals: [fields: object, status: number, detail: RegExp][] = [
    [{ name: 'DEFAULT:latest', target: 'gemma3:4b' }, 409, /already exists/],
    [{ name: 'default', target: 'gemma3:4b' }, 409, /already exists/],
    [{ name: 'x', target: 'Default' }, 409, /is an alias itself/],
    [{ name: 'x', plans: { default: 'library/default' } }, 409, /is an alias itself/],
    [{ name: 'x', fallbacks: ['default:latest'] }, 409, /is an alias itself/],
    [{ name: 'gemma3:4b', target: 'llama3' }, 409, /leads to "gemma3:4b"/],
    [{ name: 'x', target: 'X:latest' }, 400, /leads to itself/],
    [{ name: 'x', target: 'llama3', fallbacks: ['x'] }, 400, /leads to itself/],
    [{ name: 'x' }, 400, /needs a target/],
    [{ name: 'x', target: 'a b' }, 400, /not the name of a model/],
    [{ name: 'x', target: '' }, 400, /target/],
    [{ name: long, target: 'llama3' }, 400, /name/],
    [{ name: 'x', target: long }, 400, /target/],
    [{ name: '../x', target: 'llama3' }, 400, /not the name of a model/],
    [{ name: 'dеfault', target: 'llama3' }, 400, /not the name of a model/],
    [{ name: 'ｄefault', target: 'llama3' }, 400, /not the name of a model/],
    [{ name: 'x:cloud', target: 'llama3' }, 400, /another machine/],
    [{ name: 'x', plans: { nothing: 'llama3' } }, 404, /no plan "nothing"/],
    [{ name: 'x', plans: { __proto__: 'llama3', Constructor: 'x' } }, 400, /Constructor/],
    [{ name: 'x', fallbacks: ['a', 'A:latest'] }, 400, /twice/],
    [{ name: 'x', fallbacks: Array.from({ length: 11 }, (_, at) => `m${at}`) }, 400, /fallbacks/],
    [{ name: 'x', target: 'llama3', unknown: 1 }, 400, /unknown/],
  ];
  for (const [fields, status, detail] of refusals) {
    const refused = await operator.post('/model-names', fields);
    expect([fields, refused.status, refused.body.detail]).toEqual([fields, status, expect.stringMatching(detail)]);
  }
  // A change is held to the same.
  expect((await operator.patch('/model-names/gemma3:27b', { target: 'default' })).status).toBe(409);
  expect((await operator.patch('/model-names/default', { target: null })).body.detail).toMatch(/needs a target/);
  expect((await operator.patch('/model-names/default', { name: 'gemma3:27b' })).status).toBe(409);
  expect((await gate.manage((store) => store.listModelNames())).map(({ name, version }) => [name, version])).toEqual([
    ['default', 1],
    ['gemma3:27b', 1],
  ]);
  const auditor = await operatorOf(gate, 'auditor');
  expect((await auditor.get('/model-names/default')).body).toMatchObject({
    name: 'default',
    canonical: 'default:latest',
  });
  expect((await auditor.post('/model-names', { name: 'x', target: 'llama3' })).status).toBe(403);
  expect((await auditor.delete('/model-names/default')).status).toBe(403);
  const seen = await operator.get('/model-names/default');
  const stale = { body: { target: 'llama3' }, headers: { 'if-match': '"stale"' } };
  expect((await operator.ask('PATCH', '/management/v1/model-names/default', stale)).status).toBe(412);
  expect(seen.body.target).toBe('gemma3:4b');
});

test('the command adds, changes, lists and removes names of a running gate', async () => {
  await open();
  const environment = { DATA_DIR: gate.dataDir, UPSTREAM: one.url };
  const gives = async (...words: string[]): Promise<Reply['body']> => {
    const { code, out, err } = await sekisho(['model', ...words, '--json'], environment);
    expect([words, code, err]).toEqual([words, 0, '']);
    return JSON.parse(out);
  };
  expect(await gives('add', 'gpt-4o-mini', 'target=gemma3:4b', 'plan:default=llama3', 'fallbacks=a,b')).toMatchObject({
    name: 'gpt-4o-mini',
    canonical: 'gpt-4o-mini:latest',
    target: 'gemma3:4b',
    plans: { default: 'llama3' },
    fallbacks: ['a', 'b'],
  });
  await withinASecond(async () => expect(told(await chat('gpt-4o-mini'))).toEqual(['gemma3:4b', null]));
  const [set, wrong, unknown] = await Promise.all([
    gives('set', 'GPT-4o-mini', 'plan:default=none', 'fallbacks=none'),
    sekisho(['model', 'set', 'gpt-4o-mini', 'tarjet=x'], environment),
    sekisho(['model', 'set', 'nothing', 'target=x'], environment),
  ]);
  expect(set).toMatchObject({ plans: {}, fallbacks: [], target: 'gemma3:4b' });
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('no field "tarjet"')]);
  expect([unknown.code, unknown.err]).toEqual([3, expect.stringContaining('There is no model name')]);
  const list = await sekisho(['model', 'list'], environment);
  expect(list.out).toMatch(/^id +name +target +plans +fallbacks\nnam_\w+ +gpt-4o-mini +gemma3:4b/);
  expect(await gives('remove', 'gpt-4o-mini', '--yes')).toMatchObject({ name: 'gpt-4o-mini', removed: true });
  await withinASecond(async () => expect((await chat('gpt-4o-mini')).status).toBe(404));
});
