// What was decided when a call began, decided again for its caller as they are now: while a body is on its way, before the
// call leaves, and while it runs whenever the store has changed. The same functions decide as at the start, so that
// nothing that can be taken from a key or a plan is looked at once only (OWASP API1:2023; CWE-367).
import { shownCertificate } from '../domain/certificate.ts';
import type { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import type { WallMs } from '../domain/time.ts';
import { authorizeIntent, type ModelRules } from './authorize.ts';
import type { Exchange } from './exchange.ts';
import { checkStanding, FailedIdentification } from './identify.ts';
import type { Intended } from './intent.ts';
import type { KeyRing } from './key-ring.ts';
import { missingScope, permit, refuseSuspended } from './permit.ts';

export interface DecisionTools {
  readonly ring: Pick<KeyRing, 'find' | 'findByDigest'>;
  readonly modelRules: ModelRules;
  readonly wallNow: () => WallMs;
  readonly appealContact: string;
}

export class Decisions {
  readonly #tools: DecisionTools;

  constructor(tools: DecisionTools) {
    this.#tools = tools;
  }

  /**
   * Nothing to wait for, and next to nothing to do, where the ring still holds what it gave before. Keys of the settings
   * never change. @throws GatewayError as the stages of a call do; rejects with it, or with what the store failed with.
   */
  again(exchange: Exchange): void | Promise<void> {
    const { principal } = exchange;
    if (!principal || principal.readAt === 0) return undefined;
    const { kind, keyId, digest } = principal;
    const { ring } = this.#tools;
    const found = kind === 'secret' ? ring.find(keyId) : ring.findByDigest(digest);
    if (found instanceof Promise) return found.then((fresh) => this.#judge(exchange, principal, fresh));
    if (found !== principal) return this.#judge(exchange, principal, found);
    const ended = this.ended(exchange);
    if (ended) throw ended;
    return undefined;
  }

  /** What ends a call by itself, without a change of the store: the time of its key or of its certificate is over. */
  ended({ principal, request }: Exchange): GatewayError | undefined {
    if (!principal) return undefined;
    const { expiresAt, kind, digest } = principal;
    if (expiresAt === null && kind !== 'certificate' && principal.boundCertificate === null) return undefined;
    const now = this.#tools.wallNow();
    const certificate = kind === 'certificate' ? digest : principal.boundCertificate;
    const isOver =
      (expiresAt !== null && now >= expiresAt) ||
      (certificate !== null && shownCertificate(request.socket, now) !== certificate);
    return isOver ? new FailedIdentification('key_expired', principal) : undefined;
  }

  /** From now on what the call wants is decided again together with who asks for it. */
  keep(exchange: Exchange, intent: Intended): void {
    const { modelRules, appealContact } = this.#tools;
    exchange.decideAgain = (principal, at) => {
      const { address, request, begun } = exchange;
      const renewed = { ...intent, principal };
      permit(renewed, { address, at, request }, appealContact);
      authorizeIntent(renewed, modelRules);
      // An offer to search the web that has left with the call cannot be taken out of it any more.
      if (begun && intent.offeredSearches.length > 0 && losesCloud(intent.principal, principal))
        throw missingScope('cloud', appealContact);
      // Whoever looks at the call from now on sees its caller as they are.
      Object.assign(intent, { principal });
    };
  }

  #judge(exchange: Exchange, before: Principal, principal: Principal | undefined): void {
    if (!principal) throw new FailedIdentification('key_revoked', before);
    const { wallNow, appealContact } = this.#tools;
    const at = wallNow();
    checkStanding(principal, at);
    if (exchange.decideAgain) exchange.decideAgain(principal, at);
    else refuseSuspended(principal, at, appealContact);
    exchange.principal = principal;
  }
}

const losesCloud = (before: Principal, now: Principal): boolean =>
  before.scopes.has('cloud') && !now.scopes.has('cloud');
