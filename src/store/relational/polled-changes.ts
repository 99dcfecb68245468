// The change feed of a database with a figure that changes when another process has changed something (`Engine.version`). A
// look costs one read of the figure.
import { setTimeout as sleep } from 'node:timers/promises';
import type { MonotonicMs } from '../../domain/time.ts';
import type { ChangedAccounts, ChangeFeed, ChangeListener, FeedReport } from '../ports/change-feed.ts';
import type { Version } from './engine.ts';

interface Followed extends ChangeListener {
  /** The figure, and this process's change count, as of its last run; undefined: it is due. */
  version: Version['figure'] | undefined;
  changes: number;
  /** When the last look began after which nothing was left to do. */
  doneAtMs: MonotonicMs;
  failure: string | undefined;
  /** Whose changes its last run did not see. */
  accounts: ChangedAccounts;
  running: Promise<void> | undefined;
  /** How often one before it was late. */
  late: number;
}

/** How long a look waits for listeners. One that takes longer, such as for a lock, goes on beside later looks. */
const patienceMs = 500;

type ReadVersion = (known: Version['figure'] | undefined) => Promise<Version>;

export class PolledChanges implements ChangeFeed {
  onAnnounce: (() => void) | undefined;
  readonly #version: ReadVersion;
  readonly #report: FeedReport;
  readonly #followed = new Set<Followed>();
  /** Changes made by this process, which the figure may not reflect. */
  #changes = 0;
  /** How often a look was requested. */
  #asked = 0;
  #looking: Promise<void> | undefined;
  #failure: string | undefined;
  #known: Version['figure'] | undefined;
  readonly #now: () => MonotonicMs;

  constructor(version: ReadVersion, report: FeedReport, now = (): MonotonicMs => performance.now()) {
    this.#version = version;
    this.#report = report;
    this.#now = now;
  }

  async subscribe(listener: ChangeListener): Promise<() => void> {
    // Read before the run begins: writes during the run change the figure and cause another run.
    const changes = this.#changes;
    const doneAtMs = this.#now();
    const { figure: version } = await this.#version(undefined);
    await listener.run();
    const rest = { failure: undefined, accounts: 'all', running: undefined, late: 0 } as const;
    const followed: Followed = { ...listener, version, changes, doneAtMs, ...rest };
    this.#followed.add(followed);
    return () => this.#followed.delete(followed);
  }

  announce(): Promise<void> {
    this.#changes++;
    this.onAnnounce?.();
    return this.look();
  }

  async isBlind(): Promise<boolean> {
    if (this.#failure !== undefined) return true;
    return this.#version(undefined).then(
      () => false,
      () => true,
    );
  }

  async look(): Promise<void> {
    await this.#lookOnceMore();
    if (!(await this.#late())) return;
    // Listeners that ran since before that look have not seen what it found.
    await this.#lookOnceMore();
    await this.#late();
  }

  /** Waits for listeners that still run. @returns whether there were any. */
  async #late(): Promise<boolean> {
    const running = [...this.#followed].flatMap((each) => each.running ?? []);
    await Promise.all(running);
    return running.length > 0;
  }

  #lookOnceMore(): Promise<void> {
    this.#asked++;
    this.#looking ??= this.#lookUntilDone();
    return this.#looking;
  }

  /** Looks again if a look was requested meanwhile, since its change may be newer than the figure that was read. */
  async #lookUntilDone(): Promise<void> {
    let asked: number;
    do {
      asked = this.#asked;
      await this.#lookOnce(this.#changes);
    } while (asked !== this.#asked);
    // In the same step as the comparison, so that no caller joins a look that is over.
    this.#looking = undefined;
  }

  async #lookOnce(changes: number): Promise<void> {
    let seen: Version | undefined;
    const beganAtMs = this.#now();
    try {
      seen = await this.#version(this.#known);
      this.#known = seen.figure;
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, undefined);
    } catch (error) {
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, error);
    }
    const over = new AbortController();
    const late = sleep(patienceMs, undefined, { signal: over.signal }).catch(() => undefined);
    for (const followed of this.#followed) {
      if (seen) followed.accounts = joined(followed.accounts, seen.accounts);
      if (followed.running) continue;
      const isDue = followed.changes !== changes || followed.version === undefined || followed.failure !== undefined;
      if (!isDue && followed.version === seen?.figure) {
        followed.doneAtMs = beganAtMs;
        continue;
      }
      followed.running = this.#run(followed, changes, seen?.figure, beganAtMs).finally(
        () => (followed.running = undefined),
      );
      await Promise.race([followed.running, late]);
      if (followed.isBasis) void followed.running?.then(() => this.#makeDue(followed));
    }
    over.abort();
  }

  #makeDue(before: Followed): void {
    const all = [...this.#followed];
    for (const followed of all.slice(all.indexOf(before) + 1)) {
      followed.version = undefined;
      followed.accounts = 'all';
      followed.late++;
    }
  }

  async #run(
    followed: Followed,
    changes: number,
    figure: Version['figure'] | undefined,
    beganAtMs: MonotonicMs,
  ): Promise<void> {
    const isOwn = followed.changes !== changes;
    const { late } = followed;
    // What changed while nothing could be read is not known, nor is whom this process has just concerned then.
    const accounts = figure === undefined ? 'all' : followed.accounts;
    if (figure !== undefined) followed.accounts = new Set();
    try {
      await followed.run(isOwn ? undefined : this.#now() - followed.doneAtMs, accounts);
      followed.failure = this.#tell(followed.what, followed.failure, undefined);
      followed.changes = changes;
      if (figure === undefined) return;
      followed.doneAtMs = beganAtMs;
      if (late === followed.late) followed.version = figure;
    } catch (error) {
      followed.failure = this.#tell(followed.what, followed.failure, error);
      followed.accounts = joined(followed.accounts, accounts);
    }
  }

  /** Reports a new failure, or a recovery; returns the state to remember. */
  #tell(what: string, before: string | undefined, error: unknown): string | undefined {
    const now = error === undefined ? undefined : error instanceof Error ? error.message : 'unknown';
    if (now !== undefined && now !== before) this.#report.onFailure(what, error);
    if (now === undefined && before !== undefined) this.#report.onRecovery(what);
    return now;
  }
}

function joined(one: ChangedAccounts, other: ChangedAccounts): ChangedAccounts {
  if (one === 'all' || other === 'all') return 'all';
  return other.size === 0 ? one : new Set([...one, ...other]);
}
