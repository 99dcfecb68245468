// A gateway is killed while PostgreSQL is away, and does not come back: another one's command records what is in its journal, each call
// once, however often it runs, and never beside a gateway that runs.
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { begunAnswer, type GateProcess, post, sekisho, spawnGate, temporaryDirectory } from '../gate.ts';
import { holdStream } from '../held-stream.ts';
import { asking, type PostgresServer, startPostgres } from '../postgres.ts';
import { sharingSecret } from '../quick-gate.ts';

let server: PostgresServer;
let ollama: FakeOllama;
beforeAll(async () => {
  [server, ollama] = await Promise.all([startPostgres(), startFakeOllama()]);
});
afterAll(async () => {
  await ollama.close();
  await server.stop();
});

const chat = { model: 'gemma3:270m', messages: [{ role: 'user', content: 'hello' }] };
const send = (gate: GateProcess, secret: string): Promise<Response> => post(`${gate.url}/api/chat`, secret, chat);

const start = (DATABASE_URL: string): Promise<GateProcess> =>
  spawnGate({ DATABASE_URL, UPSTREAM: ollama.url, SHARES: 'on', ...sharingSecret() }, [
    process.execPath,
    'test/quick-gate.ts',
  ]);

test('the journal of a gateway that was killed is recorded by another, once, and not while its own gateway runs', async () => {
  const DATABASE_URL = await server.database();
  const adopt = async (directory: string, ...words: readonly string[]) =>
    sekisho(['journal', 'adopt', directory, ...words], { DATABASE_URL, DATA_DIR: temporaryDirectory() });
  const killed = await start(DATABASE_URL);
  const { secret } = await killed.key();
  const release = holdStream(ollama);
  const open = await begunAnswer(await send(killed, secret));
  open.rest.catch(() => undefined);
  expect((await send(killed, secret)).status).toBe(200);
  await killed.ledger(1);
  await server.kill();
  let finished = 0;
  for (let calls = 0; calls < 20; calls++) {
    const answer = await send(killed, secret);
    await answer.text();
    if (answer.ok) finished++;
  }
  expect(finished).toBeGreaterThan(0);
  killed.process.kill('SIGKILL');
  await killed.ended;
  release();
  await server.start();

  const other = await start(DATABASE_URL);
  const held = await adopt(other.dataDir);
  expect([held.code, held.err]).toEqual([4, expect.stringContaining('runs, or was heard of')]);
  const copy = temporaryDirectory();
  for (const name of ['journal', 'gate.id']) cpSync(join(other.dataDir, name), join(copy, name), { recursive: true });
  expect((await adopt(copy)).code).toBe(4);

  const journal = (): string[] => readdirSync(join(killed.dataDir, 'journal'));
  const bytes = () => journal().map((name) => readFileSync(join(killed.dataDir, 'journal', name), 'utf8'));
  const before = bytes();
  const id = readFileSync(join(killed.dataDir, 'gate.id'), 'utf8').trim();
  const countOnIt = async (until: string): Promise<void> =>
    expect(await asking(DATABASE_URL, `update gates set until = ${until} where id = '${id}' returning id`)).toEqual([
      { id },
    ]);
  await countOnIt('until + 3600000');
  expect((await adopt(killed.dataDir)).code).toBe(4);
  await countOnIt('0');
  const answer = await adopt(killed.dataDir, '--json');
  expect([answer.code, answer.err]).toEqual([0, '']);
  const done = JSON.parse(answer.out) as Record<string, number>;
  expect(done['calls']).toBe((done['added'] ?? 0) + (done['present'] ?? 0));
  expect(done['added']).toBeGreaterThanOrEqual(finished);
  const all = async () =>
    asking(
      DATABASE_URL,
      `select count(*)::int as rows, count(*) filter (where outcome = 'completed')::int as completed,
         count(*) filter (where outcome = 'interrupted')::int as interrupted,
         (select sum(requests)::int from usage_quarterly) as sums from usage where outcome <> 'refused'`,
    );
  const recorded = await all();
  expect(recorded).toMatchObject([{ completed: 1 + finished, interrupted: 1 }]);
  expect(bytes()).toEqual(before);

  const again = await adopt(killed.dataDir);
  expect([again.code, again.out]).toEqual([0, expect.stringContaining('Recorded now: 0')]);
  // It does start again, or somebody runs the command with a copy from before.
  mkdirSync(join(copy, 'old'));
  cpSync(join(killed.dataDir, 'journal'), join(copy, 'old', 'journal'), { recursive: true });
  expect((await adopt(join(copy, 'old'))).code).toBe(0);
  const late = await spawnGate({ DATABASE_URL, UPSTREAM: ollama.url, SHARES: 'on', DATA_DIR: killed.dataDir }, [
    process.execPath,
    'test/quick-gate.ts',
  ]);
  expect(await all()).toEqual(recorded);

  const foreign = await adopt(killed.dataDir, '--json');
  expect(foreign.code).toBe(4);
  for (const gate of [late, other]) {
    gate.process.kill('SIGTERM');
    await gate.ended;
  }
});

test('a journal of another database, and a directory without one, change nothing', async () => {
  const mine = await start(await server.database());
  const { secret } = await mine.member({});
  expect((await send(mine, secret)).status).toBe(200);
  await server.kill();
  expect((await send(mine, secret)).status).toBe(200);
  mine.process.kill('SIGKILL');
  await mine.ended;
  await server.start();
  const DATABASE_URL = await server.database();
  const settings = { DATABASE_URL, DATA_DIR: temporaryDirectory() };
  const foreign = await sekisho(['journal', 'adopt', mine.dataDir], settings);
  expect([foreign.code, foreign.err]).toEqual([4, expect.stringContaining('which this database does not have')]);
  expect(await asking(DATABASE_URL, 'select 1 from usage')).toEqual([]);
  const nothing = await sekisho(['journal', 'adopt', temporaryDirectory()], settings);
  expect([nothing.code, nothing.err]).toEqual([3, expect.stringContaining('There is no journal')]);
  const nowhere = await sekisho(['journal', 'adopt', join(settings.DATA_DIR, 'none')], settings);
  expect(nowhere.code).toBe(3);
});
