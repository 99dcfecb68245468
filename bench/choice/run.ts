// `node bench/choice/run.ts`: a simulated day under each policy, in one table. It reads no clock and opens no socket.
import process from 'node:process';
import { parseArgs } from 'node:util';
import { policyNames, simulate, wholeDay } from './day.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, hours: { type: 'string' }, rate: { type: 'string' } },
});
const scale = {
  ...wholeDay,
  seed: Number(values.seed ?? wholeDay.seed),
  hours: Number(values.hours ?? wholeDay.hours),
  callsPerSecond: Number(values.rate ?? wholeDay.callsPerSecond),
};
const rows = policyNames.map((name) => ({ policy: name, ...simulate(name, scale) }));
const best = Math.min(...rows.slice(0, -1).map(({ p95Ms }) => p95Ms));
const own = rows.at(-1)?.p95Ms ?? 0;
process.stdout.write(`${scale.servers} servers, ${scale.models} models, ${scale.hours} hours, seed ${scale.seed}\n\n`);
process.stdout.write(
  '| policy | calls | mean ms | p50 ms | p95 ms | p99 ms | loads | worst account, mean ms | worst model, mean ms |\n',
);
process.stdout.write('| :-- | --: | --: | --: | --: | --: | --: | --: | --: |\n');
for (const row of rows)
  process.stdout.write(
    `| ${row.policy} | ${row.calls}${row.unserved > 0 ? ` (${row.unserved} unserved)` : ''} | ${row.meanMs} | ${row.p50Ms} | ${row.p95Ms} | ${row.p99Ms} | ${row.loads} | ${row.worstAccountMs} | ${row.worstModelMs} |\n`,
  );
process.stdout.write(`\np95 against the best of the others: ${(100 * (1 - own / best)).toFixed(0)} % less\n`);
