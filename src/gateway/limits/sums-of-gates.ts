// What an account did at all gates of the database, for the ladder. Each gate counts what it sees itself; the ledger has the
// calls of all. If a sum over n gates reaches a threshold, one of them alone has counted an nth of it, so a gate asks the ledger
// only then, off the path of calls. A single gate never asks.
import type { Principal } from '../../domain/principal.ts';
import type { Rule } from '../../domain/rule.ts';
import type { WallMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { Gates } from '../../store/ports/gates.ts';
import type { Store } from '../../store/ports/store.ts';

type Source = Pick<Store, 'usageByMinute' | 'usageByQuarter' | 'listKeys'>;

const quarterMs = 900_000;
/** In such a window a quarter of an hour is a hundredth. */
const longSeconds = 86_400;

export class SumsOfGates {
  readonly #source: Source;
  readonly #gates: Pick<Gates, 'alive'>;
  #most = 1;

  constructor(source: Source, gates: Pick<Gates, 'alive'>) {
    this.#source = source;
    this.#gates = gates;
  }

  /** Among how many gates the calls of an account may have been spread. A gate that has ended did its part of them, too. */
  get gates(): number {
    const { length } = this.#gates.alive;
    if (length > this.#most) this.#most = length;
    return this.#most;
  }

  /**
   * Calls that began after `since`. Sums of quarters of an hour say it for any length of time at the same cost; rows of the ledger
   * add the part of a quarter at the beginning, unless that is little against the window.
   */
  async sum(rule: Rule, caller: Principal, since: WallMs, now: WallMs): Promise<number> {
    const { accountId, lineage } = caller;
    const from = Math.ceil((since + 1) / quarterMs) * quarterMs;
    const [rows, quarters, keys] = await Promise.all([
      rule.windowSeconds < longSeconds ? this.#source.usageByMinute(since + 1, from, accountId) : [],
      from <= now ? this.#source.usageByQuarter(accountId, from, now + quarterMs) : [],
      rule.per === 'key' ? this.#source.listKeys(accountId) : [],
    ]);
    const own = new Set(keys.flatMap((key) => (key.lineage === lineage ? [key.id] : [])));
    let sum = 0;
    for (const bucket of [...rows, ...quarters])
      if (rule.per === 'account' || own.has(bucket.keyId)) sum += amountOf(rule.measure, bucket);
    return sum;
  }
}

/** What a bucket of the ledger adds to a measure. Failed authentications have no rows. */
export function amountOf(measure: Rule['measure'], bucket: UsageBucket): number {
  switch (measure) {
    case 'tokens':
      return bucket.promptTokens + bucket.completionTokens;
    case 'requests':
      return bucket.requests;
    case 'refusals':
      return bucket.refusals;
    default:
      return 0;
  }
}
