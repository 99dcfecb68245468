// Remembers used signatures in the memory of this process, for as long as their times are accepted.
import type { KeyId } from '../../domain/id.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import {
  burstMs,
  maxOfOneKey,
  maxUses,
  type SignatureStore,
  type SignatureUse,
  type UseVerdict,
} from '../ports/signatures.ts';

interface Use {
  readonly key: KeyId;
  readonly address: string;
  readonly firstAtMs: MonotonicMs;
  readonly bodies: Set<string>;
  uses: number;
}

const maxSignatures = 50_000;

export class MemorySignatures implements SignatureStore {
  readonly #windowMs: number;
  readonly #nowMs: () => MonotonicMs;
  /** By signature, oldest first. */
  readonly #seen = new Map<string, Use>();
  readonly #ofKeys = new Map<KeyId, number>();

  /** `windowMs`: how long a signature's time is accepted in total, that is, twice the clock skew. */
  constructor(windowMs: number, nowMs: () => MonotonicMs) {
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
  }

  use({ signature, key, address, body }: SignatureUse): UseVerdict {
    const nowMs = this.#nowMs();
    this.#sweep(nowMs);
    const use = this.#seen.get(signature);
    if (use === undefined) {
      const ofKey = this.#ofKeys.get(key) ?? 0;
      if (ofKey >= maxOfOneKey) return 'key_full';
      // Evicting the oldest to make room would let a flood enable a replay.
      if (this.#seen.size >= maxSignatures) return 'unknown';
      this.#ofKeys.set(key, ofKey + 1);
      this.#seen.set(signature, { key, address, firstAtMs: nowMs, bodies: new Set([body]), uses: 1 });
      return 'good';
    }
    const repeated = body !== '' && use.bodies.has(body);
    if (repeated || use.address !== address || nowMs - use.firstAtMs > burstMs || use.uses >= maxUses) return 'replay';
    use.bodies.add(body);
    use.uses++;
    return 'good';
  }

  #sweep(nowMs: MonotonicMs): void {
    for (const [name, use] of this.#seen) {
      if (nowMs - use.firstAtMs <= this.#windowMs) return;
      this.#seen.delete(name);
      const left = (this.#ofKeys.get(use.key) as number) - 1;
      if (left > 0) this.#ofKeys.set(use.key, left);
      else this.#ofKeys.delete(use.key);
    }
  }
}
