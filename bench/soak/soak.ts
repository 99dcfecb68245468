// A soak: the fake model server, a gate in its own process, and a seeded mix of every way in which an exchange can end, as
// many exchanges as requested. Afterwards nothing but their rows may remain: no slot, no reservation, no descriptor, no
// memory. Everything stays on this machine.
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFakeOllama } from '../../test/fake-ollama/fake-ollama.ts';
import { eventually, type GateProcess, spawnGate, temporaryDirectory } from '../../test/gate.ts';
import { cpuUs, residentBytes } from '../processes.ts';
import { gateCommand } from '../program.ts';
import { Connection, type Leaving } from './connection.ts';
import { LedgerAudit, type Sums } from './ledger-audit.ts';
import { crowdedAtOnce, type Member, makeMembers, Operator, Used } from './members.ts';
import { type Asked, busyModel, chooseRequest, type Habit, requestBytes } from './mix.ts';
import { play } from './model-server.ts';

export interface SoakOptions {
  readonly requests: number;
  readonly seed: number;
  /** No request begins after that. */
  readonly seconds?: number;
  /** The gate collects its garbage every few seconds, so that growth can be told from waves. */
  readonly collects?: boolean;
  readonly onSample?: (sample: Sample) => void;
}

export interface Sample {
  readonly seconds: number;
  readonly requests: number;
  readonly residentMb: number;
  /** Live memory after the last collection; undefined before the first one, and if no collection was requested. */
  readonly liveMb: number | undefined;
  readonly descriptors: number;
}

export interface SoakReport {
  readonly requests: number;
  readonly seconds: number;
  /** CPU time of the gate. */
  readonly gateCpuUsPerRequest: number;
  readonly samples: readonly Sample[];
  readonly descriptors: { readonly before: number; readonly most: number; readonly after: number };
  readonly keysRevoked: number;
  readonly limitsCompared: number;
  /** Answers as callers saw them, by status and end. */
  readonly answers: Readonly<Record<string, number>>;
  readonly sums: Sums;
  /** A sentence for each violation; the caller judges memory if it requested enough exchanges. */
  readonly faults: readonly string[];
}

interface Status {
  readonly running: number;
  readonly queues: readonly { readonly model: string; readonly running: number; readonly waiting: number }[];
  readonly upstreams: readonly { readonly inFlight: number }[];
}

const sampleMs = 2_000;
const heapFile = 'heap';

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const fake = await startFakeOllama();
  const dataDir = temporaryDirectory();
  const collecting = options.collects ? ['--expose-gc', '--import', join(import.meta.dirname, 'collect.ts')] : [];
  const gate = await spawnGate(
    {
      UPSTREAM: fake.url,
      DATA_DIR: dataDir,
      HEAP_FILE: join(dataDir, heapFile),
      LOG_LEVEL: 'info',
      TIME_ZONE: 'UTC',
      MODEL_SLOTS: `${busyModel}=2`,
      QUEUE_LENGTH: '1000',
      // Every row is compared with its exchange, those of refusals too.
      REFUSED_ROWS_PER_MINUTE: '1000000000',
    },
    gateCommand(collecting),
  );
  try {
    const run = new Run(gate, options);
    play(fake, run.underWay);
    return await run.go(
      // The fake keeps every request, which is too much for a million of them.
      () => (fake.requests.length = 0),
      () => fake.close(),
    );
  } finally {
    gate.process.kill('SIGKILL');
    await gate.ended;
    rmSync(gate.dataDir, { recursive: true, force: true });
    await fake.close().catch(() => undefined);
  }
}

class Run {
  readonly underWay = new Map<number, Asked>();
  readonly #gate: GateProcess;
  readonly #pid: number;
  readonly #options: SoakOptions;
  readonly #audit = new LedgerAudit();
  readonly #samples: Sample[] = [];
  #begunMs = 0;
  #asked = 0;
  #done = 0;
  #running = 0;

