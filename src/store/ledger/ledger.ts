// Writes each exchange down exactly once, in two steps: at once into a journal file, soon after into the store.
// The line of an end is in the kernel's hands when end() returns, or when endSoon() calls back, so no kill can lose an
// answer that somebody got. The lines of begins, and of ends that may wait a moment, are one write for each turn of the
// event loop: a write for each of them would cost a busy gate a twentieth of its time. The store gets rows in batches, since a commit per request would cost more than the rest of the request path.
// After a kill the next start reads the journal: finished rows are added if the store lacks them, and an exchange that
// was open becomes one row marked `interrupted` with the last figures known. Ids make every step repeatable.
// A store that does not take rows for long costs disk, not memory: the journal goes on in new segments, and what memory
// does not hold is read back from them when the store is there again.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SwapSet } from '../../domain/swap-set.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import type { OpenUsage, Progress, UsageJournal } from '../ports/journal.ts';
import type { Store } from '../ports/store.ts';
import { Journal, linesOfAll, segmentPath } from './journal.ts';

interface OpenEntry extends OpenUsage {
  bytesWritten: number;
}

/** Short, so that a batch stops the process for a millisecond and not for twenty, and its rows die young. */
const flushIntervalMs = 20;
/** After a journal that took nothing: so long no new segment is tried. */
const mendPauseMs = 20;
/** After a store that did not take them: so long nothing is tried, since every try holds up the whole process. */
const pauseMs = 1_000;
const touchIntervalMs = 5_000;
const progressIntervalMs = 1000;

export interface LedgerBounds {
  /** A segment that has grown so large is the last but one. */
  readonly rotateBytes: number;
  /** Rows kept in memory for a store that does not answer; beyond it the journal alone holds them. */
  readonly maxPending: number;
  /** Rows that the store gets in one go. */
  readonly batchRows: number;
}

const defaultBounds: LedgerBounds = { rotateBytes: 8 * 1024 * 1024, maxPending: 50_000, batchRows: 5_000 };

export class Ledger implements UsageJournal {
  readonly #store: Pick<Store, 'appendUsage' | 'touchKeys'>;
  readonly #journal: Journal;
  readonly #bounds: LedgerBounds;
  readonly #onError: (error: unknown) => void;
  readonly #open = new SwapSet<OpenEntry>();
  #pending: UsageRecord[] = [];
  #usedAt = new Map<UsageRecord['keyId'], number>();
  /** Segments that nothing is written to any more, oldest first. */
  #closed: number[] = [];
  /** Segments with ends that are in no memory: they have to be read back. */
  readonly #spilled = new Set<number>();
  /** Lines that wait for the next write: at the latest that of this turn of the event loop. */
  #unwritten = '';
  /** The ends among them. */
  #unwrittenEnds: UsageRecord[] = [];
  /** Who is to be told that this turn's lines are written. */
  #waiting: (() => void)[] = [];
  #turnIsSet = false;
  /** Something of what is open or pending could not be written; a new segment is to hold all of it before anything begins. */
  #hasGap = false;
  /** Ends among the pending ones that no segment holds. */
  #loose: UsageRecord[] = [];
  #mendsFrom: MonotonicMs = 0;
  #mendError: unknown;
  #pausedUntil: MonotonicMs = 0;
  #rotatesFrom: MonotonicMs = 0;
  #flushing: Promise<void> = Promise.resolve();
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(
    store: Pick<Store, 'appendUsage' | 'touchKeys'>,
    journal: Journal,
    bounds: LedgerBounds,
    onError: (error: unknown) => void,
  ) {
    this.#store = store;
    this.#journal = journal;
    this.#bounds = bounds;
    this.#onError = onError;
  }

