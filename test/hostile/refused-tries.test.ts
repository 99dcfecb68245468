// Failed sign-ins and refused calls appear in the audit log for operators, and unidentified callers cannot fill it.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, type TestGate } from '../gate.ts';
import { memberOf, operatorOf, type Reply, Visitor } from '../visitor.ts';

interface Row {
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly to: { readonly what: string; readonly status?: number; readonly count: number };
}

let fake: FakeOllama;
let gate: TestGate;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000', TRUSTED_PROXIES: '127.0.0.1' });
  operator = await operatorOf(gate);
  await operator.patch('/registration', { mode: 'open' });
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

async function refused(network: string): Promise<Row[]> {
  const { items } = (await operator.get('/audit?limit=200')).body as { items: Row[] };
  return items.filter(({ action, actor }) => action.endsWith('.refused') && actor === `address:${network}`);
}

test('failed sign-ins record who tried, from where and how often, and never the password', async () => {
  await memberOf(gate, 'tried@example.org');
  const member = new Visitor(gate.url, '203.0.113.20');
  for (let i = 0; i < 3; i++)
    await member.auth('/sign-in/email', { email: 'tried@example.org', password: `a wrong password ${i}` });
  await member.auth('/sign-in/email', { email: 'my secret password', password: 'typed into the wrong field' });
  await member.auth('/sign-in/email', { email: 'nobody@example.org', password: 'x'.repeat(20) });
  const rows = await refused('203.0.113.20');
  const { items } = (await operator.get('/accounts?search=tried')).body;
  expect(items).toHaveLength(1);
  const mine = rows.filter(({ subject }) => subject.startsWith('usr_'));
  expect(mine).toMatchObject([{ action: 'sign-in.refused', to: { what: '/sign-in/email', status: 401, count: 3 } }]);
  expect(rows.filter(({ subject }) => subject === '-').reduce((sum, { to }) => sum + to.count, 0)).toBe(2);
  const text = JSON.stringify((await operator.get('/audit?limit=200')).body);
  expect(text).not.toMatch(/wrong password|secret password|wrong field|nobody@|xxxx/);
});

test('calls with a wrong or insufficient key are recorded under the key that they named', async () => {
  const member = await memberOf(gate, 'calls@example.org');
  const { body: key } = await member.post('/me/keys', { name: 'x' });
  const call = (secret: string): Promise<Reply> =>
    new Visitor(gate.url, '203.0.113.30').ask('GET', '/management/v1/accounts', { headers: { 'x-api-key': secret } });
  const wrong = `${(key.secret as string).slice(0, -4)}AAAA`;
  expect([(await call(key.secret)).status, (await call(wrong)).status, (await call('sk-no-key')).status]).toEqual([
    403, 401, 401,
  ]);
  const rows = await refused('203.0.113.30');
  expect(rows).toContainEqual(
    expect.objectContaining({ subject: key.id, to: { what: 'GET /accounts', status: 403, count: 1 } }),
  );
  expect(rows).toContainEqual(expect.objectContaining({ subject: '-', to: expect.objectContaining({ status: 401 }) }));
  expect(JSON.stringify(rows)).not.toMatch(/sk-no-key|AAAA/);
  expect((await member.get('/accounts')).status).toBe(403);
  expect(await refused('127.0.0.1')).toContainEqual(
    expect.objectContaining({ subject: expect.stringMatching(/^usr_/), to: expect.objectContaining({ status: 403 }) }),
  );
});

test('many unidentified callers add only a few rows, whatever they do', async () => {
  const before = (await operator.get('/audit?limit=1')).body.items[0].id as string;
  const tries = Array.from({ length: 300 }, (_, i) =>
    new Visitor(gate.url, `198.51.100.${i % 250}`).ask('GET', `/management/v1/keys/key_${i}`, {
      headers: { 'x-api-key': `sekisho_${i}` },
    }),
  );
  await Promise.all(tries);
  const { items } = (await operator.get('/audit?limit=200')).body as { items: (Row & { id: string })[] };
  const added = items.filter(({ id, action }) => id > before && action === 'call.refused');
  expect(added.length).toBeGreaterThan(0);
  expect(added.length).toBeLessThanOrEqual(20);
  expect(added.reduce((sum, { to }) => sum + to.count, 0)).toBe(300);
});

test('only the newest of these rows are kept, and no other row is removed', async () => {
  const left = await gate.manage(async (store) => {
    const { db } = store.signIn;
    const row = (i: number) => ({
      id: `aud_0000${String(i).padStart(8, '0')}`,
      at: i,
      actor: 'address:x',
      action: i % 5 === 0 ? 'key.create' : 'call.refused',
      subject: '-',
      from_value: null,
      to_value: null,
    });
    for (let from = 0; from < 65_000; from += 2_500)
      await db
        .insertInto('audit_events')
        .values(Array.from({ length: 2_500 }, (_, i) => row(from + i)))
        .execute();
    await store.tidyPeople(Date.now());
    const count = async (action: string): Promise<number> => {
      const of = db.selectFrom('audit_events').where('action', '=', action);
      return Number((await of.select(({ fn }) => fn.countAll().as('count')).executeTakeFirstOrThrow()).count);
    };
    return [await count('call.refused'), (await count('key.create')) >= 13_000];
  });
  expect(left[1]).toBe(true);
  expect(left[0]).toBeLessThanOrEqual(50_000);
  expect(left[0]).toBeGreaterThan(49_000);
});
