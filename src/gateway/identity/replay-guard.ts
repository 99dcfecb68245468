// Refuses a signed call that was seen before: whatever the store of signatures takes for a replay. Calls without a signature pass.
import { digestOf } from '../../domain/api-key.ts';
import { GatewayError } from '../../domain/error.ts';
import type { Principal } from '../../domain/principal.ts';
import { detail } from '../../domain/refusal-details.ts';
import { isLater, type Soon } from '../../domain/soon.ts';
import type { SignatureStore, UseVerdict } from '../../store/ports/signatures.ts';
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

export class ReplayGuard {
  readonly #signatures: SignatureStore;

  constructor(signatures: SignatureStore) {
    this.#signatures = signatures;
  }

  /** @throws GatewayError `invalid_api_key` for a replay; `rate_limited`, `identity_unavailable` if nobody can say. */
  claim<Call extends Claim>(intent: Call, { address }: Pick<Exchange, 'address'>): Soon<Call & Mark> {
    if (intent.signature === undefined) return intent as Call & Mark;
    const body = intent.body === undefined || intent.operation.time === 'metadata' ? '' : digestOf(intent.body);
    const signature = intent.signature.toString('base64');
    const verdict = this.#signatures.use({ signature, key: intent.caller.principal.lineage, address, body });
    return isLater(verdict) ? verdict.then((later) => judge(intent, later)) : judge(intent, verdict);
  }
}

function judge<Call extends Claim>(intent: Call, verdict: UseVerdict): Call & Mark {
  switch (verdict) {
    case 'good':
      return intent as Call & Mark;
    case 'replay':
      throw new GatewayError('invalid_api_key');
    case 'key_full':
      throw new GatewayError('rate_limited', { message: detail('signed_too_many', {}) });
    case 'unknown':
      throw new GatewayError('identity_unavailable');
  }
}