  /** Recovers what an earlier process left, then starts. Rejects if the journal cannot be read or written. */
  static async start(
    store: Pick<Store, 'appendUsage' | 'touchKeys'>,
    dataDir: string,
    onError: (error: unknown) => void,
    bounds: LedgerBounds = defaultBounds,
  ): Promise<Ledger> {
    const directory = Journal.directoryIn(dataDir);
    const segments = Journal.segmentsIn(directory);
    const paths = segments.map((segment) => segmentPath(directory, segment));
    for (const batch of batchesOf(recovered(linesOfAll(paths)), bounds.batchRows)) await store.appendUsage(batch);
    const journal = Journal.open(directory, segments);
    try {
      for (const segment of segments) journal.remove(segment);
    } catch (error) {
      journal.close(false);
      throw error;
    }
    const ledger = new Ledger(store, journal, bounds, onError);
    const flush = setInterval(() => {
      ledger.#rotateIfLarge();
      if (performance.now() >= ledger.#pausedUntil) void ledger.#flush();
    }, flushIntervalMs);
    const progress = setInterval(() => ledger.#writeProgress(), progressIntervalMs);
    const touch = setInterval(() => void ledger.#touchKeys(), touchIntervalMs);
    ledger.#timers.push(flush.unref(), progress.unref(), touch.unref());
    return ledger;
  }

  /**
   * Writes down that an exchange is about to cost something. Throws while the journal cannot be written: what cannot be
   * accounted for must not start. The first call after a failure tries the journal anew, with all that it lacks.
   */
  begin(draft: UsageRecord, progress: () => Progress): OpenUsage {
    if (this.#hasGap) this.#mend();
    this.#unwritten += beginOf(draft);
    this.#setTurn();
    const entry: OpenEntry = { draft, progress, bytesWritten: 0, slot: -1 };
    this.#open.add(entry);
    return entry;
  }

  /** Writes down how it ended. To be called before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void {
    this.#note(record, begun);
    this.#writeUnwritten();
  }

  /** As `end`, with one write for all of this turn of the event loop; `written` is called on a later one, and must not throw. */
  endSoon(record: UsageRecord, begun: OpenUsage | undefined, written: () => void): void {
    this.#note(record, begun);
    this.#waiting.push(written);
    this.#setTurn();
  }

  #note(record: UsageRecord, begun: OpenUsage | undefined): void {
    this.#unwritten += endOf(record);
    this.#unwrittenEnds.push(record);
    if (begun) this.#open.remove(begun as OpenEntry);
    const usedAt = this.#usedAt.get(record.keyId);
    if (usedAt === undefined || usedAt < record.at) this.#usedAt.set(record.keyId, record.at);
  }

  #setTurn(): void {
    if (this.#turnIsSet) return;
    this.#turnIsSet = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#turnIsSet = false;
    this.#writeUnwritten();
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const written of waiting) written();
  };

  /** The journal lacks something, and nothing begins. */
  get isStuck(): boolean {
    return this.#hasGap;
  }

  /** Are there rows that the store has not taken yet? */
  get isBehind(): boolean {
    return this.#pending.length > 0 || this.#unwrittenEnds.length > 0 || this.#spilled.size > 0;
  }

  /** Everything ended so far is in the store when this resolves; it rejects if the store will not take it. */
  async settle(): Promise<void> {
    await this.#flush();
    if (this.isBehind) throw new Error('usage rows wait in the journal for the next start');
  }

  /** Settles and stops. Where the store does not answer the journal stays, for the next start to read. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    try {
      await this.settle();
      await this.#touchKeys();
    } finally {
      this.#journal.close(this.isBehind || this.#open.size > 0);
    }
  }

  /** One at a time; what ends while one goes on is the next one's. */
  #flush(): Promise<void> {
    this.#flushing = this.#flushing.then(async () => {
      try {
        await this.#storePending();
        await this.#readBack();
      } catch (error) {
        this.#pausedUntil = performance.now() + pauseMs;
        this.#onError(error);
      }
    });
    return this.#flushing;
  }

  async #storePending(): Promise<void> {
    this.#writeUnwritten();
    // Every end of a segment that is closed now is among these, if it has not spilled.
    const closed = this.#closed.filter((segment) => !this.#spilled.has(segment));
    for (let left = this.#pending.length; left > 0; left -= this.#bounds.batchRows) {
      const batch = this.#pending.slice(0, Math.min(left, this.#bounds.batchRows));
      await this.#store.appendUsage(batch);
      this.#pending.splice(0, batch.length);
      if (this.#loose.length > 0) {
        const stored = new Set(batch);
        this.#loose = this.#loose.filter((row) => !stored.has(row));
      }
      if (left > batch.length) await nextTurn();
    }
    for (const segment of closed) this.#remove(segment);
  }

  /** Of segments that memory has not kept up with, a batch at a time; the newest one is closed for it. */
  async #readBack(): Promise<void> {
    // A set is in the order in which its members came; what spills meanwhile comes last.
    for (const segment of this.#spilled) {
      if (segment === this.#journal.segment) this.#rotate();
      for (const batch of batchesOf(endsOf(this.#journal.read(segment)), this.#bounds.batchRows)) {
        await this.#store.appendUsage(batch);
        await nextTurn();
      }
      this.#spilled.delete(segment);
      this.#remove(segment);
    }
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

  /** Whether the store answers or not: no segment grows without end. */
  #rotateIfLarge(): void {
    if (!this.#hasGap && this.#journal.bytes <= this.#bounds.rotateBytes) return;
    if (performance.now() < this.#rotatesFrom) return;
    try {
      this.#rotate();
    } catch (error) {
      // A full disk, most likely; the segment that is there goes on.
      this.#rotatesFrom = performance.now() + pauseMs;
      this.#onError(error);
    }
  }

  /** @throws what the journal did, as long as it does. */
  #mend(): void {
    if (performance.now() < this.#mendsFrom) throw this.#mendError;
    try {
      this.#rotate();
    } catch (error) {
      this.#mendsFrom = performance.now() + mendPauseMs;
      this.#mendError = error;
      throw error;
    }
  }

  /**
   * The new segment begins with what is still open and with ends that no other holds, so that an old one is not needed for
   * them: neither one that is removed, nor one on a disk that was full.
   */
  #rotate(): void {
    this.#writeUnwritten();
    const open = this.#open.list();
    const old = this.#journal.segment;
    this.#journal.rotate(open.map(({ draft }) => beginOf(draft)).join('') + this.#loose.map(endOf).join(''));
    this.#closed.push(old);
    this.#hasGap = false;
    this.#loose = [];
    for (const entry of open) entry.bytesWritten = 0;
  }

  #remove(segment: number): void {
    this.#journal.remove(segment);
    this.#closed = this.#closed.filter((each) => each !== segment);
  }

  #writeProgress(): void {
    this.#writeUnwritten();
    for (const entry of this.#open.list()) {
      const now = entry.progress();
      if (now.bytesOut === entry.bytesWritten) continue;
      entry.bytesWritten = now.bytesOut;
      try {
        this.#append(`P${JSON.stringify({ id: entry.draft.id, ...now })}\n`);
      } catch (error) {
        this.#onError(error);
        return;
      }
    }
  }

  #writeUnwritten(): void {
    if (this.#unwritten === '') return;
    const lines = this.#unwritten;
    const ends = this.#unwrittenEnds;
    this.#unwritten = '';
    if (ends.length > 0) this.#unwrittenEnds = [];
    try {
      this.#append(lines);
    } catch (error) {
      // The rows still go to the store with the next batch; only their safety against a kill is lost, and that is said.
      // What the journal does not hold stays in memory: no more than was open when the disk became full.
      this.#loose.push(...ends);
      this.#pending.push(...ends);
      this.#onError(error);
      return;
    }
    for (const record of ends)
      if (this.#pending.length < this.#bounds.maxPending) this.#pending.push(record);
      else this.#spilled.add(this.#journal.segment);
  }

  /** What is lost of these lines is remembered as a gap: each of them stands for something that is open or pending. */
  #append(lines: string): void {
    try {
      this.#journal.append(lines);
    } catch (error) {
      this.#hasGap = true;
      throw error;
    }
  }
}

