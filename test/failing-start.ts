// A process that starts the gate once for each step of a start, lets that step fail, and prints what is left open. It ends
// by itself, or not at all: nothing here calls exit.
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { serve } from '../src/compose/serve.ts';
import { StartFailed, type StartStep, startSteps } from '../src/compose/start.ts';
import { openLog } from '../src/observe/log.ts';
import { loadConfig } from '../src/settings/config.ts';
import { isHeld } from '../src/store/sqlite/directory-lock.ts';
import { freePorts } from './free-ports.ts';

export interface Left {
  /** Files of the data directory that this process has open. */
  readonly files: readonly string[];
  readonly held: boolean;
  /** The ports of the gate that accept connections. */
  readonly ports: readonly string[];
  /** The handles that keep the process alive beyond those from before. */
  readonly keeps: readonly string[];
}

export interface Report {
  readonly case: string;
  readonly steps: readonly string[];
  readonly error?: { readonly step: string; readonly message: string; readonly cause: string };
  readonly open?: Omit<Left, 'held'>;
  readonly left: Left;
}

const log = openLog('fatal', 'json');
const [port = 0, plain = 0] = await freePorts(2);

for (const step of startSteps) await report(step, step);
const taken = createServer().listen(port, '127.0.0.1');
await new Promise((resolve) => taken.once('listening', resolve));
await report('a port that is taken', undefined, () => new Promise((resolve) => taken.close(resolve)));
await report('no failure', undefined);

async function report(name: string, failing: StartStep | undefined, release?: () => Promise<unknown>): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sekisho-start-'));
  const before = keeping();
  const steps: StartStep[] = [];
  const config = loadConfig({
    PORT: String(port),
    HTTP_PORT: String(plain),
    TLS: 'self-signed',
    UPSTREAM: 'http://127.0.0.1:9',
    DATA_DIR: dataDir,
    DRAIN_SECONDS: '1',
  });
  let found: Omit<Report, 'left'>;
  try {
    const gate = await serve(config, log, (step) => {
      steps.push(step);
      if (step === failing) throw new Error(`no ${step} today`);
    });
    const open = { files: filesIn(dataDir), keeps: keepingBeyond(before), ports: await takingPorts() };
    await gate.stop();
    found = { case: name, steps, open };
  } catch (error) {
    if (!(error instanceof StartFailed)) throw error;
    const { step, message, cause } = error;
    found = { case: name, steps, error: { step, message, cause: (cause as Error).name } };
  }
  await release?.();
  for (let turns = 0; turns < 5; turns++) await nextTurn();
  const keeps = keepingBeyond(before);
  const left = {
    files: filesIn(dataDir),
    held: existsSync(join(dataDir, 'gate.lock')) && isHeld(dataDir),
    ports: await takingPorts(),
    keeps,
  };
  process.stdout.write(`${JSON.stringify({ ...found, left } satisfies Report)}\n`);
  rmSync(dataDir, { recursive: true, force: true });
}

function filesIn(dataDir: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith(dataDir) ? [file.slice(dataDir.length + 1)] : [];
    } catch {
      // The directory listing's own descriptor is closed by now.
      return [];
    }
  });
}

/** The number of timers, sockets and servers that keep the process alive, by kind. */
function keeping(): string[] {
  return process.getActiveResourcesInfo();
}

function keepingBeyond(before: readonly string[]): string[] {
  const known = [...before];
  return keeping().filter((kind) => {
    const at = known.indexOf(kind);
    if (at >= 0) known.splice(at, 1);
    return at < 0;
  });
}

async function takingPorts(): Promise<string[]> {
  const taking: string[] = [];
  for (const [name, number] of Object.entries({ port, plain })) {
    const takes = await new Promise<boolean>((resolve) => {
      const socket = connect(number, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (takes) taking.push(name);
  }
  return taking;
}
