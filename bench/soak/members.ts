// The callers of a soak: members with plans of every kind, one of whom has their keys revoked and remade all the time, and
// the operator, whom no limit counts. Afterwards the limits of each are compared with the ledger.
import { setTimeout as sleep } from 'node:timers/promises';
import { Calendar, type Window, windowNames } from '../../src/domain/calendar.ts';
import type { Measure } from '../../src/domain/limit.ts';
import { firstRules } from '../../src/domain/rule.ts';
import { neverLeft, type Outcome } from '../../src/domain/usage.ts';
import { createAccount } from '../../src/management/accounts/accounts.ts';
import { createPlan } from '../../src/management/plans/plans.ts';
import { changeRule } from '../../src/management/rules/rules.ts';
import type { GateProcess } from '../../test/gate.ts';
import type { LedgerAudit, Row } from './ledger-audit.ts';
import type { Habit } from './mix.ts';

export interface Member {
  readonly name: string;
  /** Undefined for the operator. */
  readonly account: string | undefined;
  readonly connections: readonly Habit[];
  keyId: string;
  secret: string;
}

const wide = {
  requestsPerDay: 1_000_000_000,
  tokensPerDay: 2_000_000_000_000,
  tokensPerMonth: 3_000_000_000_000,
  promptTokensPerMonth: 4_000_000_000_000,
  completionTokensPerDay: 5_000_000_000_000,
};
/** The concurrency of the crowded member's plan. */
export const crowdedAtOnce = 3;

const times = (count: number, habit: Habit): Habit[] => Array.from({ length: count }, () => habit);

interface Draft {
  readonly name: string;
  readonly terms: Readonly<Record<string, number>> | undefined;
  /** The key has limits of its own. */
  readonly narrowed?: boolean;
  readonly connections: readonly Habit[];
}

const drafts: readonly Draft[] = [
  { name: 'first', terms: wide, connections: times(8, 'mixed') },
  { name: 'second', terms: { ...wide, maxOutputTokens: 64 }, narrowed: true, connections: times(8, 'mixed') },
  { name: 'third', terms: { ...wide, tokensPerMinute: 1_000_000_000 }, connections: times(8, 'mixed') },
  {
    name: 'crowded',
    terms: { ...wide, concurrentRequests: crowdedAtOnce, waitingRequests: 0 },
    connections: times(5, 'mixed'),
  },
  { name: 'limited', terms: { ...wide, requestsPerMinute: 300 }, connections: times(1, 'mixed') },
  { name: 'waiting', terms: wide, connections: times(5, 'queueing') },
  { name: 'favoured', terms: { ...wide, queueWeight: 4 }, connections: times(5, 'queueing') },
  { name: 'changing', terms: wide, connections: [...times(4, 'plain'), ...times(2, 'holding')] },
  { name: 'operator', terms: undefined, connections: times(4, 'mixed') },
];

export async function makeMembers(gate: GateProcess): Promise<Member[]> {
  const accounts = new Map<string, string>();
  await gate.manage(async (store, author) => {
    // No rule may take a step: a soak deliberately looks like abuse.
    for (const { name } of firstRules) await changeRule(store, name, { threshold: 1_000_000_000_000_000 }, author);
    for (const { name, terms } of drafts) {
      if (!terms) continue;
      await createPlan(store, name, terms, undefined, author);
      accounts.set(name, (await createAccount(store, name, name, author)).id);
    }
  });
  const members: Member[] = [];
  for (const { name, narrowed, connections } of drafts) {
    const made = await gate.key({ name, account: name, ...(narrowed ? { limits: wide } : {}) });
    members.push({ name, account: accounts.get(name), connections, keyId: made.id, secret: made.secret });
  }
  return members;
}

/** The management API, called with an operator's key. */
export class Operator {
  readonly #url: string;
  readonly #secret: string;

  constructor(url: string, secret: string) {
    this.#url = url;
    this.#secret = secret;
  }

  async ask<T>(method: 'GET' | 'POST', path: string, body?: unknown, secret = this.#secret): Promise<T> {
    const send = (): Promise<Response> =>
      fetch(`${this.#url}/management/v1${path}`, {
        method,
        headers: { 'x-api-key': secret, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    let answer = await send();
    // Changes are rate-limited; a run of many minutes reaches the limit.
    while (answer.status === 429) {
      await answer.body?.cancel();
      await sleep(Number(answer.headers.get('retry-after') ?? 1) * 1000);
      answer = await send();
    }
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** Revokes the member's key and makes another, in either order, until `isOver`. Returns how many were revoked. */
  async change(member: Member, isOver: () => boolean): Promise<number> {
    for (let revoked = 0; ; ) {
      await sleep(300);
      const first = revoked % 2 === 0;
      const old = member.keyId;
      if (first) await this.#revoke(old);
      const made = await this.ask<{ id: string; secret: string }>('POST', '/keys', {
        name: `${member.name} ${revoked}`,
        account: member.name,
      });
      member.keyId = made.id;
      member.secret = made.secret;
      if (!first) await this.#revoke(old);
      revoked++;
      if (isOver()) return revoked;
    }
  }

  async #revoke(id: string): Promise<void> {
    await this.ask('POST', `/keys/${id}/revoke`);
  }
}

interface Limits {
  readonly items: readonly {
    readonly name: string;
    readonly per: 'account' | 'key';
    readonly measure: Measure;
    readonly window: Window;
    readonly used: number;
    readonly resetsAt: string;
  }[];
}

/** What every member has used according to the ledger, by window. */
export class Used {
  readonly #calendar = new Calendar('UTC');
  readonly #figures = new Map<string, number>();

  readonly add = ({ at, account, lineage, outcome, upstream, prompt, completion }: Row): void => {
    const requests = neverLeft(outcome as Outcome, upstream) ? 0 : 1;
    for (const window of windowNames) {
      if (window === 'minute') continue;
      const ends = this.#calendar[window](at).endsAt;
      for (const whose of [account, lineage])
        for (const [measure, figure] of Object.entries({
          requests,
          tokens: prompt + completion,
          promptTokens: prompt,
          completionTokens: completion,
        })) {
          // The last hour of a day ends with it.
          const name = `${whose} ${measure} ${window} ${ends}`;
          this.#figures.set(name, (this.#figures.get(name) ?? 0) + figure);
        }
    }
  };

  /**
   * Every limit per hour, day and month of these members must agree with the ledger. Returns how many were compared.
   */
  async holdAgainstLimits(members: readonly Member[], operator: Operator, audit: LedgerAudit): Promise<number> {
    let looked = 0;
    for (const { name, account, keyId, secret } of members) {
      if (account === undefined) continue;
      const { items } = await operator.ask<Limits>('GET', '/me/limits', undefined, secret);
      for (const limit of items) {
        if (limit.window === 'minute') continue;
        looked++;
        const whose = limit.per === 'account' ? account : keyId;
        const wanted =
          this.#figures.get(`${whose} ${limit.measure} ${limit.window} ${Date.parse(limit.resetsAt)}`) ?? 0;
        if (limit.used !== wanted)
          audit.fault(`${limit.name} of ${name} stands at ${limit.used}, and the ledger has ${wanted}.`);
      }
    }
    return looked;
  }
}
