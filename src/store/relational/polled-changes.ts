// The change feed of a database with a figure that changes when another process has changed something (`Engine.version`). A
// look costs one read of the figure.
import type { MonotonicMs } from '../../domain/time.ts';
import type { ChangeFeed, ChangeListener, FeedReport } from '../ports/change-feed.ts';

interface Followed extends ChangeListener {
  /** The figure, and this process's change count, as of its last run. */
  version: number | string;
  changes: number;
  /** When the last look began after which nothing was left to do. */
  doneAtMs: MonotonicMs;
  failure: string | undefined;
}

export class PolledChanges implements ChangeFeed {
  onAnnounce: (() => void) | undefined;
  readonly #version: () => Promise<number | string>;
  readonly #report: FeedReport;
  readonly #followed = new Set<Followed>();
  /** Changes made by this process, which the figure does not reflect. */
  #changes = 0;
  /** How often a look was requested. */
  #asked = 0;
  #looking: Promise<void> | undefined;
  #failure: string | undefined;
  readonly #now: () => MonotonicMs;

  constructor(version: () => Promise<number | string>, report: FeedReport, now = (): MonotonicMs => performance.now()) {
    this.#version = version;
    this.#report = report;
    this.#now = now;
  }

  async subscribe(listener: ChangeListener): Promise<() => void> {
    // Read before the run begins: writes during the run change the figure and cause another run.
    const changes = this.#changes;
    const doneAtMs = this.#now();
    const version = await this.#version();
    await listener.run();
    const followed = { ...listener, version, changes, doneAtMs, failure: undefined };
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
    return this.#version().then(
      () => false,
      () => true,
    );
  }

  look(): Promise<void> {
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
    let version: number | string | undefined;
    const beganAtMs = this.#now();
    try {
      version = await this.#version();
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, undefined);
    } catch (error) {
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, error);
    }
    for (const followed of this.#followed) {
      const isOwn = followed.changes !== changes;
      const isSame = !isOwn && followed.version === version && followed.failure === undefined;
      if (!isSame && !(await this.#runs(followed, isOwn))) continue;
      followed.changes = changes;
      if (version !== undefined) Object.assign(followed, { version, doneAtMs: beganAtMs });
    }
  }

  /** @returns whether it has run. `isOwn`: for a change by this process. */
  async #runs(followed: Followed, isOwn: boolean): Promise<boolean> {
    try {
      await followed.run(isOwn ? undefined : this.#now() - followed.doneAtMs);
      followed.failure = this.#tell(followed.what, followed.failure, undefined);
      return true;
    } catch (error) {
      followed.failure = this.#tell(followed.what, followed.failure, error);
      return false;
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
