// A key whose calls are refused without end does not fill the disk: beyond a number per minute, refusals share one row with
// a count, and every sum is the same as with a row each.
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { outcomes, type UsageRecord } from '../../src/domain/usage.ts';
import { sumRecords } from '../../src/management/usage/sum-records.ts';
import { reportUsage } from '../../src/management/usage/usage-report.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const rowsPerMinute = 300;
/** Sent ahead on one connection; the gate takes a hundred. */
const atOnce = 50;

/** Calls for a model that the key may not see, one after the other. */
async function refused(port: number, secret: string, calls: number, model = 'nobody/nothing:1b'): Promise<void> {
  const text = JSON.stringify({ model });
  const request = `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
  const client = new RawClient(port);
  for (let left = calls; left > 0; left -= atOnce) {
    const count = Math.min(left, atOnce);
    client.received = Buffer.alloc(0);
    client.write(request.repeat(count));
    await eventually(() => expect(client.text.match(/HTTP\/1\.1 40[34] /g)).toHaveLength(count));
  }
  client.socket.destroy();
  await client.closed;
}

const standFor = (rows: readonly UsageRecord[]): number => rows.reduce((sum, { repeats }) => sum + repeats, 0);
const minutesSince = (begunAt: number): number => Math.floor(Date.now() / 60_000) - Math.floor(begunAt / 60_000) + 1;

test('five thousand refused calls fill few rows, and every figure counts all of them', async () => {
  const gate = await openGate(fake.url);
  const begunAt = Date.now();
  const { id, secret } = await gate.key({ models: ['gemma3:*'] });
  await refused(gate.port, secret, 5_000);
  // If a minute ends in between, the rows of the second one may come a moment later.
  const rows = await eventually(async () => {
    const found = await gate.ledger(rowsPerMinute + 1);
    expect(standFor(found)).toBe(5_000);
    return found;
  });
  expect(rows.length).toBeLessThanOrEqual((rowsPerMinute + 1) * minutesSince(begunAt));
  expect(rows.slice(0, rowsPerMinute).every(({ repeats }) => repeats === 1)).toBe(true);
  const together = rows.find(({ repeats }) => repeats > 1)!;
  expect(together).toMatchObject({ keyId: id, outcome: 'refused', status: 404, model: 'nobody/nothing:1b' });
  expect(together.code).toBe(rows[0]!.code);

  const sums = { requests: 5_000, refused: 5_000, failed: 0, promptTokens: 0 };
  const seen = await sekisho(['usage', '--by', 'key', '--json'], { DATA_DIR: gate.dataDir });
  expect(JSON.parse(seen.out)).toMatchObject([{ key: id, ...sums }]);
  const reader = await gate.key({ scopes: ['management:read'] });
  for (const by of ['key', 'account', 'model', 'hour', 'day', 'month']) {
    const answer = await fetch(`${gate.url}/management/v1/usage/report?by=${by}`, {
      headers: { 'x-api-key': reader.secret },
    });
    const { items } = (await answer.json()) as { items: { requests: number; refused: number }[] };
    expect(items.reduce((sum, item) => sum + item.requests, 0)).toBe(5_000);
    expect(items.reduce((sum, item) => sum + item.refused, 0)).toBe(5_000);
    // The name was made up, so the permanent sums do not contain it.
    if (by === 'model') expect(items).toMatchObject([{ group: '' }]);
  }
  const minutes = await gate.manage((store) => store.usageByMinute(begunAt - 60_000));
  expect(minutes.reduce((sum, { refusals }) => sum + refusals, 0)).toBe(5_000);
  expect(minutes.every(({ requests }) => requests === 0)).toBe(true);
  await gate.stop();
});

test('a row for refusals of many reasons and models names none of them', async () => {
  const gate = await openGate(fake.url, { REFUSED_ROWS_PER_MINUTE: '1' });
  const { secret } = await gate.key({ models: ['gemma3:*'] });
  const begunAt = Date.now();
  await refused(gate.port, secret, 5, 'nobody/one:1b');
  await refused(gate.port, secret, 5, 'nobody/two:1b');
  const version = { headers: { 'x-api-key': secret } };
  await (await fetch(`${gate.url}/api/tags`, version)).text();
  expect((await post(`${gate.url}/api/chat`, secret, 'no JSON')).status).toBe(400);
  const rows = await gate.ledger(3);
  const others = rows.filter(({ outcome }) => outcome !== 'refused');
  // A completed call is not a refusal, whatever surrounds it.
  expect(others).toMatchObject([{ outcome: 'completed', operation: 'tags', repeats: 1 }]);
  const refusals = rows.filter(({ outcome }) => outcome === 'refused');
  expect(standFor(refusals)).toBe(11);
  expect(refusals.length).toBeLessThanOrEqual(2 * minutesSince(begunAt));
  if (minutesSince(begunAt) === 1) expect(refusals[1]).toMatchObject({ model: null, code: null, repeats: 10 });
  await gate.stop();
});

test('calls abandoned before they leave fill no more rows than refused ones', async () => {
  const gate = await openGate(fake.url, { REFUSED_ROWS_PER_MINUTE: '10' });
  const { secret } = await gate.key();
  const begunAt = Date.now();
  const logged = (): number => gate.log().match(/"msg":"client_closed"/g)?.length ?? 0;
  // One that ends before the gateway has taken its connection is no call.
  while (logged() < 40) {
    const client = new RawClient(gate.port);
    client.socket.end(`POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: 100\r\n\r\n{`);
    await client.closed;
  }
  // Reading the ledger flushes what is held, so it is read only after all are over.
  const rows = await gate.ledger(11);
  expect(standFor(rows)).toBe(logged());
  expect(rows.length).toBeLessThanOrEqual(11 * minutesSince(begunAt));
  expect(rows.every(({ upstream }) => upstream === null)).toBe(true);
  await gate.stop();
});

test('one key does not use up the rows of another', async () => {
  const gate = await openGate(fake.url, { REFUSED_ROWS_PER_MINUTE: '20' });
  const [loud, quiet] = [await gate.key({ models: ['gemma3:*'] }), await gate.key({ models: ['gemma3:*'] })];
  await refused(gate.port, loud.secret, 200);
  await refused(gate.port, quiet.secret, 20);
  const rows = await gate.ledger(41);
  const quietly = rows.filter(({ keyId }) => keyId === quiet.id);
  expect(quietly).toHaveLength(20);
  expect(quietly.every(({ repeats }) => repeats === 1)).toBe(true);
  expect(standFor(rows.filter(({ keyId }) => keyId === loud.id))).toBe(200);
  await gate.stop();
});

test('the ladder counts every refusal: a key is suspended at a thousand', async () => {
  const gate = await openGate(fake.url, { REFUSED_ROWS_PER_MINUTE: '5' });
  const { account, secret } = await gate.member({ models: ['gemma3:*'] });
  const steps = () => gate.manage((store) => store.listSuspensions({ accountId: account.id, limit: 10 }));
  await refused(gate.port, secret, 999);
  expect(await steps()).toEqual([]);
  await refused(gate.port, secret, 1);
  const [step] = await eventually(async () => {
    const taken = await steps();
    expect(taken).toHaveLength(1);
    return taken;
  });
  expect(step).toMatchObject({ rule: 'deaf-client', step: 'suspend', evidence: { count: 1_000 } });
  await gate.stop();
});

test('a stop writes what is held, and the next start continues the count', async () => {
  const dataDir = temporaryDirectory();
  const open = () => spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir, REFUSED_ROWS_PER_MINUTE: '5' });
  const begunAt = Date.now();
  const first = await open();
  const { account, id, secret } = await first.member({ models: ['gemma3:*'] });
  await refused(Number(new URL(first.url).port), secret, 999);
  first.process.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  const rows = await first.ledger(6);
  expect(standFor(rows)).toBe(999);
  expect(rows.length).toBeLessThanOrEqual(6 * minutesSince(begunAt));

  const second = await open();
  await refused(Number(new URL(second.url).port), secret, 1);
  const [step] = await eventually(async () => {
    const taken = await second.manage((store) => store.listSuspensions({ accountId: account.id, limit: 10 }));
    expect(taken).toHaveLength(1);
    return taken;
  });
  expect(step).toMatchObject({ rule: 'deaf-client', evidence: { count: 1_000 } });
  second.process.kill('SIGTERM');
  expect(await second.ended).toBe(0);
  const sums = await second.manage((store, { at }) => reportUsage(store, 'key', begunAt, at, 'UTC'));
  expect(sums).toMatchObject([{ group: id, requests: 1_000, refused: 1_000 }]);
  rmSync(dataDir, { recursive: true, force: true });
});

test('made-up model names appear in no sum, however they fail, and names of models that answered do', async () => {
  const gate = await openGate(fake.url);
  const { secret, account } = await gate.member({});
  const { secret: narrow } = await gate.key({ account: account.name, models: ['nobody/*'] });
  const ask = (key: string, model: string, body: object = {}): Promise<Response> =>
    post(`${gate.url}/api/chat`, key, { model, messages: [{ role: 'user', content: 'x' }], stream: false, ...body });
  expect((await ask(secret, 'gemma3:270m')).status).toBe(200);
  expect((await ask(secret, 'gemma3:270m', { options: { num_predict: 'x' } })).status).toBe(400);
  // Reported missing by the gate, refused by it for another reason, reported missing by the model server, abandoned before
  // an answer.
  expect((await ask(narrow, 'gemma3:270m')).status).toBe(404);
  for (let i = 0; i < 20; i++) {
    expect((await ask(narrow, `somebody/${i}`)).status).toBe(404);
    expect((await ask(secret, `nobody/${i}`, { options: { num_predict: 'x' } })).status).toBe(400);
    expect((await ask(secret, `nobody/left-${i}`)).status).toBe(404);
    const hangUp = new AbortController();
    fake.next(async ({ aborted }) => {
      hangUp.abort();
      await aborted;
    });
    const given = { method: 'POST', headers: { 'x-api-key': secret }, signal: hangUp.signal };
    await fetch(`${gate.url}/api/chat`, { ...given, body: `{"model":"nobody/up-${i}","messages":[{}]}` }).catch(
      () => 0,
    );
  }
  await gate.ledger(83);
  const report = await gate.manage((store) =>
    store.reportUsage('model', 0, Date.now() + 86_400_000, { accountId: account.id }),
  );
  expect(Object.fromEntries(report.map(({ group, requests }) => [group, requests]))).toEqual({
    '': 80,
    'gemma3:270m': 3,
  });
  // The sums of one outcome are made from single records, and together they are the same.
  const until = Date.now() + 86_400_000;
  const byOutcome: Record<string, number> = {};
  for (const outcome of outcomes)
    for (const { group, requests } of await gate.manage((store) =>
      sumRecords(store, 'model', 'UTC', { since: 0, until, outcome }),
    ))
      byOutcome[group] = (byOutcome[group] ?? 0) + requests;
  expect(byOutcome).toEqual({ '': 80, 'gemma3:270m': 3 });
  await gate.stop();
});
