// Who is calling, as the store said when it was last asked. It is no proof: what the caller may is decided by the stages, and
// decided again whenever the store says something else (decide-again.ts, which alone renews it).
import type { Principal } from '../domain/principal.ts';

export class Caller {
  #principal: Principal;

  constructor(principal: Principal) {
    this.#principal = principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  /** The call goes on as this one's, for which the same was decided again. */
  renew(principal: Principal): void {
    this.#principal = principal;
  }
}
