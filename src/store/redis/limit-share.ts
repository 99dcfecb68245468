// What one gate lets through while Redis is away: its share of the limits per minute and of the calls that may run at once, counted in
// its own memory. Longer windows are closed, because nothing here knows what was used in them. If there are several gates, the minute
// in which Redis went is closed as well: others may have used it up.
import type { Calendar } from '../../domain/calendar.ts';
import { GatewayError } from '../../domain/error.ts';
import type { KeyId, RequestId } from '../../domain/id.ts';
import { type Ask, type CallerBounds, type Limit, needOf, type Standing } from '../../domain/limit.ts';
import type { Soon } from '../../domain/soon.ts';
import type { SteadyMs } from '../../domain/time.ts';
import type { AccountLimits, Lease, Reserved } from '../ports/limit-store.ts';

export interface ShareTools {
  readonly calendar: Calendar;
  /** How many gates are alive, this one among them. */
  readonly gates: () => number;
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
  readonly #limits: AccountLimits;
  readonly #tools: ShareTools;

  /** `limits`: in the memory of this gate. */
  constructor(limits: AccountLimits, tools: ShareTools) {
    this.#limits = limits;
    this.#tools = tools;
  }

  /** Counts a lease of Redis here, too: what this gate has let through is part of its share. */
  async note(key: KeyId, id: RequestId, ask: Ask, at: SteadyMs): Promise<Lease> {
    const reserved = await this.#limits.of(key).reserve(id, ask, none, at, false);
    if (reserved.kind !== 'lease') throw new Error('A call was refused without limits.');
    return reserved;
  }

  /** @throws GatewayError `limits_unavailable` if the call counts in a window that nothing here knows. */
  reserve(key: KeyId, { id, ask, bounds, at, slowed }: Asked): Soon<Reserved> {
    const gates = Math.max(1, this.#tools.gates());
    for (const limit of bounds.limits) if (needOf(limit, ask) > 0) this.#refuseUnknown(limit, gates, at);
    const share = (most: number): number => (most === 0 ? 0 : Math.max(1, Math.floor(most / gates)));
    const limits = bounds.limits.filter(isShared).map((limit) => ({ ...limit, most: share(limit.most) }));
    const atOnce = bounds.atOnce.map((most) => (most === null ? null : share(most)));
    return this.#limits.of(key).reserve(id, ask, { limits, atOnce }, at, slowed);
  }

  look(key: KeyId, bounds: CallerBounds, at: SteadyMs, slowed: boolean): Soon<Standing> {
    return this.#limits.of(key).look(bounds, at, slowed);
  }

  #refuseUnknown(limit: Limit, gates: number, at: SteadyMs): void {
    if (!isShared(limit)) throw new GatewayError('limits_unavailable');
    if (gates === 1) return;
    const { startsAt, endsAt } = this.#tools.calendar.minute(at);
    if (this.#tools.awaySince() < startsAt) return;
    throw new GatewayError('limits_unavailable', { retryAfterSeconds: Math.max(1, Math.ceil((endsAt - at) / 1000)) });
  }
}

const isShared = ({ window }: Limit): boolean => window === 'minute';
