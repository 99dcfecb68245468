// Writes each exchange down exactly once, in two steps: at once into a journal file, soon after into the store.
// The line of an end is in the kernel's hands when end() returns, so no kill can lose an answer that somebody got; the
// line of a begin goes with the next write, at the latest when this turn of the event loop is over. The store gets rows in batches, since a commit per request would cost more than the rest of the request path.
// After a kill the next start reads the journal: finished rows are added if the store lacks them, and an exchange that
// was open becomes one row marked `interrupted` with the last figures known. Ids make every step repeatable.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Roster } from '../domain/roster.ts';
import type { UsageRecord } from '../domain/usage.ts';
import type { OpenUsage, Progress, Store, UsageJournal } from './ports.ts';

interface OpenEntry extends OpenUsage {
  bytesWritten: number;
}

/** Short, so that a batch stops the process for a millisecond and not for twenty, and its rows die young. */
const flushIntervalMs = 20;
/** After a store that did not take them: so long nothing is tried, since every try holds up the whole process. */
const pauseMs = 1_000;
const touchIntervalMs = 5_000;
const progressIntervalMs = 1000;
const rotateBytes = 8 * 1024 * 1024;
/** Rows kept waiting for a store that does not answer; beyond it the journal alone holds them until the next start. */
const maxPending = 50_000;

export class Ledger implements UsageJournal {
  readonly #store: Store;
  readonly #directory: string;
  readonly #onError: (error: unknown) => void;
  readonly #open = new Roster<OpenEntry>();
  #pending: UsageRecord[] = [];
  #usedAt = new Map<UsageRecord['keyId'], number>();
  #file = -1;
  #segment = 0;
  #bytes = 0;
  /** Lines of begins that wait for the next write. */
  #unwritten = '';
  #broken: unknown;
  #overflowed = false;
  /** Monotonic milliseconds. */
  #pausedUntil = 0;
  #flushing: Promise<void> = Promise.resolve();
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(store: Store, directory: string, onError: (error: unknown) => void) {
    this.#store = store;
    this.#directory = directory;
    this.#onError = onError;
  }

