// Sekisho as a subject: the gate with its defaults, with keys made by its own command and every check, meter and record on.
// When it has stopped, its ledger is read: a run in which it did not record each answer does not count.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import Database from 'better-sqlite3';
import { generateKey } from '../src/domain/api-key.ts';
import type * as Plan from '../src/domain/plan.ts';
import type * as Rule from '../src/domain/rule.ts';
import type { Launched, Place } from './launch.ts';
import { tokens } from './load.ts';
import { freePort, start, subjectCore } from './processes.ts';
import { gateCommand } from './program.ts';

const sourceDirectory = join(import.meta.dirname, '../src');

/**
 * The gate with a fresh store that holds one key: of an account with the plan that new accounts get, with its limits
 * and the rules so high that the load does not reach them, or of the operator, for whom nothing is counted.
 */
export async function launchGate(
  name: string,
  place: Place,
  planned: boolean,
  source = sourceDirectory,
): Promise<Launched> {
  const dataDir = join(place.directory, 'data');
  const run = (words: readonly string[]): unknown => command(dataDir, place.directory, words, source);
  if (planned) {
    // Of the gate that is launched: another version may know other limits.
    const { firstPlans, termNames } = (await import(join(source, 'domain/plan.ts'))) as typeof Plan;
    const { firstRules } = (await import(join(source, 'domain/rule.ts'))) as typeof Rule;
    const far = termNames
      .filter((limit) => /Per(?:Minute|Hour|Day|Week|Month)$/.test(limit) && firstPlans[0]?.[limit] !== null)
      .map((limit) => `${limit}=1_000_000_000_000`);
    run(['plan', 'set', 'default', ...far, 'concurrentRequests=100000']);
    for (const { name: rule } of firstRules) run(['rule', 'set', rule, 'threshold=1000000000000']);
  }
  const key = createKey(dataDir, place.directory, planned ? 'bench' : 'operator', source);
  return openGate(name, place, dataDir, [key.secret], source);
}

export interface Stock {
  /** Keys in the store. */
  readonly stored: number;
  /** Keys that requests use in turn, spread evenly over the stored ones. */
  readonly used: number;
}

/** The gate with a store full of keys. A store of each size is filled once per run. */
export function seededGate({ stored, used }: Stock): (place: Place) => Promise<Launched> {
  return (place) => {
    // Beside the directory of this launch, which is removed after the launch.
    const filled = stores.get(stored) ?? seed(join(place.directory, '..', `${stored}-keys`), stored);
    stores.set(stored, filled);
    const keys = filled.keys.filter((_, i) => i % (filled.keys.length / used) === 0);
    return openGate(`sekisho with ${stored} keys`, { ...place, profileDirectory: undefined }, filled.dataDir, keys);
  };
}

interface FilledStore {
  readonly dataDir: string;
  /** Secrets of stored keys, evenly spread. */
  readonly keys: readonly string[];
}

const stores = new Map<number, FilledStore>();
/** Of a larger store, this many keys are used: five times what the gate holds in memory. */
const maxKeptKeys = 50_000;

async function openGate(
  name: string,
  place: Place,
  dataDir: string,
  keys: readonly string[],
  source = sourceDirectory,
): Promise<Launched> {
  const port = await freePort();
  const profile =
    place.profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${place.profileDirectory}`];
  const bookedBefore = countBooked(dataDir);
  const gate = start({
    name,
    core: subjectCore,
    command: gateCommand(profile, join(source, '..')),
    // A directory without a sekisho.yaml, so that only the settings here apply.
    cwd: place.directory,
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      UPSTREAM: `http://127.0.0.1:${place.upstreamPort}`,
      DATA_DIR: dataDir,
      LOG_LEVEL: 'warn',
      // The others have no queue; this upstream works on everything at once.
      SLOTS: '100000',
      NODE_COMPILE_CACHE: join(source, '../node_modules/.cache/sekisho'),
      ...place.settings,
    },
    logFile: join(place.directory, 'gate.log'),
  });
  const checkBooks = (answers: number): void => {
    const booked = countBooked(dataDir) - bookedBefore;
    if (booked < answers)
      throw new Error(`${name} gave ${answers} answers and booked ${booked} of them with the right tokens`);
  };
  return { port, process: gate, keys, checkBooks };
}

function createKey(
  dataDir: string,
  cwd: string,
  account = 'operator',
  source = sourceDirectory,
): { id: string; secret: string } {
  return command(dataDir, cwd, ['key', 'create', '--name', 'bench', '--account', account], source) as {
    id: string;
    secret: string;
  };
}

function command(dataDir: string, cwd: string, words: readonly string[], source: string): unknown {
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, DATA_DIR: dataDir };
  // Commands make no database; the store of that version does.
  if (!existsSync(join(dataDir, 'sekisho.db'))) {
    const opens = `import(${JSON.stringify(join(source, 'store/sqlite/open.ts'))})`;
    const script = `${opens}.then(async ({ openSqlite }) => (await openSqlite(${JSON.stringify(dataDir)})).close())`;
    execFileSync(process.execPath, ['--eval', script], { cwd, env });
  }
  const program = [join(source, 'cli.ts'), ...words, '--json'];
  return JSON.parse(execFileSync(process.execPath, program, { cwd, env, encoding: 'utf8' }));
}

/** Completed answers in the ledger that carry exactly the figures the upstream reports. */
export function countBooked(dataDir: string): number {
  const database = new Database(join(dataDir, 'sekisho.db'), { readonly: true });
  try {
    const row = database
      .prepare(
        `select count(*) as booked from usage where outcome = 'completed' and source = 'exact' and prompt_tokens = ? and completion_tokens = ?`,
      )
      .get(tokens.prompt, tokens.completion);
    return (row as { booked: number }).booked;
  } finally {
    database.close();
  }
}

/**
 * Fills a store with copies of a key that the command made: each has its own id, secret and digest, and the real key's
 * values in all other columns.
 */
function seed(home: string, stored: number): FilledStore {
  mkdirSync(home, { recursive: true });
  const dataDir = join(home, 'data');
  const file = join(dataDir, 'sekisho.db');
  const { id, secret } = createKey(dataDir, home);
  const keys = [secret];
  const every = Math.max(1, stored / maxKeptKeys);
  const database = new Database(file);
  database.pragma('cache_size = -524288');
  const template = database.prepare('select * from keys where id = ?').get(id) as Record<string, unknown>;
  const columns = Object.keys(template);
  const values = columns.map((column) => `@${column}`);
  const insert = database.prepare(`insert into keys (${columns.join(', ')}) values (${values.join(', ')})`);
  database.transaction(() => {
    for (let i = 1; i < stored; i++) {
      const fresh = generateKey();
      insert.run({ ...template, id: fresh.id, lineage: fresh.id, digest: fresh.digest, name: `bench ${i}` });
      if (i % every === 0) keys.push(fresh.text.reveal());
    }
  })();
  // Synced to the disk now: otherwise the gate's first sync would have to write what the seeding left behind.
  database.pragma('synchronous = FULL');
  database.pragma('wal_checkpoint(TRUNCATE)');
  database.close();
  return { dataDir, keys };
}
