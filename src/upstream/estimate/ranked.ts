// What the choice sees of a model server.

export interface Ranked {
  readonly health: {
    /** 0: it takes calls. A call goes to a server with a higher rank only if none with a lower one can have it. */
    readonly rank: number;
    /** How long the last probe took. */
    readonly lookMs: number;
    /** Its answers begin far later than those of others. */
    readonly slow: boolean;
  };
  readonly models: {
    readonly names: ReadonlySet<string> | undefined;
    readonly remote: ReadonlySet<string>;
    /** In bytes, where the list says it. */
    readonly sizes: ReadonlyMap<string, number>;
  };
  readonly details: {
    contextOf(canonical: string): number | undefined;
    /** The models in memory, with their bytes or 0; undefined if the server does not say. */
    readonly loaded: ReadonlyMap<string, number> | undefined;
  };
  readonly terms: { readonly weight: number };
  readonly inFlight: number;
  /** Calls of its other clients, by what it publishes; none if it publishes nothing. */
  readonly others: { readonly running: number; readonly waiting: number };
  /** Changes whenever models, details or terms have changed; not with every look. */
  readonly revision: number;
  /** When the details were last asked for, on the clock of the choice. */
  readonly lookedMs: number;
  /** The server calls it after each change of `health`, `inFlight`, `others`, `revision` or `lookedMs`. The choice sets it. */
  onChange: () => void;
}
