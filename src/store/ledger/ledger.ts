// Records each exchange exactly once, in two steps: at once in a journal file, soon after in the store. The line of an
// end was passed to the kernel when end() returns, or when endSoon() calls back, so an answer that was received is
// recorded even if the process is killed. Lines of begins, and of ends that may wait a moment, share one write per turn
// of the event loop: separate writes would cost a busy gateway a twentieth of its time. The store gets rows in batches,
// because a commit per request would cost more than the rest of the request path.
// After a kill, the next start reads the journal: ended exchanges are added if the store lacks them, and an exchange
// that was open becomes one row marked `interrupted`, with the last known figures. Ids make every step repeatable.
// A store that is unavailable for long costs disk, not memory: the journal continues in new segments, and rows that
// memory does not hold are read back from them once the store is available.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { SwapSet } from '../../domain/swap-set.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { UsageRecord } from '../../domain/usage.ts';
import type { OpenUsage, Progress, UsageJournal } from '../ports/journal.ts';
import type { LedgerWriter } from '../ports/ledger-writer.ts';
import { Journal, linesOfAll, segmentPath } from './journal.ts';
import { againOf, beginOf, endOf, endsOf, recovered } from './journal-lines.ts';
import { hasMoved, type Noted } from './progress.ts';

type OpenEntry = OpenUsage & Noted;

/** A caller meets a batch where the gateway has one core, so there are few; the rows of a batch share its sums and pages. */
const flushIntervalMs = 100;
/** The pause after a failed attempt to start a segment. */
const mendPauseMs = 20;
/** The pause after the store failed. */
const pauseMs = 1_000;
const touchIntervalMs = 5_000;
const progressIntervalMs = 1000;
/** Batches after which a ledger that calls still fill is not waited for. */
const settleTries = 100;

export interface LedgerBounds {
  /** A segment of this size is closed, and a new one started. */
  readonly rotateBytes: number;
  /** Rows kept in memory while the store is unavailable; further rows are only in the journal. */
  readonly maxPending: number;
  /** Rows in one transaction, for which whatever else wants to write waits. */
  readonly batchRows: number;
}

const defaultBounds: LedgerBounds = { rotateBytes: 8 * 1024 * 1024, maxPending: 50_000, batchRows: 500 };

export class Ledger implements UsageJournal {
  readonly #writer: LedgerWriter;
  readonly #journal: Journal;
  readonly #bounds: LedgerBounds;
  readonly #onError: (error: unknown) => void;
  readonly #open = new SwapSet<OpenEntry>();
  #pending: string[] = [];
  #usedAt = new Map<UsageRecord['keyId'], number>();
  /** Closed segments, oldest first. */
  #closed: number[] = [];
  /** Segments with ends that are not in memory and must be read back, and how many. */
  readonly #spilled = new Map<number, number>();
  /** Lines that wait for the next write, at the latest at the end of this turn of the event loop. */
  #unwritten = '';
  /** The ends among these lines. */
  #unwrittenEnds: string[] = [];
  /** Callbacks to run once this turn's lines are written. */
  #waiting: (() => void)[] = [];
  #turnIsSet = false;
  /** A line of an open or pending exchange is missing; a new segment must hold them all before anything begins. */
  #hasGap = false;
  /** Pending ends that no segment holds. */
  #loose: string[] = [];
  #mendsFrom: MonotonicMs = 0;
  #mendError: unknown;
  #pausedUntil: MonotonicMs = 0;
  #rotatesFrom: MonotonicMs = 0;
  /** Whether the last one succeeded. */
  #flushing: Promise<boolean> = Promise.resolve(true);
  #isFlushing = false;
  readonly #timers: NodeJS.Timeout[] = [];

  private constructor(writer: LedgerWriter, journal: Journal, bounds: LedgerBounds, onError: (error: unknown) => void) {
    this.#writer = writer;
    this.#journal = journal;
    this.#bounds = bounds;
    this.#onError = onError;
  }

