// Follows the store: when another process has written, and when this one has, each piece of work that depends on the store
// is done again. A piece moves on to the new version only when it has succeeded; until then every look tries it again, so a
// store that fails once cannot hide a revocation. The pieces stand for themselves: rules that cannot be read keep no
// revoked caller alive.

export interface FollowedWork {
  /** What could not be done when it fails, for the log. */
  readonly what: string;
  readonly run: () => Promise<void>;
}

export interface FollowerTools {
  /** A figure that changes when another process has written. */
  readonly version: () => Promise<number>;
  /** A piece of work fails, for the first time or in a new way. */
  readonly onFailure: (what: string, error: unknown) => void;
  /** A piece of work that failed has succeeded. */
  readonly onRecovery: (what: string) => void;
}

interface Piece extends FollowedWork {
  /** The version, and the count of this process's own changes, up to which the work is done. */
  version: number | undefined;
  changes: number;
  failure: string | undefined;
}

export class Follower {
  readonly #tools: FollowerTools;
  #pieces: readonly Piece[] = [];
  /** Changes that this process made itself; the version does not tell of them. */
  #changes = 0;
  #looking: Promise<void> | undefined;
  #failure: string | undefined;

  constructor(tools: FollowerTools) {
    this.#tools = tools;
  }

  /** Does all of the work for the first time, and from then on whenever it is due. Rejects where one piece fails. */
  async start(work: readonly FollowedWork[]): Promise<void> {
    this.#pieces = work.map((piece) => ({ ...piece, version: undefined, changes: 0, failure: undefined }));
    const version = await this.#tools.version();
    for (const piece of this.#pieces) {
      await piece.run();
      piece.version = version;
    }
  }

  /**
   * Does what is due; `changed` says that this process has written. Looks do not overlap: one that is asked for meanwhile
   * is made afterwards. Never rejects.
   */
  look(changed = false): Promise<void> {
    if (changed) this.#changes++;
    this.#looking ??= this.#lookUntilDone().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #lookUntilDone(): Promise<void> {
    let changes: number;
    do {
      changes = this.#changes;
      await this.#lookOnce(changes);
    } while (changes !== this.#changes);
  }

  async #lookOnce(changes: number): Promise<void> {
    let version: number | undefined;
    try {
      // Asked before the work begins: what is written while it runs makes another version, and another look.
      version = await this.#tools.version();
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, undefined);
    } catch (error) {
      this.#failure = this.#tell('the version of the store could not be read', this.#failure, error);
    }
    for (const piece of this.#pieces) {
      const isDone = version !== undefined && piece.version === version && piece.changes === changes;
      if (isDone) continue;
      try {
        await piece.run();
        piece.failure = this.#tell(piece.what, piece.failure, undefined);
        piece.version = version;
        piece.changes = changes;
      } catch (error) {
        piece.failure = this.#tell(piece.what, piece.failure, error);
        piece.version = undefined;
      }
    }
  }

  /** Says what begins to fail, or no longer does, once and not with every look; gives what is to be remembered of it. */
  #tell(what: string, before: string | undefined, error: unknown): string | undefined {
    const now = error === undefined ? undefined : error instanceof Error ? error.message : 'unknown';
    if (now !== undefined && now !== before) this.#tools.onFailure(what, error);
    if (now === undefined && before !== undefined) this.#tools.onRecovery(what);
    return now;
  }
}
