// The caller, as last read from the store. Not a proof: the stages decide what the caller may do, and decide again when
// the store has changed (decide-again.ts, the only one that renews it).
import type { Principal } from '../domain/principal.ts';

export class Caller {
  #principal: Principal;

  constructor(principal: Principal) {
    this.#principal = principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  /** Continues the call as this principal, for whom the same was decided again. */
  renew(principal: Principal): void {
    this.#principal = principal;
  }
}
