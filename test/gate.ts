// A gate for tests: the real composition on a real port, with its own data directory and log file, and what a test wants to
// know about it. For signals and kills, the same runs as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { connectTo } from './postgres-client.ts';
import './quick-passwords.ts';
import { type Adapters, inMemory } from '../src/compose/adapters.ts';
import { type OpenGate, serve } from '../src/compose/serve.ts';
import { StartFailed } from '../src/compose/start.ts';
import type { Account } from '../src/domain/account.ts';
import type { Author } from '../src/domain/audit.ts';
import type { KeyId } from '../src/domain/id.ts';
import type { UsageRecord } from '../src/domain/usage.ts';
import { createAccount } from '../src/management/accounts/accounts.ts';
import { createKey, type NewKey } from '../src/management/keys/keys.ts';
import { createPlan } from '../src/management/plans/plans.ts';
import { openLog } from '../src/observe/log.ts';
import { loadConfig } from '../src/settings/config.ts';
import { openStore, type StorePlace } from '../src/store/open-store.ts';
import type { Store } from '../src/store/ports/store.ts';
import { StoreBusy } from '../src/store/unusable.ts';

export const root = join(import.meta.dirname, '..');

/** Child processes find compiled code here, as with `npm start`. */
const compiled = { NODE_COMPILE_CACHE: join(root, 'node_modules/.cache/sekisho') };

/** The defaults limit calls and guesses tightly; tests about something else get plenty. */
const roomy = { SLOTS: '1000', AUTH_FAILURES_PER_MINUTE: '100000' };

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'sekisho-test-'));
}

export interface TestGate {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** Makes a key through a connection of its own, as the command line would. */
  key(asked?: Partial<NewKey>): Promise<{ id: KeyId; secret: string }>;
  /** Works on the store through a connection of its own, as the command line would. */
  manage<T>(use: (store: Store, author: Author) => Promise<T>): Promise<T>;
  /** Makes an account with a plan of its own, unlimited but for these terms, and a key for it. */
  member(terms: Readonly<Record<string, unknown>>): Promise<{ account: Account; id: KeyId; secret: string }>;
  /** The ledger's rows, oldest first, once there are this many. */
  ledger(rows: number): Promise<UsageRecord[]>;
  log(): string;
  /** The number of calls that wait for their turn. */
  waiting(): number;
  /** The loads of models that calls wait for. */
  loads(): ReturnType<OpenGate['loads']>;
  readonly outbox: Pick<OpenGate['outbox'], 'look'>;
  /** Adds, drains and removes model servers. */
  readonly servers: OpenGate['servers'];
  /** Does what SIGHUP does. */
  reload(): void;
  stop(): Promise<void>;
}

export async function openGate(
  upstream: string,
  environment: Record<string, string> = {},
  adapters: Adapters = inMemory,
): Promise<TestGate> {
  const dataDir = temporaryDirectory();
  const logFile = join(dataDir, 'test.log');
  const config = loadConfig({
    PORT: '0',
    UPSTREAM: upstream,
    DATA_DIR: dataDir,
    DRAIN_SECONDS: '1',
    PROBE_SECONDS: '0.2',
    ...roomy,
    ...(await databaseOf(dataDir)),
    ...environment,
  });
  const log = openLog('debug', 'json', logFile);
  const gate = await serve(config, log, undefined, adapters).catch((error: unknown) => {
    // Tests of unusable settings check the cause; failed-start.test.ts checks the step.
    throw error instanceof StartFailed ? error.cause : error;
  });
  return {
    ...describe(gate.url, config, () => gate.settle()),
    waiting: () => gate.waiting(),
    loads: () => gate.loads(),
    outbox: gate.outbox,
    servers: gate.servers,
    reload: () => gate.reload(),
    log: () => {
      log.flush();
      return readFileSync(logFile, 'utf8');
    },
    stop: async () => {
      await gate.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function describe(
  url: string,
  place: StorePlace,
  settle = () => Promise.resolve(),
): Pick<TestGate, 'url' | 'port' | 'dataDir' | 'key' | 'manage' | 'member' | 'ledger'> {
  const manage: TestGate['manage'] = async (use) => {
    const store = await openStore(place);
    try {
      return await use(store, author());
    } finally {
      await store.close();
    }
  };
  const made = async (store: Store, asked: NewKey, by: Author): Promise<{ id: KeyId; secret: string }> => {
    const { key, secret } = await untilBegun(() => createKey(store, asked, by));
    return { id: key.id, secret: secret?.reveal() ?? '' };
  };
  return {
    url,
    port: Number(new URL(url).port),
    dataDir: place.dataDir,
    key: (asked = {}) => manage((store, by) => made(store, { name: 'test', account: 'operator', ...asked }, by)),
    manage,
    member: (terms) =>
      manage(async (store, by) => {
        const name = `member-${++members}`;
        // Calls beyond concurrentRequests are refused at once, unless a test lets them wait.
        await untilBegun(() => createPlan(store, name, { waitingRequests: 0, ...terms }, undefined, by));
        const account = await untilBegun(() => createAccount(store, name, name, by));
        return { account, ...(await made(store, { name, account: name }, by)) };
      }),
    ledger: (rows) =>
      eventually(async () => {
        await settle();
        const store = await openStore(place);
        const found = await store.listUsage(100_000);
        await store.close();
        if (found.length < rows) throw new Error(`the ledger has ${found.length} rows, not ${rows}`);
        return found.toReversed();
      }),
  };
}

/** Again while another decision takes longer on a busy machine than one waits for it. */
async function untilBegun<T>(decide: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++)
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof StoreBusy) || tries === 10) throw error;
    }
}

