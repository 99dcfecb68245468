// The port to the signatures that were used. The Ollama CLI's signature covers method, path and whole second, not the body, so two
// legitimate calls within a second can carry the same one (docs/decisions/0004-signatures-may-repeat-briefly.md): it may be used again
// from the same address, within a short time, and with another body. Every other use is a replay. Every adapter has to pass
// test/contracts/signatures.ts.
import type { KeyId } from '../../domain/id.ts';
import type { Soon } from '../../domain/soon.ts';

export interface SignatureUse {
  /** In base64. */
  readonly signature: string;
  readonly key: KeyId;
  readonly address: string;
  /** A digest; empty for calls that cost nothing, which may be repeated. */
  readonly body: string;
}

/** `key_full`: this key has signed more than is remembered. `unknown`: nobody can say whether it was used. */
export type UseVerdict = 'good' | 'replay' | 'key_full' | 'unknown';

export interface SignatureStore {
  /** Never rejects. */
  use(use: SignatureUse): Soon<UseVerdict>;
}

/** How long after its first use a signature may be used again. */
export const burstMs = 3_000;
export const maxUses = 8;
/**
 * Signatures of one key that are remembered, including those of refused calls: about forty per second, each to another address. Only
 * the key that signs more is refused.
 */
export const maxOfOneKey = 5_000;
