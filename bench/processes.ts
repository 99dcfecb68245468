// Starts programs on a core of their own, watches what they use, and ends exactly those that it started. CPU time is read
// from the scheduler in nanoseconds; the ticks of /proc/<pid>/stat are 10 ms, which is as much as nginx needs for a thousand
// requests. Memory is the resident size of the whole process tree.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

/** The subject under test has this core for itself. */
export const subjectCore = 0;
/** Upstream, load generator and the bench share this one. */
export const loadCore = 1;

const stopTimeoutMs = 20_000;

export interface Started {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** False once it has ended, for whatever reason. */
  readonly running: boolean;
  /** SIGTERM, and SIGKILL for any process of its tree left after a while. Returns whether it ended by itself. */
  stop(): Promise<boolean>;
}

export interface Launch {
  readonly name: string;
  readonly core: number;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
}

const started = new Set<Started>();

/** What a program needs of our environment; none of our variables may change how a subject behaves. */
const plainEnv = {
  PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  NODE_ENV: 'production',
};

export function start(launch: Launch): Started {
  const log = openSync(launch.logFile, 'a');
  const child = spawn('taskset', ['-c', String(launch.core), ...launch.command], {
    cwd: launch.cwd,
    env: { ...plainEnv, HOME: launch.cwd, ...launch.env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  if (child.pid === undefined)
    throw new Error(`${launch.name} could not be started: is taskset (util-linux) installed?`);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const self: Started = {
    name: launch.name,
    pid: child.pid,
    logFile: launch.logFile,
    get running() {
      return isRunning(child);
    },
    stop: async () => {
      const tree = treeOf(child.pid as number);
      if (isRunning(child)) child.kill('SIGTERM');
      const graceful = await Promise.race([ended.then(() => true), sleep(stopTimeoutMs, false, { ref: false })]);
      if (!graceful) for (const pid of tree) killQuietly(pid);
      started.delete(self);
      return graceful;
    },
  };
  started.add(self);
  return self;
}

export async function stopAll(): Promise<void> {
  await Promise.all([...started].map((each) => each.stop()));
}

/** The last output of a program, for a message about its failure. */
export function lastWords(logFile: string): string {
  const text = readFileSync(logFile, 'utf8').trim();
  return text === '' ? '(no output)' : text.split('\n').slice(-12).join('\n');
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}

/** A process and all its descendants. */
export function treeOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readQuietly(`/proc/${entry}/stat`);
    // The name in parentheses may contain spaces; the parent is the second field after it.
    const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
    if (parent !== undefined) parents.set(Number(entry), Number(parent));
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** CPU time of all threads of these processes since they began, in microseconds. */
export function cpuUs(pids: readonly number[]): number {
  let ns = 0;
  for (const pid of pids) {
    for (const task of listQuietly(`/proc/${pid}/task`))
      ns += Number(readQuietly(`/proc/${pid}/task/${task}/schedstat`).split(' ')[0]);
  }
  return ns / 1000;
}

/** Resident memory of these processes in bytes; pages that two of them share count twice. */
export function residentBytes(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) kib += Number(/^VmRSS:\s+(\d+) kB/m.exec(readQuietly(`/proc/${pid}/status`))?.[1] ?? 0);
  return kib * 1024;
}

/** Time that a core has been busy since the machine started, in microseconds; it counts in steps of 10 ms. */
export function coreBusyUs(core: number): number {
  const line = new RegExp(`^cpu${core} (.+)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? '';
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number);
  return (user + nice + system + irq + softirq + steal) * 10_000;
}

/** Moves every thread of this process to a core; what it starts later begins there. */
export const pinSelf = (core: number): void => moveTo(String(core), process.pid);

/** Moves every thread of a process to these cores, as `taskset` lists them. */
export function moveTo(cores: string, pid: number): void {
  execFileSync('taskset', ['-acp', cores, String(pid)], { stdio: 'ignore' });
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function listQuietly(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
