// `node bench/metrics.ts`: what `/metrics` adds to the CPU time of a call. Two gateways, one with the listener, are called in turn, slice
// by slice, so that whatever the machine does meanwhile meets both. A scrape is timed by itself, because its share of a call depends on
// how many calls come between two scrapes.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Caller } from './caller.ts';
import { launchGate } from './gate.ts';
import type { Launched } from './launch.ts';
import { cpuUs, freePort, loadCore, pinSelf, treeOf } from './processes.ts';
import { runBench, startUpstream } from './run-bench.ts';

const usage = `node bench/metrics.ts [--slices <n>] [--calls <n>] [--warm-up <n>] [--scrapes <n>]
  --slices   measurements of each gateway; default 40
  --calls    calls in a slice; default 2000
  --warm-up  calls before the first slice; default 15000, by which V8 has compiled the path
  --scrapes  scrapes that are timed; default 200
`;
const startTimeoutMs = 60_000;
/** As Prometheus asks unless it is told otherwise, and calls a second of a small installation. */
const assumed = { scrapeSeconds: 15, callsPerSecond: 20 };

const { values: given } = parseArgs({
  options: {
    slices: { type: 'string', default: '40' },
    calls: { type: 'string', default: '2000' },
    'warm-up': { type: 'string', default: '15000' },
    scrapes: { type: 'string', default: '200' },
    help: { type: 'boolean', default: false },
  },
});
const numbers = [given.slices, given.calls, given['warm-up'], given.scrapes].map(Number);
const [slices, calls, warmUpCalls, scrapes] = numbers as [number, number, number, number];
const runDirectory = join(import.meta.dirname, 'work', `metrics-${process.pid}`);

if (given.help || !numbers.every((each) => Number.isInteger(each) && each > 0)) {
  process.stdout.write(usage);
  process.exit(given.help ? 0 : 2);
}
await runBench(runDirectory, async () => {
  pinSelf(loadCore);
  await measure();
});

async function measure(): Promise<void> {
  const upstreamPort = await startUpstream(runDirectory);
  const metricsPort = await freePort();
  const without = await opened('without', upstreamPort, {});
  const listening = await opened('with', upstreamPort, { METRICS_PORT: String(metricsPort) });
  const pairs: { off: number; on: number }[] = [];
  for (let slice = 0; slice < slices; slice++) {
    const first = slice % 2 === 0;
    const one = await callCpuUs(first ? without : listening, calls);
    const other = await callCpuUs(first ? listening : without, calls);
    pairs.push(first ? { off: one, on: other } : { off: other, on: one });
  }
  const scrapeUs = await scrapeCpuUs(listening, metricsPort);
  const each = warmUpCalls + slices * calls;
  for (const gate of [without, listening]) {
    await gate.process?.stop();
    gate.checkBooks?.(each);
  }
  report(pairs, scrapeUs);
}

async function opened(name: string, upstreamPort: number, settings: Readonly<Record<string, string>>) {
  const directory = join(runDirectory, name);
  mkdirSync(directory);
  const launched = await launchGate(name, { directory, upstreamPort, profileDirectory: undefined, settings }, true);
  const deadline = performance.now() + startTimeoutMs;
  for (;;) {
    const caller = await Caller.open(launched).catch(() => undefined);
    caller?.close();
    if (caller) break;
    if (performance.now() > deadline) throw new Error(`the gateway ${name} did not start`);
    await sleep(100);
  }
  await callCpuUs(launched, warmUpCalls);
  return launched;
}

function cpuOf({ process: gate }: Launched): number {
  return cpuUs(treeOf(gate?.pid ?? 0));
}

/** Microseconds of the gateway for each of some calls, one after the other. */
async function callCpuUs(gate: Launched, count: number): Promise<number> {
  const caller = await Caller.open(gate);
  const before = cpuOf(gate);
  for (let i = 0; i < count; i++) await caller.call();
  const spent = cpuOf(gate) - before;
  caller.close();
  return spent / count;
}

/** Microseconds of the gateway for a scrape. */
async function scrapeCpuUs(gate: Launched, port: number): Promise<number> {
  const before = cpuOf(gate);
  for (let i = 0; i < scrapes; i++) {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    if (!(await answer.text()).includes('# TYPE ')) throw new Error('the metrics are not those of a gateway');
  }
  return (cpuOf(gate) - before) / scrapes;
}

function report(pairs: readonly { readonly off: number; readonly on: number }[], scrapeUs: number): void {
  const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);
  const at = (values: readonly number[], share: number): number =>
    sorted(values)[Math.floor((values.length - 1) * share)] ?? 0;
  const off = pairs.map((pair) => pair.off);
  const on = pairs.map((pair) => pair.on);
  const added = pairs.map((pair) => (pair.on / pair.off - 1) * 100);
  const perCall = scrapeUs / (assumed.scrapeSeconds * assumed.callsPerSecond);
  const text = (value: number): string => value.toFixed(2);
  process.stdout.write(
    [
      `CPU of a call: ${text(at(off, 0.5))} µs without, ${text(at(on, 0.5))} µs with the listener (medians of ${slices} slices)`,
      `added by the listener: ${text(at(added, 0.5))} % (median of the pairs; quartiles ${text(at(added, 0.25))} and ${text(at(added, 0.75))} %)`,
      `a scrape: ${(scrapeUs / 1000).toFixed(2)} ms; every ${assumed.scrapeSeconds} s at ${assumed.callsPerSecond} calls a second: ${text(perCall)} µs, or ${text((perCall / at(off, 0.5)) * 100)} %, of a call`,
      '',
    ].join('\n'),
  );
}