  constructor(gate: GateProcess, options: SoakOptions) {
    this.#gate = gate;
    this.#pid = gate.process.pid as number;
    this.#options = options;
  }

  async go(forget: () => void, closeServer: () => Promise<void>): Promise<SoakReport> {
    const gate = this.#gate;
    const members = await makeMembers(gate);
    const { secret } = await gate.key({ name: 'operator', scopes: ['management:read', 'management:write'] });
    const operator = new Operator(gate.url, secret);
    await operator.ask('GET', '/status');
    const before = this.#descriptors();
    const kindsBefore = this.#kindsOfDescriptors();

    this.#begunMs = performance.now();
    const cpuBefore = cpuUs([this.#pid]);
    const sampling = setInterval(() => {
      forget();
      this.#sample();
    }, sampleMs);
    const changing = members.find(({ name }) => name === 'changing') as Member;
    const calls = members.flatMap((member) => member.connections.map((habit) => this.#call(member, habit)));
    this.#running = calls.length;
    // Held calls end when their key is revoked, so it is revoked until the last of them has ended.
    const [keysRevoked] = await Promise.all([operator.change(changing, () => this.#running === 0), ...calls]);
    clearInterval(sampling);
    this.#sample();
    const seconds = (performance.now() - this.#begunMs) / 1000;
    const gateCpuUsPerRequest = (cpuUs([this.#pid]) - cpuBefore) / this.#done;

    await this.#nothingRuns(operator);
    await this.#allHaveRoom(members);
    await this.#nothingRuns(operator);
    await eventually(() => {
      if (!this.#audit.isComplete(gate.dataDir)) throw new Error('the ledger lacks rows');
    }, 20_000).catch(() => undefined);
    // The last batch is in the store; a surplus row would arrive now.
    await sleep(500);
    const used = new Used();
    const sums = this.#audit.check(gate.dataDir, used.add);
    this.#audit.explain(gate.output());
    const limitsCompared = await used.holdAgainstLimits(members, operator, this.#audit);

    // Closes its side of the connections that the gate keeps open to it.
    await closeServer();
    const after = await this.#descriptorsAfter(before, kindsBefore);
    const most = Math.max(...this.#samples.map(({ descriptors }) => descriptors));
    return {
      requests: this.#done,
      seconds,
      gateCpuUsPerRequest,
      samples: this.#samples,
      descriptors: { before, most, after },
      keysRevoked,
      limitsCompared,
      answers: this.#audit.answers,
      sums,
      faults: this.#audit.faults,
    };
  }

  /** Each connection takes the next request until all have been made. */
  async #call(member: Member, habit: Habit): Promise<void> {
    const connection = new Connection(Number(new URL(this.#gate.url).port));
    const { seed, requests, seconds = Infinity } = this.#options;
    while (this.#asked < requests && performance.now() - this.#begunMs < seconds * 1000) {
      const status = await this.#ask(connection, chooseRequest(seed, this.#asked++, habit), member, habit);
      // A caller with no usage left does not call faster because of it.
      if (status === 429 && member.name === 'limited') await sleep(20);
    }
    connection.close();
    this.#running--;
  }

  async #ask(connection: Connection, asked: Asked, member: Member, habit: Habit): Promise<number> {
    const request = requestBytes(asked, member.secret);
    this.underWay.set(asked.number, asked);
    if (asked.fate === 'leaves before the head') asked.reached = () => connection.leave();
    const heard = await connection.ask(request, leavingOf(asked));
    asked.reached = undefined;
    // The model server may hear only now of one that was left.
    if (heard.end === 'whole') this.underWay.delete(asked.number);
    this.#audit.note(asked, heard, habit);
    this.#done++;
    return heard.status;
  }

  /** Every slot and every place is free again: as many calls as a plan or a model admits are admitted at once. */
  async #allHaveRoom(members: readonly Member[]): Promise<void> {
    const crowded = members.find(({ name }) => name === 'crowded') as Member;
    const waiting = members.find(({ name }) => name === 'waiting') as Member;
    const at = { [crowded.name]: crowdedAtOnce, [waiting.name]: 2 };
    for (const member of [crowded, waiting]) {
      const habit: Habit = member === waiting ? 'queueing' : 'plain';
      const asked = Array.from({ length: at[member.name] as number }, () => {
        // Whatever the seed says, this one is an ordinary call.
        const plain: Asked = { ...chooseRequest(this.#options.seed, this.#asked++, habit), fate: 'is streamed' };
        return { connection: new Connection(Number(new URL(this.#gate.url).port)), plain };
      });
      const answers = await Promise.all(
        asked.map(({ connection, plain }) => this.#ask(connection, plain, member, habit)),
      );
      for (const { connection } of asked) connection.close();
      if (answers.some((status) => status !== 200))
        this.#audit.fault(`Afterwards ${answers.length} calls of ${member.name} at once got ${answers.join(', ')}.`);
    }
  }

  async #nothingRuns(operator: Operator): Promise<void> {
    let status: Status | undefined;
    await eventually(async () => {
      status = await operator.ask<Status>('GET', '/status');
      const { running, queues, upstreams } = status;
      const busy = running + queues.reduce((sum, lane) => sum + lane.running + lane.waiting, 0);
      if (busy + upstreams.reduce((sum, { inFlight }) => sum + inFlight, 0) > 0) throw new Error('busy');
    }, 10_000).catch(() => this.#audit.fault(`Something still runs afterwards: ${JSON.stringify(status)}.`));
  }

  async #descriptorsAfter(before: number, kinds: string): Promise<number> {
    await eventually(() => {
      if (this.#descriptors() > before) throw new Error('more are open');
    }, 20_000).catch(() =>
      this.#audit.fault(
        `${this.#descriptors()} descriptors are open afterwards (${this.#kindsOfDescriptors()}), and ${before} were before (${kinds}).`,
      ),
    );
    return this.#descriptors();
  }

  /** What they are, and the connections with their states as the system writes them. */
  #kindsOfDescriptors(): string {
    const directory = `/proc/${this.#pid}/fd`;
    const targets = readdirSync(directory).flatMap((name) => {
      try {
        return [readlinkSync(join(directory, name))];
      } catch {
        return [];
      }
    });
    const lines = readFileSync(`/proc/${this.#pid}/net/tcp`, 'utf8').split('\n');
    const connections = new Map(
      lines.map((line) => line.trim().split(/\s+/)).map((words) => [words[9], words.slice(1, 4).join(' ')]),
    );
    const kindOf = (target: string): string => {
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      return inode === undefined ? target.replace(/\d+/g, 'N') : `socket ${connections.get(inode)}`;
    };
    const counts = Map.groupBy(targets.map(kindOf), (kind) => kind);
    return [...counts].map(([kind, all]) => `${all.length} × ${kind}`).join(', ');
  }

  #descriptors(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  #liveMb(): number | undefined {
    if (!this.#options.collects) return undefined;
    try {
      const last = readFileSync(join(this.#gate.dataDir, heapFile), 'utf8').trim().split('\n').at(-1);
      return Number(last) / 1e6;
    } catch {
      return undefined;
    }
  }

  #sample(): void {
    const sample = {
      seconds: (performance.now() - this.#begunMs) / 1000,
      requests: this.#done,
      residentMb: residentBytes([this.#pid]) / 1e6,
      liveMb: this.#liveMb(),
      descriptors: this.#descriptors(),
    };
    this.#samples.push(sample);
    this.#options.onSample?.(sample);
  }
}

function leavingOf({ fate, cutAfter, moment }: Asked): Leaving {
  switch (fate) {
    case 'leaves at once':
      return { atOnce: true };
    case 'leaves in mid-stream':
      return { atPiece: Math.max(1, Math.ceil(moment * cutAfter)) };
    case 'leaves at any moment':
      return { afterMs: Math.floor(moment * 16) };
    default:
      return {};
  }
}
