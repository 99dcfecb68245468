// Repeats the checks of a call for its caller's current state: after the body has arrived, before the call is sent, and
// while it runs whenever the store has changed. Uses the same functions as the start of a call, so nothing that can be
// revoked is checked only once (OWASP API1:2023; CWE-367).
import { shownCertificate } from '../domain/certificate.ts';
import { GatewayError } from '../domain/error.ts';
import type { Principal } from '../domain/principal.ts';
import type { WallMs } from '../domain/time.ts';
import { type Anywhere, missingScope, refuseUnpermitted } from './check-access.ts';
import type { Exchange } from './exchange.ts';
import { checkStanding, FailedIdentification } from './identify.ts';
import type { KeyCache } from './identity/key-cache.ts';
import type { Intended } from './intent.ts';
import { type ModelRules, refuseUnauthorized } from './model-access.ts';
import { refuseTool } from './services/mcp/read-mcp.ts';
import { mcpOf } from './services/mcp/take-mcp.ts';

declare class Mark {
  protected readonly confirmed: true;
}
/** Proof that the caller may still make this call after its body has arrived. */
export interface Confirmed extends Intended, Mark {}

export interface DecisionTools {
  readonly keyCache: Pick<KeyCache, 'find' | 'findByDigest'>;
  readonly modelRules: ModelRules;
  readonly wallNow: () => WallMs;
  readonly appealContact: string;
}

/** Where the call comes from, and whether it was sent. */
type Origin = Pick<Exchange, 'address' | 'request' | 'begun'> | Omit<Anywhere, 'at'>;

export class Decisions {
  readonly #tools: DecisionTools;

  constructor(tools: DecisionTools) {
    this.#tools = tools;
  }

  /**
   * Synchronous and cheap while the key cache returns the same principal. Keys of the settings never change. @throws
   * GatewayError as the stages of a call do; rejects with it, or with the store's error.
   */
  again<Call extends Intended>(call: Call, origin: Origin): (Call & Confirmed) | Promise<Call & Confirmed> {
    const { principal } = call.caller;
    if (principal.readAt === 0) return call as Call & Confirmed;
    const { kind, keyId, digest } = principal;
    const { keyCache } = this.#tools;
    const found = principal.again
      ? principal.again()
      : kind === 'secret'
        ? keyCache.find(keyId)
        : keyCache.findByDigest(digest);
    if (found instanceof Promise) return found.then((fresh) => this.#judge(call, origin, principal, fresh));
    if (found !== principal) return this.#judge(call, origin, principal, found);
    const ended = this.ended(call, origin);
    if (ended) throw ended;
    return call as Call & Confirmed;
  }

  /** As `again`, for a call that is still to be sent. @throws GatewayError `identity_unavailable` where the store cannot say. */
  confirm<Call extends Intended>(call: Call, origin: Origin): (Call & Confirmed) | Promise<Call & Confirmed> {
    const again = this.again(call, origin);
    if (!(again instanceof Promise)) return again;
    return again.catch((cause: unknown) => {
      throw cause instanceof GatewayError ? cause : new GatewayError('identity_unavailable', { cause });
    });
  }

  /** Whether time alone ends the call, without a change of the store: its key or certificate has expired. */
  ended(
    { caller: { principal } }: Pick<Intended, 'caller'>,
    { request }: Pick<Origin, 'request'>,
  ): GatewayError | undefined {
    const { expiresAt, kind, digest } = principal;
    if (expiresAt === null && kind !== 'certificate' && principal.boundCertificate === null) return undefined;
    const now = this.#tools.wallNow();
    const certificate = kind === 'certificate' ? digest : principal.boundCertificate;
    if (expiresAt !== null && now >= expiresAt) return new FailedIdentification('key_expired', principal);
    const isShown = certificate === null || request === 'none' || shownCertificate(request.socket, now) === certificate;
    return isShown ? undefined : new GatewayError('certificate_required');
  }

  #judge<Call extends Intended>(
    call: Call,
    origin: Origin,
    before: Principal,
    principal: Principal | undefined,
  ): Call & Confirmed {
    if (!principal) throw new FailedIdentification('key_revoked', before);
    const { modelRules, wallNow, appealContact } = this.#tools;
    const at = wallNow();
    checkStanding(principal, at);
    refuseUnpermitted(principal, call.operation, origin, at, appealContact);
    refuseUnauthorized(principal, call, modelRules);
    const tools = call.mcp && mcpOf(call.operation);
    if (call.mcp && tools) refuseTool(call.mcp, tools, principal);
    // An offer to search the web cannot be removed from a call that was already sent.
    const hasLeft = origin.request !== 'none' && origin.begun !== undefined;
    if (hasLeft && call.offeredServerTools.length > 0 && losesCloud(before, principal))
      throw missingScope('cloud', appealContact);
    // From now on, the call has the current principal.
    call.caller.renew(principal);
    return call as Call & Confirmed;
  }
}

const losesCloud = (before: Principal, now: Principal): boolean =>
  before.scopes.has('cloud') && !now.scopes.has('cloud');
