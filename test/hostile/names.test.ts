// Names that look like another name, are invisible, or change the page they stand on are refused wherever a name is entered,
// with a reason.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, sekisho, type TestGate } from '../gate.ts';
import { goodPassword, memberOf, operatorOf, type Reply, setUpCode, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000' });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const bad = ['a\0b', '\u001b[2Jx', 'user\u202etxt', 'ad\u200bmin', 'mixеd', 'x\ny', '\u3164', 'é'.repeat(400)];

test('a name of any kind that is not plain text is refused, and none of it is stored', async () => {
  const member = await memberOf(gate, 'names@example.org');
  const { id: key } = (await member.post('/me/keys', { name: 'fine' })).body;
  const { id: other } = (await operator.post('/accounts', { name: 'fine' })).body;
  const code = await setUpCode(gate, 'to be set up', 'member');
  const stranger = new Visitor(gate.url);
  const applies = { name: 'n', email: 'stranger@example.org', purpose: 'p' };
  const places: readonly ((name: string) => Promise<Reply>)[] = [
    (name) => operator.post('/accounts', { name }),
    (name) => operator.post('/keys', { name, account: other }),
    (name) => member.post('/me/keys', { name }),
    (name) => member.patch(`/me/keys/${key as string}`, { name }),
    (name) => operator.patch(`/keys/${key as string}`, { name }),
    (name) => member.patch('/me', { name }),
    (name) => stranger.post('/setup', { code, name, email: 'set-up@example.org', password: goodPassword }),
    (name) => stranger.post('/applications', { ...applies, name }),
    (name) => stranger.post('/applications', { ...applies, models: [name] }),
  ];
  for (const [i, place] of places.entries())
    for (const name of bad) {
      const { status, body } = await place(name);
      expect([status, body.code], `${i} ${JSON.stringify(name)}`).toEqual([400, 'invalid']);
    }
  for (const text of ['a\0b', '\u001b]0;x\u0007', 'a\u202eb']) {
    const prose: readonly Promise<Reply>[] = [
      stranger.post('/applications', { ...applies, purpose: text }),
      operator.post('/suspensions', { whom: other, step: 'warn', reason: text }),
    ];
    for (const { status } of await Promise.all(prose)) expect(status, JSON.stringify(text)).toBe(400);
  }
  for (const words of [
    ['account', 'create', 'ad\u200bmin'],
    ['key', 'create', '--name', 'x\u202ey', '--account', 'fine'],
    ['key', 'create', '--name', 'x', '--account', 'new\u202eone'],
  ]) {
    const { code: exit, err } = await sekisho(words, { DATA_DIR: gate.dataDir });
    expect([exit, err.split('\n').length], words.join(' ')).toEqual([2, 2]);
  }
  expect((await stranger.get('/session')).body.person).toBeNull();
});

test('an account never gets a name that people would confuse with another account’s', async () => {
  const cafe = (await operator.post('/accounts', { name: 'cafe\u0301' })).body;
  expect(cafe.name).toBe('café');
  for (const name of [
    'café',
    'CAFÉ',
    'ｃａｆé',
    'c afé',

    'Operator',
    '0perator',
    'ОРЕRАТОR',
    'орегатог',
  ]) {
    const { status } = await operator.post('/accounts', { name });
    expect([400, 409], name).toContain(status);
  }
  expect((await operator.post('/accounts', { name: 'cafe' })).status).toBe(201);
  const { code, err } = await sekisho(['key', 'create', '--name', 'x', '--account', '0PERATOR'], {
    DATA_DIR: gate.dataDir,
  });
  expect([code, err]).toEqual([4, expect.stringContaining('looks like "operator"')]);
  // An applicant whose address looks like another's is admitted under a name of their own.
  const [one, two] = [
    await memberOf(gate, 'look-alike-1@example.org'),
    await memberOf(gate, 'look-alike-l@example.org'),
  ];
  const names = [(await one.get('/session')).body.account.name, (await two.get('/session')).body.account.name];
  expect(names).toEqual(['look-alike-1', 'look-alike-l (look-alike-l@example.org)']);
  // Nor does an account stand under the address of somebody else.
  const [email, purpose] = ['honest@example.org', 'p'];
  const posing = new Visitor(gate.url);
  await posing.post('/applications', { name: 'boss@example.org', email, purpose, password: goodPassword });
  expect((await posing.get('/session')).body.account.name).toBe(email);
});

test('older names are read as they are, and their keys can be changed', async () => {
  const { id } = (await operator.post('/accounts', { name: 'from before' })).body;
  const { body: key } = await operator.post('/keys', { name: 'x', account: id });
  const old = 'ad\u200bmin \u202eold';
  await gate.manage(async ({ signIn: { db } }) => {
    await db.updateTable('accounts').set({ name: old }).where('id', '=', id).execute();
    await db.updateTable('keys').set({ name: old }).where('id', '=', key.id).execute();
  });
  expect((await operator.get(`/accounts/${id as string}`)).body.name).toBe(old);
  expect((await operator.patch(`/keys/${key.id as string}`, { models: ['gemma3:4b'] })).body.name).toBe(old);
  const { code } = await sekisho(['key', 'create', '--name', 'another', '--account', old], { DATA_DIR: gate.dataDir });
  expect(code).toBe(0);
});
