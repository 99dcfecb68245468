// Creations that a client may repeat with an Idempotency-Key.

/** A creation that a client may repeat: who requested it, under which name, and the result. */
export interface Repeatable {
  /** The id of the key, or of the person. */
  readonly keyId: string;
  readonly name: string;
  /** Digest of the request: the same name with another request is an error. */
  readonly digest: string;
  readonly at: number;
  /** The id of what was created; null while it is in progress. */
  readonly made: string | null;
}

export interface RepeatStore {
  /** Claims a name; returns the existing entry if it is taken. */
  claimRepeatable(claim: Repeatable): Promise<Repeatable | undefined>;
  finishRepeatable(keyId: string, name: string, made: string): Promise<void>;
  /** Releases the name: nothing was created. */
  dropRepeatable(keyId: string, name: string): Promise<void>;
}
