// Does an attack delay well-behaved clients? A client with a small constant rate is measured alone, during each attack, and
// afterwards:
//
//   node bench/slow-clients.ts [--seconds 20] [--only <part of a name>]
//
// Exits with 1 if the client's p99 during an attack, or after all of them, is more than twice what it was alone. The attacks
// share the machine's cores with the gate; they run at the lowest priority, and the table shows what they took.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { generateKey } from '../src/domain/api-key.ts';
import { startFakeOllama } from '../test/fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, spawnGate } from '../test/gate.ts';
import { cpuUs, residentBytes } from './processes.ts';
import { gateCommand } from './program.ts';
import * as attacks from './slow-clients/attacks.ts';
import { type Latencies, Probe, rate } from './slow-clients/probe.ts';

/** Times alone have a floor: on a busy machine single milliseconds come and go by themselves. */
const maxRatio = 2;
const floorMs = 10;

const manyDescriptors = 'ulimit -n 65536 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$0" "$@"';

interface Scene {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly attacks: readonly attacks.Attack[];
}

const scenes: readonly Scene[] = [
  {
    name: 'with much room',
    environment: { MAX_CONNECTIONS: '20000' },
    attacks: [
      attacks.slowHeads,
      attacks.slowBodies,
      attacks.slowReaders,
      attacks.idleConnections,
      attacks.silentConnections,
      attacks.wrongKeys,
    ],
  },
  // By default the attack takes every available connection.
  { name: 'as it comes', environment: {}, attacks: [attacks.silentConnections] },
  { name: 'encrypted', environment: { TLS: 'self-signed' }, attacks: [attacks.handshakes] },
];

interface Line extends Latencies {
  readonly phase: string;
  readonly ratio: number | undefined;
  readonly residentMb: number;
  /** The most connections that the gate had open beyond those that are always there. */
  readonly connections: number;
  readonly kbPerConnection: number | undefined;
  /** Cores that each took, on average. */
  readonly gateCores: number;
  readonly attackCores: number;
}

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '20' }, only: { type: 'string' } } });
const seconds = Number(values.seconds);
if (!(seconds >= 2 && seconds <= 120)) {
  process.stderr.write('node bench/slow-clients.ts [--seconds 2 to 120] [--only <part of a name>]\n');
  process.exit(2);
}

execFileSync('sh', [join(import.meta.dirname, '../scripts/debian-packages.sh'), 'slowhttptest', 'wrk', 'openssl'], {
  stdio: 'inherit',
});
const directory = mkdtempSync(join(tmpdir(), 'sekisho-slow-'));
const keysFile = join(directory, 'keys');
writeFileSync(keysFile, Array.from({ length: 5_000 }, () => generateKey().text.reveal()).join('\n'));
const fake = await startFakeOllama();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const lines: Line[] = [];
try {
  for (const scene of scenes) {
    const chosen = scene.attacks.filter(({ name }) => values.only === undefined || name.includes(values.only));
    if (chosen.length > 0) lines.push(...(await play({ ...scene, attacks: chosen })));
  }
} finally {
  await fake.close();
  rmSync(directory, { recursive: true, force: true });
}
const faults = report(lines);
process.exit(faults === 0 ? 0 : 1);

async function play(scene: Scene): Promise<Line[]> {
  const gate = await spawnGate(
    { UPSTREAM: fake.url, LOG_LEVEL: 'info', AUTH_FAILURES_PER_MINUTE: '30', ...scene.environment },
    // With as many descriptors as possible.
    ['sh', '-c', manyDescriptors, ...gateCommand()],
  );
  try {
    return await playAgainst(gate, scene);
  } finally {
    gate.process.kill('SIGKILL');
    await gate.ended;
    rmSync(gate.dataDir, { recursive: true, force: true });
  }
}

