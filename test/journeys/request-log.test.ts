// What the request log says of a call on a running gate: its stages with their times, what was changed in its body, which limit
// refused it; and that health over time counts the same calls.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, sekisho, type TestGate, withinOneMinute } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate;
let boss: string;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { MODEL_SLOTS: 'gemma3:270m=1', REFUSED_ROWS_PER_MINUTE: '3' });
  ({ secret: boss } = await gate.key({ scopes: ['management:read'] }));
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

// oxlint-disable-next-line typescript/no-explicit-any -- management-api.test.ts checks the schemas
async function read(path: string): Promise<any> {
  const response = await fetch(`${gate.url}/management/v1${path}`, { headers: { 'x-api-key': boss } });
  expect([path, response.status]).toEqual([path, 200]);
  return response.json();
}

const chat = (secret: string, more: object = {}): Promise<Response> =>
  post(`${gate.url}/api/chat`, secret, {
    model: 'gemma3:270m',
    messages: [{ role: 'user', content: 'hello' }],
    ...more,
  });

/** The id of a request whose answer was read to its end. */
async function idOf(answering: Promise<Response>): Promise<string> {
  const answer = await answering;
  await answer.text();
  return answer.headers.get('x-request-id') ?? '';
}

const recorded = (id: string) => eventually(() => read(`/requests/${id}`));

test('a streamed call that waited has its stages in order, and what the plan changed', async () => {
  const { secret } = await gate.member({ maxOutputTokens: 40, waitingRequests: 9 });
  const ids = await Promise.all([1, 2].map(() => idOf(chat(secret, { options: { num_predict: 5_000 } }))));
  const rows = await Promise.all(ids.map(recorded));
  const waited = rows.find(({ queuedMs }) => queuedMs > 0) ?? rows[0];
  const stages: string[] = waited.stages.map(({ stage }: { stage: string }) => stage);
  expect(stages[0]).toBe('check');
  expect(stages.filter((stage) => stage !== 'queue' && stage !== 'load')).toEqual(['check', 'server', 'answer']);
  for (const [at, { fromMs, toMs }] of waited.stages.entries()) {
    expect(toMs).toBeGreaterThanOrEqual(fromMs);
    if (at > 0) expect(fromMs).toBeGreaterThanOrEqual(waited.stages[at - 1].toMs);
  }
  expect(waited.stages.at(-1).toMs).toBe(waited.durationMs);
  expect(waited.firstTokenMs).toBeLessThanOrEqual(waited.durationMs);
  expect(waited.changes).toEqual([expect.stringMatching(/num_predict/)]);
  expect([waited.refusedBy, waited.detail]).toEqual([null, null]);
});

test('a refused call names the limit and its figures; a suspended one the suspension', async () => {
  const { account, secret } = await gate.member({ requestsPerDay: 1 });
  await idOf(chat(secret));
  const limited = await recorded(await idOf(chat(secret)));
  expect(limited).toMatchObject({ code: 'quota_exceeded', refusedBy: 'account requestsPerDay', server: null });
  expect(limited.detail).toMatch(/may use 1 call a day; 1 is used/);
  expect(limited.stages).toMatchObject([{ stage: 'check' }]);
  const { secret: operator } = await gate.key({ scopes: ['management'] });
  const step = await post(`${gate.url}/management/v1/suspensions`, operator, {
    whom: account.id,
    step: 'suspend',
    reason: 'A loop.',
    endsAt: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const { id } = (await step.json()) as { id: string };
  const suspended = await eventually(async () => {
    const row = await recorded(await idOf(chat(secret)));
    expect(row.code).toBe('suspended');
    return row;
  });
  expect(suspended).toMatchObject({ refusedBy: id, detail: expect.stringContaining('A loop.') });
});

test('what the caller wrote is in no record, also where a refusal repeats it', async () => {
  const { secret } = await gate.member({});
  const marker = 'kohlrabi';
  const bad = await recorded(await idOf(chat(secret, { keep_alive: marker, [marker]: marker })));
  expect(bad.outcome === 'refused' || bad.outcome === 'completed').toBe(true);
  expect(JSON.stringify(bad)).not.toContain(marker);
});

test('a flood of refusals is one row with its number, found by code', async () => {
  await withinOneMinute(async () => {
    const { account, secret } = await gate.member({ requestsPerDay: 1 });
    await idOf(chat(secret));
    for (let i = 0; i < 8; i++) await idOf(chat(secret));
    // Writes the row that the minute is not over for.
    await gate.ledger(5);
    const { items } = await read(`/requests?account=${account.id as string}&code=quota_exceeded`);
    expect(items.map(({ repeats }: { repeats: number }) => repeats).toSorted()).toEqual([1, 1, 1, 5]);
  });
});

test('health over time and the command line count and find the same calls', async () => {
  const { account, secret } = await gate.member({});
  const id = await idOf(chat(secret));
  await recorded(id);
  const now = await read('/latency?period=hour&server=' + encodeURIComponent(fake.url));
  expect(now.servers).toMatchObject([{ server: fake.url, firstToken: { p50: expect.any(Number) } }]);
  const all = await read('/latency?period=year');
  expect(all.codes.find(({ code }: { code: string }) => code === 'quota_exceeded').requests).toBeGreaterThan(0);
  expect(all.points.at(-1).codes).toHaveProperty('quota_exceeded');
  const home = { DATA_DIR: gate.dataDir };
  const listed = JSON.parse(
    (await sekisho(['request', 'list', '--account', account.name, '--json'], home)).out,
  ) as object[];
  expect(listed).toMatchObject([{ id }]);
  expect((await sekisho(['request', 'show', id], home)).out).toMatch(/\nstage +fromMs +toMs +ms\ncheck +0 /);
  expect((await sekisho(['request', 'show', 'req_0'], home)).code).toBe(3);
  expect((await sekisho(['latency', '--by', 'server', '--period', 'hour'], home)).out).toMatch(
    /^server +requests .*tokens\/s/,
  );
});