  /** Recovers what an earlier process left, then starts. Rejects if the journal cannot be read or written. */
  static async start(
    writer: LedgerWriter,
    dataDir: string,
    onError: (error: unknown) => void,
    bounds: LedgerBounds = defaultBounds,
  ): Promise<Ledger> {
    const directory = Journal.directoryIn(dataDir);
    const segments = Journal.segmentsIn(directory);
    const paths = segments.map((segment) => segmentPath(directory, segment));
    const accounts = new Set<AccountId>();
    for (const batch of batchesOf(recovered(linesOfAll(paths)), bounds.batchRows)) {
      await writer.appendLines(batch.map(endOf));
      for (const { accountId } of batch) accounts.add(accountId);
    }
    if (accounts.size > 0) await writer.noteRecovered(accounts);
    if (segments.length > 0) await writer.flushLines();
    const journal = Journal.open(directory, segments);
    try {
      for (const segment of segments) journal.remove(segment);
    } catch (error) {
      journal.close(false);
      throw error;
    }
    const ledger = new Ledger(writer, journal, bounds, onError);
    const flush = setInterval(() => {
      ledger.#rotateIfLarge();
      if (!ledger.#isFlushing && performance.now() >= ledger.#pausedUntil) void ledger.#flush();
    }, flushIntervalMs);
    const progress = setInterval(() => ledger.#writeProgress(), progressIntervalMs);
    const touch = setInterval(() => void ledger.#touchKeys(), touchIntervalMs);
    ledger.#timers.push(flush.unref(), progress.unref(), touch.unref());
    return ledger;
  }

  /** Records that an exchange is about to have a cost. @throws while that cannot be written: then it must not start. */
  begin(draft: UsageRecord, progress: () => Progress, before?: OpenUsage): OpenUsage {
    if (this.#hasGap) this.#mend();
    this.#unwritten += before ? againOf(draft) : beginOf(draft);
    this.#setTurn();
    if (before) return Object.assign(before, { draft });
    const entry: OpenEntry = { draft, progress, noted: draft.bytesIn, slot: -1 };
    this.#open.add(entry);
    return entry;
  }

  /** Records how an exchange ended. Call before the caller can see the end of the answer. */
  end(record: UsageRecord, begun: OpenUsage | undefined): void {
    this.#note(record, begun);
    this.#writeUnwritten();
  }

  /** Like `end`, with one write per turn of the event loop; calls `written` on a later turn. It must not throw. */
  endSoon(record: UsageRecord, begun: OpenUsage | undefined, written: () => void): void {
    this.#note(record, begun);
    this.#waiting.push(written);
    this.#setTurn();
  }

  #note(record: UsageRecord, begun: OpenUsage | undefined): void {
    const line = endOf(record);
    this.#unwritten += line;
    this.#unwrittenEnds.push(line);
    if (begun) this.#open.remove(begun as OpenEntry);
    this.noteUse(record.keyId, record.at);
  }

  /** Notes that a key was used for something without a row. */
  noteUse(keyId: KeyId, at: number): void {
    const usedAt = this.#usedAt.get(keyId);
    if (usedAt === undefined || usedAt < at) this.#usedAt.set(keyId, at);
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

  /** The journal lacks something, and no exchange can begin. */
  get isStuck(): boolean {
    return this.#hasGap;
  }

  /** Rows in memory that the store does not have yet. */
  get pendingRows(): number {
    return this.#pending.length;
  }

  /** Whether the store still lacks rows. */
  get isBehind(): boolean {
    return this.#pending.length > 0 || this.#unwrittenEnds.length > 0 || this.#spilled.size > 0;
  }

  /** Resolves when everything ended so far is in the store; rejects if the store does not accept it. */
  async settle(): Promise<void> {
    // What ends while a batch is on its way is left to the next one.
    for (let tries = 0, stored = true; stored && this.isBehind && tries < settleTries; tries++)
      stored = await this.#flush();
    if (this.isBehind) throw new Error('usage rows wait in the journal for the next start');
  }

  /**
   * Settles and stops. If the store is unavailable, the journal stays for the next start; resolves to how many ended exchanges are only in
   * it. @throws if some are in neither.
   */
  async close(): Promise<number> {
    for (const timer of this.#timers) clearInterval(timer);
    let keeps = true;
    try {
      await this.settle();
      await this.#touchKeys();
      await this.#writer.flushLines();
      keeps = this.#open.size > 0;
    } catch (error) {
      if (!this.isBehind) this.#onError(error);
      // The disk may have room again for what the journal lacks.
      if (this.#loose.length > 0) this.#rotate();
    } finally {
      this.#journal.close(keeps);
    }
    return this.#pending.length + [...this.#spilled.values()].reduce((sum, ends) => sum + ends, 0);
  }

  /** Runs one flush at a time; rows that arrive meanwhile are left to the next one. */
  #flush(): Promise<boolean> {
    this.#flushing = this.#flushing.then(async () => {
      let stored = false;
      this.#isFlushing = true;
      try {
        await this.#storePending();
        await this.#readBack();
        stored = true;
      } catch (error) {
        this.#pausedUntil = performance.now() + pauseMs;
        this.#onError(error);
      }
      this.#isFlushing = false;
      return stored;
    });
    return this.#flushing;
  }

  async #storePending(): Promise<void> {
    this.#writeUnwritten();
    // These include every end of the closed segments that have not spilled.
    const closed = this.#closed.filter((segment) => !this.#spilled.has(segment));
    for (let left = this.#pending.length; left > 0; left -= this.#bounds.batchRows) {
      const batch = this.#pending.slice(0, Math.min(left, this.#bounds.batchRows));
      await this.#writer.appendLines(batch);
      this.#pending.splice(0, batch.length);
      if (this.#loose.length > 0) {
        const stored = new Set(batch);
        this.#loose = this.#loose.filter((line) => !stored.has(line));
      }
      if (left > batch.length) await nextTurn();
    }
    await this.#removeAll(closed);
  }

  /** Reads back spilled segments, a batch at a time; the newest one is closed first. */
  async #readBack(): Promise<void> {
    // A map iterates in insertion order, so segments that spill meanwhile come last.
    for (const segment of this.#spilled.keys()) {
      if (segment === this.#journal.segment) this.#rotate();
      for (const batch of batchesOf(endsOf(this.#journal.read(segment)), this.#bounds.batchRows)) {
        await this.#writer.appendLines(batch);
        await nextTurn();
      }
      await this.#removeAll([segment]);
      this.#spilled.delete(segment);
    }
  }

  async #touchKeys(): Promise<void> {
    const usedAt = this.#usedAt;
    if (usedAt.size === 0) return;
    this.#usedAt = new Map();
    try {
      await this.#writer.touchKeys(usedAt);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** Limits the size of segments, whether or not the store is available. */
  #rotateIfLarge(): void {
    if (!this.#hasGap && this.#journal.bytes <= this.#bounds.rotateBytes) return;
    if (performance.now() < this.#rotatesFrom) return;
    try {
      this.#rotate();
    } catch (error) {
      // Probably a full disk; the current segment stays in use.
      this.#rotatesFrom = performance.now() + pauseMs;
      this.#onError(error);
    }
  }

  /** @throws the journal's error, while it persists. */
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
   * The new segment starts with all open exchanges, and with ends that no other segment holds, so that older segments
   * are not needed for them and may be removed, or be incomplete because the disk was full.
   */
  #rotate(): void {
    this.#writeUnwritten();
    const open = this.#open.list();
    const old = this.#journal.segment;
    this.#journal.rotate(open.map(({ draft }) => beginOf(draft)).join('') + this.#loose.join(''));
    this.#closed.push(old);
    this.#hasGap = false;
    this.#loose = [];
    for (const entry of open) entry.noted = -1;
  }

  /** A power cut must not take what only the store has from now on. */
  async #removeAll(segments: readonly number[]): Promise<void> {
    if (segments.length === 0) return;
    await this.#writer.flushLines();
    for (const segment of segments) this.#journal.remove(segment);
    this.#closed = this.#closed.filter((each) => !segments.includes(each));
  }

  #writeProgress(): void {
    this.#writeUnwritten();
    for (const entry of this.#open.list()) {
      const now = entry.progress();
      if (!hasMoved(entry, now)) continue;
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
      // The rows still reach the store with the next batch; only their safety against a kill is lost, which is
      // reported. What the journal lacks stays in memory: at most what was open when the disk filled up.
      this.#loose.push(...ends);
      this.#pending.push(...ends);
      this.#onError(error);
      return;
    }
    const { segment } = this.#journal;
    for (const line of ends)
      if (this.#pending.length < this.#bounds.maxPending) this.#pending.push(line);
      else this.#spilled.set(segment, (this.#spilled.get(segment) ?? 0) + 1);
  }

  /** Notes a gap if lines are lost, because each of them belongs to an open or pending exchange. */
  #append(lines: string): void {
    try {
      this.#journal.append(lines);
    } catch (error) {
      this.#hasGap = true;
      throw error;
    }
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
