// `node bench/tail.ts`: how long one caller waits who sends a request as soon as the last answer is there, alone and beside
// others. Gates of several checkouts run side by side and are measured in turn, slice by slice, so that whatever the machine
// does meanwhile meets all of them. Each figure is the median over the slices, and the least of them.
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Caller } from './caller.ts';
import { launchGate } from './gate.ts';
import type { Launched } from './launch.ts';
import { cpuUs, loadCore, moveTo, pinSelf, residentBytes, treeOf } from './processes.ts';
import { runBench, startUpstream } from './run-bench.ts';

const usage = `node bench/tail.ts [--against DIR,…] [--rounds <n>] [--slices <n>] [--calls <n>] [--rate <n>] [--warm-up <n>] [--cores <list>]
  --against  other checkouts, which have their packages installed, measured in turn with this one
  --rounds   how often all gates are restarted; default 3
  --slices   measurements of each gate in a round, alone and beside others; default 10
  --calls    calls of the caller in a slice; default 4000
  --rate     calls of the others in a second, over 16 connections; default 1000
  --cores    of each gate, for taskset; default 0. Load and model server are on core 1
  --warm-up  calls before the first slice; default 15000, by which V8 has compiled the path
`;

const otherConnections = 16;
/** The others send in bursts of what is due, as often as this. */
const burstMs = 2;
const startTimeoutMs = 60_000;

interface Gate {
  readonly name: string;
  readonly launched: Launched;
  readonly idleMb: number;
  readonly slices: Slice[];
  answers: number;
}

interface Slice {
  readonly beside: boolean;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly most: number;
  /** Microseconds of the gate for each call. */
  readonly cpu: number;
}

const { values: given } = parseArgs({
  options: {
    against: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    slices: { type: 'string', default: '10' },
    calls: { type: 'string', default: '4000' },
    rate: { type: 'string', default: '1000' },
    cores: { type: 'string', default: '0' },
    'warm-up': { type: 'string', default: '15000' },
    help: { type: 'boolean', default: false },
  },
});
const numbers = [given.rounds, given.slices, given.calls, given.rate, given['warm-up']].map(Number);
const [rounds, slices, calls, rate, warmUpCalls] = numbers as [number, number, number, number, number];
const here = join(import.meta.dirname, '..');
const checkouts = [here, ...given.against.split(',').filter(Boolean)].map((directory) => resolve(directory));
const runDirectory = join(import.meta.dirname, 'work', `tail-${process.pid}`);

if (given.help || !numbers.every((each) => Number.isInteger(each) && each > 0)) {
  process.stdout.write(usage);
  process.exit(given.help ? 0 : 2);
}
await runBench(runDirectory, async () => {
  pinSelf(loadCore);
  const upstreamPort = await startUpstream(runDirectory);
  const measured = new Map<string, Gate[]>();
  for (let round = 0; round < rounds; round++)
    for (const gate of await oneRound(round, upstreamPort))
      measured.set(gate.name, [...(measured.get(gate.name) ?? []), gate]);
  report(measured);
});

async function oneRound(round: number, upstreamPort: number): Promise<Gate[]> {
  const gates: Gate[] = [];
  for (const [index, checkout] of checkouts.entries()) {
    process.stderr.write(`round ${round + 1} of ${rounds}: ${checkout}\n`);
    const directory = join(runDirectory, `${index}-${round}`);
    mkdirSync(directory);
    const place = { directory, upstreamPort, profileDirectory: undefined };
    gates.push(await warm(checkout, await launchGate(checkout, place, true, join(checkout, 'src'))));
  }
  for (let slice = 0; slice < slices; slice++)
    // Every second time backwards, so that no gate always follows the same one.
    for (const beside of [false, true])
      for (const gate of slice % 2 === 0 ? gates : gates.toReversed()) gate.slices.push(await oneSlice(gate, beside));
  for (const { launched, answers } of gates) {
    await launched.process?.stop();
    launched.checkBooks?.(answers);
  }
  return gates;
}

async function warm(name: string, launched: Launched): Promise<Gate> {
  const deadline = performance.now() + startTimeoutMs;
  while (
    !(await Caller.open(launched).then(
      (caller) => caller.close(),
      () => false,
    ))
  ) {
    if (performance.now() > deadline) throw new Error(`${name} did not start`);
    await sleep(100);
  }
  moveTo(given.cores, launched.process?.pid ?? 0);
  await sleep(1_000);
  const idleMb = residentBytes(treeOf(launched.process?.pid ?? 0)) / 1e6;
  const caller = await Caller.open(launched);
  for (let i = 0; i < warmUpCalls; i++) await caller.call();
  caller.close();
  return { name, launched, idleMb, slices: [], answers: warmUpCalls };
}

async function oneSlice(gate: Gate, beside: boolean): Promise<Slice> {
  const { launched } = gate;
  const stopOthers = beside ? await others(launched) : undefined;
  const caller = await Caller.open(launched);
  const times = new Float64Array(calls);
  const tree = treeOf(launched.process?.pid ?? 0);
  const cpuBefore = cpuUs(tree);
  for (let i = 0; i < calls; i++) {
    const from = performance.now();
    await caller.call();
    times[i] = performance.now() - from;
  }
  const all = calls + ((await stopOthers?.()) ?? 0);
  gate.answers += all;
  const cpu = (cpuUs(tree) - cpuBefore) / all;
  caller.close();
  const sorted = times.toSorted();
  const at = (share: number): number => sorted[Math.min(calls - 1, Math.floor(calls * share))] ?? 0;
  return { beside, p50: at(0.5), p99: at(0.99), p999: at(0.999), most: at(1), cpu };
}

/** Other callers, at a steady rate. Gives how to stop them, which says how many answers they have had. */
async function others(launched: Launched): Promise<() => Promise<number>> {
  const free = await Promise.all(Array.from({ length: otherConnections }, () => Caller.open(launched)));
  const all = [...free];
  const running = new Set<Promise<void>>();
  const began = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - began) * rate) / 1000;
    while (sent < due) {
      const caller = free.pop();
      if (!caller) return;
      sent++;
      const call = caller.call().then(() => {
        free.push(caller);
        running.delete(call);
      });
      // Asked for at the end of the slice.
      call.catch(() => undefined);
      running.add(call);
    }
  }, burstMs);
  return async () => {
    clearInterval(timer);
    await Promise.all(running);
    for (const caller of all) caller.close();
    return sent;
  };
}

function report(measured: ReadonlyMap<string, readonly Gate[]>): void {
  const figures = ['p50', 'p99', 'p999', 'most', 'cpu'] as const;
  for (const beside of [false, true]) {
    process.stdout.write(`\n${beside ? `beside ${rate} other calls/s` : 'alone'}: median (least) of the slices\n`);
    process.stdout.write('p50 ms          p99 ms          p99.9 ms        most ms         CPU µs/call     idle MB\n');
    for (const [name, gates] of measured) {
      const rows = gates.flatMap((gate) => gate.slices).filter((slice) => slice.beside === beside);
      const cells = figures.map((figure) => {
        const sorted = rows.map((slice) => slice[figure]).toSorted((a, b) => a - b);
        const digits = figure === 'cpu' ? 1 : 3;
        return `${median(sorted).toFixed(digits)} (${(sorted[0] ?? 0).toFixed(digits)})`.padEnd(16);
      });
      const idle = median(gates.map(({ idleMb }) => idleMb).toSorted((a, b) => a - b));
      process.stdout.write(`${cells.join('')}${idle.toFixed(1)}  ${name}\n`);
    }
  }
}

function median(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
