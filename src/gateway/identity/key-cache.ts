// The keys this process has met, ready to be asked. It answers from memory where it can and from the store where it
// must, and forgets everything when another process has written: so a revocation made by the command line bites within
// one poll. Rows are found by id or by the digest of a whole public key, never by a part of a secret
// (LiteLLM CVE-2026-35030 cached identities under the first 20 characters of a token).
import { blankKey, digestOf } from '../../domain/api-key.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import { unlimited } from '../../domain/plan.ts';
import { type Principal, principalOf } from '../../domain/principal.ts';
import type { SteadyMs, WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';

const capacity = 10_000;

export class KeyCache {
  readonly #store: Pick<Store, 'findCaller' | 'findCallerByDigest'>;
  readonly #statics: ReadonlyMap<string, Principal>;
  /** By key id, or by digest for public keys: the two never look alike. A Map, so that no name is special. */
  readonly #known = new Map<string, Principal>();
  readonly #met = new Set<string>();
  readonly #now: () => WallMs;
  readonly #steady: () => SteadyMs;
  #epoch = 0;

  constructor(
    store: Pick<Store, 'findCaller' | 'findCallerByDigest'>,
    staticDigests: readonly string[],
    operator: AccountId,
    now: () => WallMs,
    steady: () => SteadyMs,
  ) {
    this.#store = store;
    this.#now = now;
    this.#steady = steady;
    this.#statics = new Map(staticDigests.map((digest) => [digest, staticPrincipal(digest, operator)]));
  }

  /** A key of the operator's settings. The look-up is by digest, so its timing says nothing about the text. */
  findStatic(text: string): Principal | undefined {
    return this.#statics.size === 0 ? undefined : this.#statics.get(digestOf(text));
  }

  /** Rejects where the store cannot answer: that is never the same as "no such key". */
  find(id: KeyId): Principal | Promise<Principal | undefined> {
    return this.#known.get(id) ?? this.#load(id, () => this.#store.findCaller(id, this.#now()));
  }

  /** A public key, of a signature or of a certificate. */
  findByDigest(publicKeyDigest: string): Principal | Promise<Principal | undefined> {
    return (
      this.#known.get(publicKeyDigest) ??
      this.#load(publicKeyDigest, () => this.#store.findCallerByDigest(publicKeyDigest, this.#now()))
    );
  }

  /** Has this process met it? Then it is no guess, and looking it up again after a change costs little. */
  holds(idOrDigest: string): boolean {
    return this.#known.has(idOrDigest) || this.#met.has(idOrDigest);
  }

  forget(): void {
    // What was met stays known by name, and nothing else of it: two generations, so that it stays bounded.
    if (this.#known.size > 0) {
      if (this.#met.size > capacity) this.#met.clear();
      for (const name of this.#known.keys()) this.#met.add(name);
    }
    this.#known.clear();
    this.#epoch++;
  }

  async #load(name: string, query: () => ReturnType<Store['findCaller']>): Promise<Principal | undefined> {
    const epoch = this.#epoch;
    const readAt = this.#steady();
    const caller = await query();
    if (!caller) return undefined;
    const principal = principalOf(caller.key, caller.plan, caller.suspensions, readAt);
    // A row read before the last forget() may be older than the change that caused it.
    if (epoch === this.#epoch) {
      if (this.#known.size >= capacity) this.#known.delete(this.#known.keys().next().value as string);
      this.#known.set(name, principal);
    }
    return principal;
  }
}

/** A key written into the settings is an ordinary new key of the operator's that cannot be revoked at run time. */
function staticPrincipal(digest: string, operator: AccountId): Principal {
  const id = `key_static_${digest.slice(0, 12)}` as KeyId;
  const key = { ...blankKey(id, operator, 0), name: 'API_KEYS', digest };
  return principalOf(key, unlimited, []);
}
