// Refuses a signed call that was seen before. The Ollama CLI's signature covers method, path and whole second, not the
// body, so two legitimate calls within a second can carry the same one: the CLI requests a model's details twice in a
// row, and loads a model and prompts it through the same route. So a signature may be reused only from the same
// address, within a short time, and, if the call uses a model, with another body. Everything else is a replay.
import { digestOf } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import type { KeyId } from '../../domain/id.ts';
import type { Principal } from '../../domain/principal.ts';
import type { MonotonicMs } from '../../domain/time.ts';
import type { Confirmed } from '../decide-again.ts';
import type { Exchange } from '../exchange.ts';
import type { Intended } from '../intent.ts';

declare class Mark {
  protected readonly claimed: true;
}
/** Proof that the call's signature, if it has one, is not a replay. */
export interface Claimed extends Confirmed, Mark {}

/** The parts of a signed call that are checked. */
export interface Claim extends Pick<Intended, 'signature' | 'body'> {
  readonly caller: { readonly principal: Pick<Principal, 'lineage'> };
  readonly operation: Pick<Intended['operation'], 'time'>;
}

interface Use {
  readonly key: KeyId;
  readonly address: string;
  readonly firstAtMs: MonotonicMs;
  readonly bodies: Set<string>;
  uses: number;
}

const burstMs = 3_000;
const maxUses = 8;
const maxSignatures = 50_000;
/**
 * Signatures of one key, including those of refused calls: about forty per second, each to another address. Only the
 * key that signs more is refused.
 */
const maxOfOneKey = 5_000;

export class ReplayGuard {
  readonly #windowMs: number;
  readonly #nowMs: () => MonotonicMs;
  /** By signature, oldest first. */
  readonly #seen = new Map<string, Use>();
  readonly #ofKeys = new Map<KeyId, number>();

  /** `windowMs`: how long a signature's timestamp is accepted in total, that is, twice the clock skew. */
  constructor(windowMs: number, nowMs: () => MonotonicMs) {
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
  }

  /** @throws GatewayError `invalid_api_key` for a replay; `rate_limited`, `identity_unavailable` if memory is full. */
  claim<Call extends Claim>(intent: Call, exchange: Pick<Exchange, 'address'>): Call & Mark {
    const claimed = intent as Call & Mark;
    if (intent.signature === undefined) return claimed;
    const nowMs = this.#nowMs();
    this.#sweep(nowMs);
    const name = intent.signature.toString('base64');
    const use = this.#seen.get(name);
    const body = intent.body === undefined || intent.operation.time === 'metadata' ? '' : digestOf(intent.body);
    if (use === undefined) {
      const key = intent.caller.principal.lineage;
      const ofKey = this.#ofKeys.get(key) ?? 0;
      if (ofKey >= maxOfOneKey)
        throw new GatewayError('rate_limited', { message: 'This key has signed too many calls in the last minutes.' });
      // Evicting the oldest to make room would let a flood enable a replay.
      if (this.#seen.size >= maxSignatures) throw new GatewayError('identity_unavailable');
      this.#ofKeys.set(key, ofKey + 1);
      this.#seen.set(name, { key, address: exchange.address, firstAtMs: nowMs, bodies: new Set([body]), uses: 1 });
      return claimed;
    }
    const repeated = body !== '' && use.bodies.has(body);
    if (repeated || use.address !== exchange.address || nowMs - use.firstAtMs > burstMs || use.uses >= maxUses) {
      throw new GatewayError('invalid_api_key');
    }
    use.bodies.add(body);
    use.uses++;
    return claimed;
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