async function playAgainst(gate: GateProcess, scene: Scene): Promise<Line[]> {
  const pid = gate.process.pid as number;
  const url = new URL(gate.url);
  const encrypted = url.protocol === 'https:';
  const { secret } = await gate.key({ name: 'well-behaved' });
  const turned = await gate.key({ name: 'turned', allowPath: true });
  const aim: attacks.Aim = { port: Number(url.port), secret: turned.secret, keysFile };
  const probe = new Probe({
    url: `${url.protocol}//${encrypted ? 'localhost' : '127.0.0.1'}:${url.port}`,
    secret,
    ca: encrypted ? readFileSync(join(gate.dataDir, 'authority.pem'), 'utf8') : undefined,
  });
  const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;

  const observe = async (phase: string, alone: Latencies | undefined, attack?: attacks.Attack): Promise<Line> => {
    process.stderr.write(`${scene.name}: ${phase}\n`);
    const atRest = { descriptors: descriptors(), residentBytes: residentBytes([pid]) };
    const running = attack && new attacks.Onslaught(attack, aim, seconds + attack.rampSeconds + 10);
    await sleep((attack?.rampSeconds ?? 0) * 1000);
    const before = { gate: cpuUs([pid]), attack: running?.cpuUs() ?? 0, at: performance.now() };
    let connections = 0;
    const counting = setInterval(() => {
      connections = Math.max(connections, descriptors() - atRest.descriptors);
      running?.cpuUs();
    }, 500);
    const latencies = await probe.measure(seconds);
    clearInterval(counting);
    const wallUs = (performance.now() - before.at) * 1000;
    const resident = residentBytes([pid]);
    const line: Line = {
      ...latencies,
      phase: `${scene.name}: ${phase}`,
      ratio: alone && Math.max(latencies.p99Ms, floorMs) / Math.max(alone.p99Ms, floorMs),
      residentMb: resident / 1e6,
      connections,
      kbPerConnection:
        attack?.holds === undefined || connections === 0
          ? undefined
          : (resident - atRest.residentBytes) / 1000 / connections,
      gateCores: (cpuUs([pid]) - before.gate) / wallUs,
      attackCores: ((running?.cpuUs() ?? 0) - before.attack) / wallUs,
    };
    if (running) {
      await running.stop();
      // The next one begins when the last of this one's connections is gone.
      await eventually(() => {
        if (descriptors() > atRest.descriptors + 50) throw new Error('connections are left over');
      }, 60_000).catch(() => say(`After "${phase}" ${descriptors() - atRest.descriptors} descriptors are left over.`));
    }
    return line;
  };

  try {
    // What a process compiles in its first thousand requests, it compiles before anything is measured.
    await probe.measure(Math.min(10, seconds));
    const alone = await observe('alone', undefined);
    const found = [alone];
    for (const attack of scene.attacks) found.push(await observe(attack.name, alone, attack));
    found.push(await observe('alone afterwards', alone));
    return found;
  } finally {
    probe.close();
  }
}

function report(found: readonly Line[]): number {
  say(`\n${rate} requests a second; a ratio is p99 ÷ p99 alone, both at least ${floorMs} ms.\n`);
  const head = 'phase|p50 ms|p99 ms|ratio|failed|of these on new connections|gate MB|connections|kB each';
  const rows = found.map((line) => [
    line.phase,
    line.p50Ms.toFixed(1),
    line.p99Ms.toFixed(1),
    line.ratio?.toFixed(2) ?? '',
    `${line.failed} of ${line.requests}`,
    String(line.failedNew),
    line.residentMb.toFixed(0),
    String(line.connections),
    line.kbPerConnection?.toFixed(1) ?? '',
    line.gateCores.toFixed(2),
    line.attackCores.toFixed(2),
  ]);
  const all = [[...head.split('|'), 'gate, cores', 'attack, cores'], ...rows];
  const widths = (all[0] as string[]).map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  for (const row of all) say(`| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  say('');
  const bad = found.filter(({ ratio, failed }) => (ratio ?? 1) > maxRatio || failed > 0);
  for (const { phase, ratio, failed, failedNew, faults: said } of bad)
    say(
      `${phase}: p99 is ${(ratio ?? 1).toFixed(1)} times what it was alone, ${failed} requests failed, ` +
        `${failedNew} of them on new connections. ${said.join('; ')}`,
    );
  if (bad.length === 0) say('No attack delayed the well-behaved client.');
  return bad.length;
}