const beginOf = (draft: UsageRecord): string => `B${JSON.stringify(draft)}\n`;
const endOf = (record: UsageRecord): string => `E${JSON.stringify(record)}\n`;

/**
 * The rows that lines of a journal stand for: ends as they come, then what was open. A torn last line, which a kill can
 * leave, is passed over; a row that comes twice is the same to a store that knows its id. Holds only what is open.
 */
export function* recovered(lines: Iterable<string>): Generator<UsageRecord> {
  const open = new Map<string, UsageRecord>();
  for (const line of lines) {
    const value = parseLine(line);
    if (value === undefined) continue;
    if (line[0] === 'E') {
      open.delete(value.id);
      yield value as UsageRecord;
    } else if (line[0] === 'B') open.set(value.id, { ...(value as UsageRecord), ...open.get(value.id) });
    else {
      const draft = open.get(value.id);
      if (draft) open.set(value.id, { ...draft, ...value });
    }
  }
  yield* open.values();
}

function* endsOf(lines: Iterable<string>): Generator<UsageRecord> {
  for (const line of lines) {
    const value = line[0] === 'E' ? parseLine(line) : undefined;
    if (value !== undefined) yield value as UsageRecord;
  }
}

function* batchesOf<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let batch: T[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function parseLine(line: string): ({ id: UsageRecord['id'] } & Partial<UsageRecord>) | undefined {
  if (!/^[BEP]\{/.test(line)) return undefined;
  try {
    return JSON.parse(line.slice(1)) as { id: UsageRecord['id'] };
  } catch {
    return undefined;
  }
}
