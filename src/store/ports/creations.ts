// Creations that a client may repeat with an Idempotency-Key.

/** A creation that a client may repeat: who asked, by which name, and what came of it. */
export interface Repeatable {
  /** Of the key, or of the person. */
  readonly keyId: string;
  readonly name: string;
  /** Of the request: the same name with another request is a mistake. */
  readonly digest: string;
  readonly at: number;
  /** The id of what was made; null while it is being made. */
  readonly made: string | null;
}

export interface RepeatStore {
  /** Claims a name; gives what stands there where it is taken. */
  claimRepeatable(claim: Repeatable): Promise<Repeatable | undefined>;
  finishRepeatable(keyId: string, name: string, made: string): Promise<void>;
  /** Gives the name up: nothing was made. */
  dropRepeatable(keyId: string, name: string): Promise<void>;
}
