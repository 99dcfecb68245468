// Gates as far as limits go, on a real Redis: each has a connection and a store of its own. Their ledger is a list of rows.
import type { StoredKey } from '../src/domain/api-key.ts';
import { Calendar } from '../src/domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../src/domain/id.ts';
import type { Ask, Use } from '../src/domain/limit.ts';
import { type Narrowing, openTerms, type Terms } from '../src/domain/plan.ts';
import { type Principal, principalOf } from '../src/domain/principal.ts';
import type { UsageBucket } from '../src/domain/usage.ts';
import { MemoryLimits } from '../src/store/memory/limit-store.ts';
import type { AccountLimits, Lease, Reserved } from '../src/store/ports/limit-store.ts';
import { readAddress } from '../src/store/redis/address.ts';
import type { BookSource } from '../src/store/redis/book-source.ts';
import { RedisClient } from '../src/store/redis/client.ts';
import { idOf } from '../src/store/redis/generation.ts';
import type { HeldTools } from '../src/store/redis/held-elsewhere.ts';
import { RedisLimits } from '../src/store/redis/limit-store.ts';

interface Row {
  readonly id: RequestId;
  readonly at: number;
  readonly keyId: KeyId;
  readonly use: Use;
}

/** A gate as far as limits go: its connection, its store, and the rows that it has not written yet. */
export interface LimitGate {
  readonly name: string;
  readonly limits: RedisLimits;
  readonly client: RedisClient;
  readonly account: AccountLimits;
  /** A gate of another time: its clock shows this much more. */
  readonly aheadMs: number;
}

export type Asked = Reserved & { readonly id: RequestId };

export const accountId = 'acc_a' as AccountId;
const calendar = new Calendar('UTC');
let made = 0;
let asked = 0;

export class LimitGates {
  readonly rows: Row[] = [];
  readonly gates: LimitGate[] = [];
  /** The mark of the last journal that rows came from. */
  recoveries = 0;
  readonly #url: string;
  readonly #answerMs: number;

  /** `answerMs`: how long an answer of Redis may take; on a busy machine longer than usual, unless the test lets Redis hang. */
  constructor(url: string, answerMs = 5_000) {
    this.#url = url;
    this.#answerMs = answerMs;
  }

  /** The name of a gate that is still to be opened. */
  nextName(later: number): string {
    return `gate${made + later}#1`;
  }

  /**
   * `alive`: the gates that all of these know. `aheadMs`: how much more their clocks show. `again`: the name of one that has started
   * again. `count`: they ask again who is alive.
   */
  async openGates(
    number: number,
    aheadMs = 0,
    alive: readonly string[] = [],
    again?: string,
    count = (): Promise<void> => Promise.resolve(),
  ): Promise<LimitGate[]> {
    const others: HeldTools['others'] = () =>
      Promise.resolve(this.gates.map(({ name, limits }) => ({ id: idOf(name), held: limits.heldNow })));
    const opened = await Promise.all(
      Array.from({ length: number }, async () => {
        const now = (): number => Date.now() + aheadMs;
        const client = await RedisClient.open({ address: readAddress(this.#url)!, now, answerMs: this.#answerMs });
        const gate = again ?? `gate${++made}#1`;
        const known = (): readonly string[] => (alive.length > 0 ? alive : [gate]);
        const without = new MemoryLimits(calendar);
        const books = this.#books;
        const limits = await RedisLimits.open({
          client,
          calendar,
          now,
          books,
          gate,
          gates: known,
          count,
          others,
          without,
        });
        return { name: gate, limits, client, aheadMs, account: await limits.open(accountId, [], now()) };
      }),
    );
    this.gates.push(...opened);
    return opened;
  }

  async reserve({ account, aheadMs }: LimitGate, who: Principal): Promise<Asked> {
    const id = `req_${++asked}` as RequestId;
    const reserved = await account.of(who.lineage).reserve(id, ask, who, Date.now() + aheadMs, false);
    return Object.assign(reserved, { id });
  }

  /** Many calls at all gates at once. */
  storm(count: number, who: Principal, among = this.gates): Promise<Asked[]> {
    return Promise.all(Array.from({ length: count }, (_, i) => this.reserve(among[i % among.length]!, who)));
  }

  async usedBy(gate: LimitGate, who: Principal): Promise<number[]> {
    const standing = await gate.account.of(who.lineage).look(who, Date.now() + gate.aheadMs, false);
    return [...who.limits.map((limit) => standing.used(limit)), standing.running('account')];
  }

  /** The call ends, and its row reaches the ledger. */
  finish(gate: LimitGate, lease: Lease & { readonly id: RequestId }, who: Principal, tokens = 10): void {
    const use = { requests: 1, promptTokens: tokens, completionTokens: 0, units: 0 };
    lease.settle(use);
    this.rows.push({ id: lease.id, at: lease.at, keyId: who.lineage, use });
    gate.limits.landed([lease.id]);
  }

  /** The row of a call of a gate that has ended, of which Redis knows nothing. */
  recover(who: Principal, tokens = 10): void {
    const use = { requests: 1, promptTokens: tokens, completionTokens: 0, units: 0 };
    this.rows.push({ id: `req_${++asked}` as RequestId, at: Date.now(), keyId: who.lineage, use });
    this.recoveries = Math.max(this.recoveries + 1, Date.now());
  }

  async close(): Promise<void> {
    for (const { limits, client } of this.gates) {
      await limits.close();
      await client.close();
    }
  }

  readonly #books: BookSource = {
    known: (ids) => Promise.resolve(new Set(this.rows.map(({ id }) => id as string).filter((id) => ids.includes(id)))),
    recoveries: () => this.recoveries,
    sums: async (account, at) => {
      const { recoveries } = this;
      // A ledger takes its time.
      await new Promise((resolve) => setTimeout(resolve, 5));
      const buckets = this.rows.map(
        ({ at: began, keyId, use }): UsageBucket => ({ at: began, accountId: account, keyId, refusals: 0, ...use }),
      );
      const { startsAt } = calendar.minute(at);
      return { recoveries, minutes: buckets.filter((bucket) => bucket.at >= startsAt), quarters: buckets };
    },
  };
}

export function caller(terms: Partial<Terms>, narrowing: Narrowing = {}, id = 'key_a'): Principal {
  const key = { id, lineage: id, accountId, kind: 'secret', digest: '', status: 'active' };
  const rest = { scopes: [], models: ['*'], cidr: [], allowPath: false, boundCertificate: null, expiresAt: null };
  const stored = { ...key, ...rest, narrowing } as unknown as StoredKey;
  return principalOf(stored, { ...openTerms, ...terms, name: 'p', version: 1 }, []);
}

export const ask: Ask = { requests: 1, promptTokens: 10, completionTokens: 10, units: 0, spends: true };

export const leasesOf = <T extends Reserved>(all: readonly T[]): (T & Lease)[] =>
  all.filter((each): each is T & Lease => each.kind === 'lease');

export const isUp = ({ client }: LimitGate): void => {
  if (client.state !== 'up') throw new Error(client.state);
};
