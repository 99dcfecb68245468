// Whether calls notice that old rows are removed:
//
//   node bench/retention.ts --directory <kept data directory> [--database postgres://…] [--days 43] [--seconds 60]
//
// Takes a ledger that bench/large-ledger.ts filled, and removes the rows that are older than `--days` from it. Runs a gateway for
// `--seconds` that has nothing to remove, one that removes, and one more that has nothing to remove; meanwhile it asks each for
// /healthz every 5 ms, which waits as long as anything keeps the event loop, and sends it 20 calls a second.
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createKey } from '../src/management/keys/keys.ts';
import { openStore } from '../src/store/open-store.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { author, spawnGate } from '../test/gate.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string' },
    database: { type: 'string', default: '' },
    days: { type: 'string', default: '43' },
    seconds: { type: 'string', default: '60' },
  },
});
const dataDir = values.directory;
if (dataDir === undefined) throw new Error('Give --directory, a directory that bench/large-ledger.ts filled.');
const databaseUrl = values.database;
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const store = await openStore({ dataDir, databaseUrl, databaseConnections: 2 });
const member = await createKey(store, { name: 'retention bench', account: 'operator' }, author());
await store.close();
const headers = { 'x-api-key': member.secret?.reveal() ?? '', 'content-type': 'application/json' };
const fake = await startFakeOllama();
const call = { method: 'POST', headers, body: JSON.stringify({ model: 'gemma3:270m', stream: false, prompt: 'hi' }) };

say('| ledger | asked | median | p99 | p99.9 | slowest |');
say('| --- | --- | ---: | ---: | ---: | ---: |');
for (const [what, days] of [
  ['rests', '365'],
  ['loses rows', values.days],
  ['rests', '365'],
] as const) {
  const gate = await spawnGate({
    UPSTREAM: fake.url,
    DATA_DIR: dataDir,
    LOG_LEVEL: 'info',
    RETENTION_DAYS: days,
    ...(databaseUrl === '' ? {} : { DATABASE_URL: databaseUrl }),
  });
  const until = performance.now() + Number(values.seconds) * 1000;
  const every = async (pauseMs: number, path: string, init?: RequestInit): Promise<number[]> => {
    const times: number[] = [];
    while (performance.now() < until) {
      const begunAt = performance.now();
      const response = await fetch(`${gate.url}${path}`, init);
      await response.text();
      if (!response.ok) throw new Error(`${path}: ${response.status}`);
      times.push(performance.now() - begunAt);
      await sleep(pauseMs);
    }
    return times.toSorted((a, b) => a - b);
  };
  const asked = await Promise.all([every(5, '/healthz'), every(50, '/api/generate', call)]);
  for (const [name, times] of [
    ['/healthz', asked[0]],
    ['a call', asked[1]],
  ] as const) {
    const at = (share: number): string => `${(times[Math.ceil(times.length * share) - 1] ?? 0).toFixed(1)} ms`;
    say(`| ${what} | ${name} | ${at(0.5)} | ${at(0.99)} | ${at(0.999)} | ${at(1)} |`);
  }
  gate.process.kill('SIGTERM');
  await gate.ended;
}
await fake.close();
