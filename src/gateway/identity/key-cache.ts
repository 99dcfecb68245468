// Caches the keys that this process has authenticated, prepared for checks. Loads missing ones from the store, and
// drops those that a change may concern when another process has written, so a revocation from the command line takes effect within one
// poll. Rows are found by id or by the digest of a whole public key, never by part of a secret (LiteLLM CVE-2026-35030
// cached identities under the first 20 characters of a token).
import { blankKey, digestOf } from '../../domain/api-key.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { unlimited } from '../../domain/plan.ts';
import { type Principal, principalOf } from '../../domain/principal.ts';
import type { SteadyMs, WallMs } from '../../domain/time.ts';
import type { ChangedAccounts } from '../../store/ports/change-feed.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Ticket } from '../../store/ports/tickets.ts';

const capacity = 10_000;

export class KeyCache {
  readonly #store: Pick<Store, 'findCaller' | 'findCallerByDigest'>;
  readonly #statics: ReadonlyMap<string, Principal>;
  /** By key id, or by digest for public keys, which cannot collide. A Map, because no name is special in it. */
  readonly #known = new Map<string, Principal>();
  readonly #met = new Set<string>();
  /** Forgotten ones, for while the store cannot answer, and when they were right. */
  readonly #before = new Map<string, { readonly principal: Principal; readonly asOf: SteadyMs }>();
  readonly #now: () => WallMs;
  readonly #steady: () => SteadyMs;
  readonly #graceMs: number;
  readonly #isBlind: () => Promise<boolean>;
  #epoch = 0;

  /**
   * `graceMs`: how long a key is still known after it was right, while the store cannot answer; see docs/database.md. `isBlind`: whether
   * the store cannot even say if anything has changed. If it can, a key that cannot be read may be one that was revoked.
   */
  constructor(
    store: Pick<Store, 'findCaller' | 'findCallerByDigest'>,
    staticDigests: readonly string[],
    operator: AccountId,
    now: () => WallMs,
    steady: () => SteadyMs,
    graceMs = 0,
    isBlind = () => Promise.resolve(true),
  ) {
    this.#store = store;
    this.#now = now;
    this.#steady = steady;
    this.#graceMs = graceMs;
    this.#isBlind = isBlind;
    this.#statics = new Map(staticDigests.map((digest) => [digest, staticPrincipal(digest, operator)]));
  }

  /** Finds a key of the settings, by its digest, so the timing reveals nothing about the text. */
  findStatic(text: string): Principal | undefined {
    return this.#statics.size === 0 ? undefined : this.#statics.get(digestOf(text));
  }

  /** Rejects if the store cannot answer, which is never the same as "no such key". */
  find(id: KeyId): Principal | Promise<Principal | undefined> {
    return this.#known.get(id) ?? this.#load(id, () => this.#store.findCaller(id, this.#now()));
  }

  /** Finds a public key, of a signature or of a certificate. */
  findByDigest(publicKeyDigest: string): Principal | Promise<Principal | undefined> {
    return (
      this.#known.get(publicKeyDigest) ??
      this.#load(publicKeyDigest, () => this.#store.findCallerByDigest(publicKeyDigest, this.#now()))
    );
  }

  /** Finds a key that was identified before, by what a ticket has of it. */
  findAgain({ kind, id, digest }: Ticket['key']): Principal | undefined | Promise<Principal | undefined> {
    return this.#statics.get(digest) ?? (kind === 'secret' ? this.find(id) : this.findByDigest(digest));
  }

  /** Whether this is what `find` returns for the key of a secret, at once. */
  isCurrent(principal: Principal): boolean {
    return this.#known.get(principal.keyId) === principal;
  }

  /** Whether this process has seen the key. If so, it is not a guess, and loading it again after a change is cheap. */
  holds(idOrDigest: string): boolean {
    return this.#known.has(idOrDigest) || this.#met.has(idOrDigest);
  }

  /**
   * The store may have changed, for these accounts. `staleMs`: what is known was right so many milliseconds ago; undefined: it may be
   * wrong by what this process has just done, so nothing of it is used again.
   */
  forget(staleMs?: number, accounts: ChangedAccounts = 'all'): void {
    const isConcerned = ({ accountId }: Principal): boolean => accounts === 'all' || accounts.has(accountId);
    if (staleMs === undefined)
      for (const [name, { principal }] of this.#before) if (isConcerned(principal)) this.#before.delete(name);
    const rightAt = this.#steady() - (staleMs ?? 0);
    // Only the names of known keys are remembered; the set is cleared when full, so it stays bounded.
    if (this.#known.size > 0) {
      if (this.#met.size > capacity) this.#met.clear();
      for (const [name, principal] of this.#known) {
        if (!isConcerned(principal)) continue;
        this.#known.delete(name);
        this.#met.add(name);
        if (staleMs !== undefined && this.#graceMs > 0)
          this.#before.set(name, { principal, asOf: Math.max(rightAt, principal.readAt) });
      }
    }
    for (const [name, { asOf }] of this.#before)
      if (this.#before.size > capacity || this.#steady() - asOf > this.#graceMs) this.#before.delete(name);
    this.#epoch++;
  }

  async #load(name: string, query: () => ReturnType<Store['findCaller']>): Promise<Principal | undefined> {
    const epoch = this.#epoch;
    const readAt = this.#steady();
    let caller: Awaited<ReturnType<typeof query>>;
    try {
      caller = await query();
    } catch (error) {
      const before = this.#before.get(name);
      if (before && readAt - before.asOf <= this.#graceMs && (await this.#isBlind())) return before.principal;
      throw error;
    }
    this.#before.delete(name);
    if (!caller) return undefined;
    const principal = principalOf(caller.key, caller.plan, caller.suspensions, readAt);
    // A row read before the last forget() may predate the change that caused it.
    if (epoch === this.#epoch) {
      if (this.#known.size >= capacity) this.#known.delete(this.#known.keys().next().value as string);
      this.#known.set(name, principal);
    }
    return principal;
  }
}

/** A key from the settings is an ordinary new key of the operator's account that cannot be revoked at run time. */
function staticPrincipal(digest: string, operator: AccountId): Principal {
  const id = `key_static_${digest.slice(0, 12)}` as KeyId;
  const key = { ...blankKey(id, operator, 0), name: 'API_KEYS', digest };
  return principalOf(key, unlimited, []);
}
