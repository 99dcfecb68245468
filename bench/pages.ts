// How fast the pages are, with ten thousand keys and a million rows in the ledger:
//
//   node bench/pages.ts
//
// Prints the median and the slowest of the calls behind each page, and the longest time that one of them blocked the gateway.
// first-visits.ts has the pages in a browser.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { createAccount } from '../src/management/accounts/accounts.ts';
import { createKey } from '../src/management/keys/keys.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { openGate } from '../test/gate.ts';
import { operatorOf } from '../test/visitor.ts';
import { appendInvented, type Owner } from './invented-records.ts';

const [keys, rows, accounts] = [10_000, 1_000_000, 1_000];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const fake = await startFakeOllama();
const gate = await openGate(fake.url);
const operator = await operatorOf(gate);
const made: Owner[] = [];
await gate.manage(async (store, author) => {
  for (let i = 0; i < accounts; i++) await createAccount(store, `person-${i}@example.org`, 'trusted', author);
  for (let i = 0; i < keys; i++) {
    const { key } = await createKey(store, { name: `key ${i}`, account: `person-${i % accounts}@example.org` }, author);
    made.push({ id: key.id, account: key.accountId });
  }
  const ownerOf = (from: number, n: number): Owner => made[(from + n * 7) % made.length] as Owner;
  await appendInvented(store, { rows, days: 60, upstream: fake.url, ownerOf });
});
say(`${keys.toLocaleString('en')} keys, ${rows.toLocaleString('en')} rows\n`);

// The gate runs in this process: what blocks its loop delays every call.
const loop = monitorEventLoopDelay({ resolution: 5 });
loop.enable();
const one = made[42] as Owner;
const year = new Date(Date.now() - 365 * 86_400_000).toISOString();
for (const path of [
  '/session',
  '/overview',
  '/keys?limit=50',
  '/keys?limit=50&search=key 9999',
  '/accounts?limit=50',
  '/accounts?limit=50&search=person-999',
  `/accounts/${one.account}`,
  '/usage?limit=50',
  `/usage?limit=50&account=${one.account}`,
  '/usage?limit=50&model=nothing',
  '/usage/report?by=day',
  `/usage/report?by=account&since=${year}`,
  `/usage/report?by=model&account=${one.account}`,
  '/audit?limit=50',
]) {
  const times: number[] = [];
  let longest = 0;
  for (let i = 0; i < 15; i++) {
    loop.reset();
    const before = performance.now();
    const { status } = await operator.get(path);
    times.push(performance.now() - before);
    longest = Math.max(longest, loop.max / 1e6);
    if (status !== 200) throw new Error(`${path} answered ${status}`);
  }
  times.sort((a, b) => a - b);
  say(
    `${path.padEnd(62)} ${times[7]?.toFixed(0).padStart(5)} ms ${times.at(-1)?.toFixed(0).padStart(5)} ms ${longest.toFixed(0).padStart(6)} ms`,
  );
}

await gate.stop();
await fake.close();