  /** Recovers what an earlier process left, then starts. Rejects if the journal cannot be read or written. */
  static async start(store: Store, dataDir: string, onError: (error: unknown) => void): Promise<Ledger> {
    const directory = join(dataDir, 'journal');
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const segments = readdirSync(directory)
      .filter((name) => /^\d{8}\.ndjson$/.test(name))
      .toSorted();
    await store.appendUsage(recover(segments.map((name) => readFileSync(join(directory, name), 'utf8'))));
    const ledger = new Ledger(store, directory, onError);
    ledger.#segment = Number(segments.at(-1)?.slice(0, 8) ?? 0);
    ledger.#newSegment();
    for (const name of segments) unlinkSync(join(directory, name));
    const flush = setInterval(() => {
      if (performance.now() >= ledger.#pausedUntil) void ledger.#flush();
    }, flushIntervalMs);
    const progress = setInterval(() => ledger.#writeProgress(), progressIntervalMs);
    const touch = setInterval(() => void ledger.#touchKeys(), touchIntervalMs);
    ledger.#timers.push(flush.unref(), progress.unref(), touch.unref());
    return ledger;
  }

  /**
   * Writes down that an exchange is about to cost something. Throws while the journal cannot be written: what cannot be
   * accounted for must not start. The first call after a failure tries the journal anew.
   */
  begin(draft: UsageRecord, progress: () => Progress): OpenUsage {
    if (this.#broken !== undefined) this.#append('');
    if (this.#unwritten === '') setImmediate(() => this.#writeBegun());
    this.#unwritten += `B${JSON.stringify(draft)}\n`;
    const entry: OpenEntry = { draft, progress, bytesWritten: 0, slot: -1 };
    this.#open.add(entry);
    return entry;
  }

  /** Writes down how it ended. To be called before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void {
    try {
      this.#write('E', record);
    } catch (error) {
      // The row still goes to the store with the next batch; only its safety against a kill is lost, and that is said.
      this.#onError(error);
    }
    if (begun) this.#open.remove(begun as OpenEntry);
    this.#usedAt.set(record.keyId, Math.max(record.at, this.#usedAt.get(record.keyId) ?? 0));
    if (this.#pending.length < maxPending) this.#pending.push(record);
    else this.#overflowed = true;
  }

  /** Everything ended so far is in the store when this resolves; it rejects if the store will not take it. */
  async settle(): Promise<void> {
    await this.#flush();
    if (this.#pending.length > 0)
      throw new Error(`${this.#pending.length} usage rows wait in the journal for the next start`);
  }

  /** Settles and stops. Where the store does not answer the journal stays, for the next start to read. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.settle();
    await this.#touchKeys();
    closeSync(this.#file);
    if (!this.#overflowed && this.#open.size === 0) unlinkSync(this.#path(this.#segment));
  }

  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#flushOnce());
    return this.#flushing;
  }

  async #flushOnce(): Promise<void> {
    if (this.#pending.length === 0) return;
    const batch = this.#pending;
    this.#pending = [];
    try {
      await this.#store.appendUsage(batch);
    } catch (error) {
      this.#pending = batch.concat(this.#pending);
      this.#pausedUntil = performance.now() + pauseMs;
      this.#onError(error);
      return;
    }
    if (this.#bytes > rotateBytes && this.#pending.length === 0 && !this.#overflowed) this.#rotate();
  }

  async #touchKeys(): Promise<void> {
    const usedAt = this.#usedAt;
    if (usedAt.size === 0) return;
    this.#usedAt = new Map();
    try {
      await this.#store.touchKeys(usedAt);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A new segment that holds only what is still open; everything in the old one is in the store. */
  #rotate(): void {
    try {
      const old = { file: this.#file, segment: this.#segment };
      this.#newSegment();
      for (const { draft } of this.#open.list()) this.#write('B', draft);
      closeSync(old.file);
      unlinkSync(this.#path(old.segment));
    } catch (error) {
      this.#onError(error);
    }
  }

  #newSegment(): void {
    const file = openSync(this.#path(this.#segment + 1), 'a', 0o600);
    this.#file = file;
    this.#segment++;
    this.#bytes = 0;
  }

  #writeProgress(): void {
    for (const entry of this.#open.list()) {
      const now = entry.progress();
      if (now.bytesOut === entry.bytesWritten) continue;
      entry.bytesWritten = now.bytesOut;
      try {
        this.#write('P', { id: entry.draft.id, ...now });
      } catch (error) {
        this.#onError(error);
        return;
      }
    }
  }

  #write(kind: 'B' | 'P' | 'E', value: unknown): void {
    const lines = `${this.#unwritten}${kind}${JSON.stringify(value)}\n`;
    this.#unwritten = '';
    this.#append(lines);
  }

  #writeBegun(): void {
    if (this.#unwritten === '') return;
    const lines = this.#unwritten;
    this.#unwritten = '';
    try {
      this.#append(lines);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** A write that fails is remembered: until one works again, nothing new may begin. */
  #append(lines: string): void {
    try {
      // After a failure the last line may be torn; the next one starts on a line of its own.
      let left = Buffer.from(this.#broken === undefined ? lines : `\n${lines}`);
      // A disk that becomes full takes a part of a line and says nothing; only the next write fails.
      while (left.length > 0) {
        const taken = writeSync(this.#file, left);
        this.#bytes += taken;
        left = left.subarray(taken);
      }
      this.#broken = undefined;
    } catch (error) {
      this.#broken = error;
      throw error;
    }
  }

  #path(segment: number): string {
    return join(this.#directory, `${String(segment).padStart(8, '0')}.ndjson`);
  }
}

/** The rows that a set of journal segments stands for. A torn last line, which a kill can leave, is passed over. */
export function recover(segments: readonly string[]): UsageRecord[] {
  const ended = new Map<string, UsageRecord>();
  const open = new Map<string, UsageRecord>();
  for (const line of segments.flatMap((text) => text.split('\n'))) {
    const value = parseLine(line);
    if (value === undefined) continue;
    if (line[0] === 'E') {
      open.delete(value.id);
      ended.set(value.id, value as UsageRecord);
    } else if (ended.has(value.id)) continue;
    else if (line[0] === 'B') open.set(value.id, { ...(value as UsageRecord), ...open.get(value.id) });
    else {
      const draft = open.get(value.id);
      if (draft) open.set(value.id, { ...draft, ...value });
    }
  }
  return [...ended.values(), ...open.values()];
}

function parseLine(line: string): ({ id: UsageRecord['id'] } & Partial<UsageRecord>) | undefined {
  if (!/^[BEP]\{/.test(line)) return undefined;
  try {
    return JSON.parse(line.slice(1)) as { id: UsageRecord['id'] };
  } catch {
    return undefined;
  }
}
