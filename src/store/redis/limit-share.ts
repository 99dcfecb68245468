// What one gate lets through while Redis is away: its share of the limits per minute and of the calls that may run at once, counted in
// its own memory. Longer windows are closed, because nothing here knows what was used in them. If there are several gates, the minute
// in which Redis went is closed as well: others may have used it up.
import type { Calendar } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import type { AccountId, KeyId, RequestId } from '../../domain/id.ts';
import { type Ask, type CallerBounds, type Limit, needOf, type Standing, subjectNames } from '../../domain/limit.ts';
import type { Soon } from '../../domain/soon.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { AccountLimits, Lease, Reserved } from '../ports/limit-store.ts';
import type { HeldElsewhere } from './held-elsewhere.ts';
import { shareOf } from './share-of.ts';

export interface ShareTools {
  readonly calendar: Calendar;
  /** The ids of the gates that are alive, and of this one among them. */
  readonly gates: () => readonly string[];
  readonly gate: string;
  /** Resolves when it is known which gates were alive when Redis went, or the database does not say so in time. */
  readonly counted: () => Promise<unknown>;
  readonly elsewhere: HeldElsewhere;
  /** When Redis went away, in its time. */
  readonly awaySince: () => number;
}

interface Asked {
  readonly id: RequestId;
  readonly ask: Ask;
  readonly bounds: CallerBounds;
  readonly at: SteadyMs;
  readonly slowed: boolean;
}

const none: CallerBounds = { limits: [], atOnce: [] };

/** The share of one account. */
export class LocalShare {
  readonly #account: AccountId;
  readonly #limits: AccountLimits;
  readonly #tools: ShareTools;

  /** `limits`: in the memory of this gate. */
  constructor(account: AccountId, limits: AccountLimits, tools: ShareTools) {
    this.#account = account;
    this.#limits = limits;
    this.#tools = tools;
  }

  /** Counts a lease of Redis here, too: what this gate has let through is part of its share. */
  async note(key: KeyId, id: RequestId, ask: Ask, at: SteadyMs): Promise<Lease> {
    const reserved = await this.#limits.of(key).reserve(id, ask, none, at, false);
    if (reserved.kind !== 'lease') throw new Error('A call was refused without limits.');
    return reserved;
  }

  /**
   * Whether Redis would not decide otherwise: this gate is the only one and has counted here whatever counts for the call, or nothing
   * counts for it.
   */
  decides(ask: Ask, { limits, atOnce }: CallerBounds): boolean {
    const counted = limits.filter((limit) => needOf(limit, ask) > 0);
    return this.#tools.gates().length === 1
      ? counted.every(isShared)
      : counted.length === 0 && !(ask.spends && atOnce.some((most) => most !== null));
  }

  /**
   * @throws GatewayError `limits_unavailable` if the call counts in a window that nothing here knows, or if no part of a limit belongs
   * to this gate.
   */
  async reserve(key: KeyId, { id, ask, bounds, at, slowed }: Asked): Promise<Reserved> {
    const { gates, gate, elsewhere, counted } = this.#tools;
    await counted();
    for (const limit of bounds.limits) if (needOf(limit, ask) > 0) this.#refuseUnknown(limit, at);
    const limits = bounds.limits.filter(isShared).map((limit) => {
      const most = shareOf(gates(), gate, `${this.#account} ${limit.label}`, limit.most);
      if (most === 0 && limit.most > 0 && needOf(limit, ask) > 0) throw new GatewayError('limits_unavailable');
      return { ...limit, most };
    });
    if (ask.spends && bounds.atOnce.some((most) => most !== null && most > 0)) await this.#awaitOthers();
    const atOnce = bounds.atOnce.map((most, on) => {
      if (most === null || most === 0) return most;
      const own = elsewhere.mostOf(subjectOf(this.#account, subjectNames[on] === 'account' ? undefined : key), most);
      if (own === 0 && ask.spends) throw new GatewayError('limits_unavailable');
      return own;
    });
    return this.#limits.of(key).reserve(id, ask, { limits, atOnce }, at, slowed);
  }

  /** Calls that run at other gates count, so these are asked first. */
  async #awaitOthers(): Promise<void> {
    if (this.#tools.gates().length > 1) await this.#tools.elsewhere.known();
  }

  look(key: KeyId, bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing> {
    return this.#limits.of(key).look(bounds, at, slowed);
  }

  #refuseUnknown(limit: Limit, at: SteadyMs): void {
    if (!isShared(limit)) throw new GatewayError('limits_unavailable');
    if (this.#tools.gates().length === 1) return;
    const { startsAt, endsAt } = this.#tools.calendar.minute(at);
    if (this.#tools.awaySince() < startsAt) return;
    throw new GatewayError('limits_unavailable', { retryAfterSeconds: Math.max(1, Math.ceil((endsAt - at) / 1000)) });
  }
}

/** Names an account, or a key of it, among the gates. */
export const subjectOf = (account: AccountId, key: KeyId | undefined): string =>
  key === undefined ? account : `${account} ${key}`;

const isShared = ({ window }: Limit): boolean => window === 'minute';
