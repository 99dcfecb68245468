// Refuses a signed call that was seen before. The Ollama CLI's signature covers method, path and whole second, not the
// body, so two honest calls within a second can carry the same one: the CLI asks for a model's details twice in a row,
// and loads a model and prompts it through the same route. So a signature may be used again only from the address that
// used it first, shortly after, and, for a call that costs something, with another body. Everything else is a replay.
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
/** The call's signature, if it has one, is not a replay. */
export interface Claimed extends Confirmed, Mark {}

/** What is looked at of a signed call. */
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
 * Of one key, refused calls included: some forty a second, each to another address. Whoever signs more is the one who is
 * refused, and nobody else's signature.
 */
const maxOfOneKey = 5_000;

export class ReplayGuard {
  readonly #windowMs: number;
  readonly #nowMs: () => MonotonicMs;
  /** By signature, oldest first. */
  readonly #seen = new Map<string, Use>();
  readonly #ofKeys = new Map<KeyId, number>();

  /** `windowMs`: how long a signature's time stamp is accepted in all, that is, twice the clock skew. */
  constructor(windowMs: number, nowMs: () => MonotonicMs) {
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
  }

  /** @throws GatewayError `invalid_api_key` for a replay; `rate_limited`, `identity_unavailable` where there is no room to remember. */
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
      // Forgetting the oldest to make room would let a flood open the window for a replay.
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