/** Databases of PostgreSQL by data directory, where TEST_POSTGRES names a server for them. */
const databases = new Map<string, Promise<string>>();

/** Setting TEST_POSTGRES=postgres://user@host/database runs every test that starts a gate on PostgreSQL. */
async function databaseOf(dataDir: string | undefined): Promise<Record<string, string>> {
  const server = process.env['TEST_POSTGRES'];
  if (server === undefined || dataDir === undefined) return {};
  let made = databases.get(dataDir);
  if (!made) {
    made = makeDatabase(server, `gate_${process.pid}_${databases.size}`);
    databases.set(dataDir, made);
  }
  return { DATABASE_URL: await made };
}

async function makeDatabase(server: string, name: string): Promise<string> {
  const client = await connectTo(server);
  await client.query(`create database ${name}`);
  await client.end();
  return Object.assign(new URL(server), { pathname: `/${name}` }).href;
}

let members = 0;

/** The author of changes made by tests. */
export const author = (): Author => ({ actor: 'test', at: Date.now() });

export interface GateProcess {
  readonly process: ChildProcess;
  readonly url: string;
  readonly dataDir: string;
  readonly key: TestGate['key'];
  readonly manage: TestGate['manage'];
  readonly member: TestGate['member'];
  readonly ledger: TestGate['ledger'];
  output(): string;
  /** The exit code, or the name of the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Setting TEST_BUILT=1 runs what `npm run build` made in place of the sources, wherever a test starts a process. */
const isBuilt = process.env['TEST_BUILT'] !== undefined;
/** What Node runs as the `sekisho` command. */
export const commandFile = isBuilt ? 'dist/cli.js' : 'src/cli.ts';
/** What Node runs as a gateway. */
export const serverWords = isBuilt ? ['dist/cli.js', 'serve'] : ['src/main.ts'];

/** Starts the gate from its sources; `command` replaces that. Resolves when it listens. */
export async function spawnGate(
  environment: Record<string, string>,
  command: readonly string[] = [process.execPath, ...serverWords],
): Promise<GateProcess> {
  const dataDir = environment['DATA_DIR'] ?? temporaryDirectory();
  const given = { DATA_DIR: dataDir, ...roomy, ...(await databaseOf(dataDir)), ...environment };
  const [program = '', ...words] = command;
  const child = spawn(program, words, {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...compiled,
      PORT: '0',
      LOG_LEVEL: 'debug',
      LOG_FORMAT: 'json',
      ...given,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A failing test must not leave its gate running.
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  const ended = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const url = await Promise.race([
    eventually(() => {
      // As JSON, or as text for people.
      const [, asJson, asText] = /"url":"([^"]+)"| url=(\S+)/.exec(output) ?? [];
      const line = asJson ?? asText;
      if (line === undefined) throw new Error(`no address in: ${output}`);
      return line;
    }),
    ended.then((code) => Promise.reject(new Error(`it ended with ${code}: ${output}`))),
  ]);
  return { process: child, output: () => output, ended, ...describe(url, loadConfig(given)) };
}

/** Runs the `sekisho` command. */
export async function sekisho(
  words: readonly string[],
  environment: Record<string, string>,
): Promise<{ code: number; out: string; err: string }> {
  const database = await databaseOf(environment['DATA_DIR']);
  return run(process.execPath, [commandFile, ...words], { ...database, ...environment });
}

export async function run(
  program: string,
  words: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(program, words, {
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...compiled, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

/** How long an expected event may take when a loaded machine gives a test little of its time. */
const patienceMs = 90_000;
const betweenLooksMs = 20;

/** Retries until the function does not throw; for effects of another process or of the next batch. */
export function eventually<T>(ask: () => Promise<T> | T, limitMs = patienceMs): Promise<T> {
  const end = performance.now() + limitMs;
  return askAgain(
    ask,
    () => performance.now() > end,
    // Most effects are visible a moment later.
    (looks) => Math.min(betweenLooksMs, 2 ** looks),
  );
}

/**
 * The same for what a gate in this process does within a second. Attempts are counted, not milliseconds: load delays
 * this loop and the gate's timers alike.
 */
export function withinASecond<T>(ask: () => Promise<T> | T): Promise<T> {
  return askAgain(
    ask,
    (looks) => looks > 1_000 / betweenLooksMs,
    () => betweenLooksMs,
  );
}

async function askAgain<T>(
  ask: () => Promise<T> | T,
  isEnough: (looks: number) => boolean,
  pauseMs: (looks: number) => number,
): Promise<T> {
  for (let looks = 1; ; looks++) {
    try {
      return await ask();
    } catch (error) {
      if (isEnough(looks)) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs(looks)));
    }
  }
}

/** Does it again if it failed while a clock minute began, because what counts by the minute begins again then. */
export async function withinOneMinute<T>(use: () => Promise<T>): Promise<T> {
  // The clock of a gate may be a moment ahead or behind.
  const minute = (differenceMs: number): number => Math.floor((Date.now() + differenceMs) / 60_000);
  for (;;) {
    const before = minute(-100);
    try {
      return await use();
    } catch (error) {
      if (minute(100) === before) throw error;
    }
  }
}

/** Does what must be over before something ends that lasts for `lifeMs`; again with twice the time if it was not. */
export async function inTime<T>(lifeMs: number, use: (lifeMs: number) => Promise<T>): Promise<T> {
  const begunMs = performance.now();
  try {
    return await use(lifeMs);
  } catch (error) {
    if (performance.now() - begunMs < lifeMs) throw error;
    return inTime(2 * lifeMs, use);
  }
}

/** A TCP connection on which a test writes arbitrary bytes. */
export class RawClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  readonly closed: Promise<void>;

  constructor(port: number, socket = connect(port, '127.0.0.1')) {
    this.socket = socket;
    this.socket.on('data', (bytes) => (this.received = Buffer.concat([this.received, bytes as Buffer])));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()));
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes);
  }

  /** Waits until the received bytes contain this. */
  until(part: string | RegExp): Promise<string> {
    const found = (): boolean =>
      typeof part === 'string' ? this.received.includes(part, 0, 'latin1') : part.test(this.text);
    if (found()) return Promise.resolve(this.text);
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(late);
        this.socket.off('data', look).off('close', giveUp);
      };
      const look = (): void => {
        if (!found()) return;
        stop();
        resolve(this.text);
      };
      const giveUp = (): void => {
        stop();
        reject(new Error(`${String(part)} is not in ${JSON.stringify(this.text.slice(0, 2000))}`));
      };
      const late = setTimeout(giveUp, patienceMs);
      this.socket.on('data', look).once('close', giveUp);
      if (this.socket.destroyed) giveUp();
    });
  }
}

/** A JSON POST. */
export async function post(
  url: string,
  secret: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  // While a test makes a large body, the gateway may close an idle connection: that has to be read before one is chosen. The first turn
  // may begin behind the reading of sockets, the second does not.
  for (let turn = 0; turn < 2; turn++) await new Promise(setImmediate);
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': secret, ...headers },
    body: text,
  });
}

/** An answer whose first piece has arrived; `rest` is all of it, and whether it ended as it should. */
export interface Begun {
  readonly rest: Promise<{ readonly text: string; readonly clean: boolean }>;
}

export async function begunAnswer(answer: Response): Promise<Begun> {
  const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
  let text = Buffer.from((await reader.read()).value ?? []).toString();
  const read = async (): Promise<{ text: string; clean: boolean }> => {
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read())
        text += Buffer.from(part.value).toString();
      return { text, clean: true };
    } catch {
      return { text, clean: false };
    }
  };
  return { rest: read() };
}
