// Limits and turns in memory that are asked and answered in later turns of the event loop, as by a store on another machine:
// a fact that held when it was asked may no longer hold when the answer arrives.
import type { Calendar } from '../src/domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../src/domain/id.ts';
import { type Ask, type CallerBounds, type Limit, type Standing, subjectNames, type Use } from '../src/domain/limit.ts';
import type { SteadyMs } from '../src/domain/time.ts';
import type { UsageBucket } from '../src/domain/usage.ts';
import { FairQueue } from '../src/store/memory/fair-queue.ts';
import { MemoryLimits } from '../src/store/memory/limit-store.ts';
import type { AccountLimits, CallerLimits, Lease, LimitStore, Reserved } from '../src/store/ports/limit-store.ts';
import type { Held, LaneNow, Place, QueueSettings, Slot, Turn, TurnQueue } from '../src/store/ports/turn-queue.ts';

/** How long a question or an answer is on its way. A test may hold it, or let it fail. */
export type Way = (what: 'open' | 'look' | 'reserve' | 'end' | 'enter' | 'turn' | 'answer') => Promise<void>;

export const nextTurn: Way = () => new Promise((resolve) => setImmediate(resolve));

/** Copies of the figures, which do not continue to count. */
class Copied implements Standing {
  readonly slowed: boolean;
  readonly #figures: ReadonlyMap<string, { readonly used: number; readonly endsAt: SteadyMs }>;
  readonly #running: ReadonlyMap<string, number>;

  constructor(standing: Standing, limits: readonly Limit[]) {
    this.slowed = standing.slowed;
    this.#figures = new Map(
      limits.map((limit) => [limit.label, { used: standing.used(limit), endsAt: standing.endsAt(limit) }]),
    );
    this.#running = new Map(subjectNames.map((on) => [on, standing.running(on)]));
  }

  used = ({ label }: Limit): number => this.#figures.get(label)!.used;
  endsAt = ({ label }: Limit): SteadyMs => this.#figures.get(label)!.endsAt;
  running = (on: string): number => this.#running.get(on)!;
}

class LaterLease implements Lease {
  readonly kind = 'lease';
  readonly standing: Standing;
  readonly at: SteadyMs;
  readonly #lease: Lease;
  readonly #way: Way;
  #ended: (() => void) | undefined;

  constructor(lease: Lease, standing: Standing, way: Way, ended: () => void) {
    this.standing = standing;
    this.at = lease.at;
    this.#lease = lease;
    this.#way = way;
    this.#ended = ended;
  }

  settle(use: Use): void {
    this.#end(() => this.#lease.settle(use));
  }

  cancel(): void {
    this.#end(() => this.#lease.cancel());
  }

  #end(work: () => void): void {
    void this.#way('end').then(work);
    this.#ended?.();
    this.#ended = undefined;
  }
}

class LaterAccount implements AccountLimits {
  held = 0;
  onEnd: (() => void) | undefined;
  readonly #account: AccountLimits;
  readonly #way: Way;

  constructor(account: AccountLimits, way: Way) {
    this.#account = account;
    this.#way = way;
    account.onEnd = () => void way('end').then(() => this.onEnd?.());
  }

  of(lineage: KeyId): CallerLimits {
    const caller = this.#account.of(lineage);
    const reserve = async (
      id: RequestId,
      ask: Ask,
      bounds: CallerBounds,
      at: SteadyMs,
      slowed: boolean,
    ): Promise<Reserved> => {
      await this.#way('reserve');
      const reserved = await caller.reserve(id, ask, bounds, at, slowed);
      const standing = new Copied(reserved.standing, bounds.limits);
      if (reserved.kind === 'lease') this.held++;
      await this.#way('answer');
      return reserved.kind === 'lease'
        ? new LaterLease(reserved, standing, this.#way, () => this.held--)
        : { ...reserved, standing };
    };
    const look = async (bounds: CallerBounds, at: SteadyMs, slowed: boolean): Promise<Standing> => {
      await this.#way('look');
      return new Copied(await caller.look(bounds, at, slowed), bounds.limits);
    };
    return { look, glance: look, reserve };
  }
}

export class LaterLimits implements LimitStore {
  readonly #limits: MemoryLimits;
  readonly #way: Way;

  constructor(calendar: Calendar, way: Way = nextTurn) {
    this.#way = way;
    this.#limits = new MemoryLimits(calendar);
  }

  async open(account: AccountId, recorded: readonly UsageBucket[], at: SteadyMs): Promise<AccountLimits> {
    await this.#way('open');
    return new LaterAccount(this.#limits.open(account, recorded, at), this.#way);
  }
}

/** A call's ticket: what the queue says reaches the call later, and a call that left hears nothing more. */
class Ticket<Server> implements Turn<Server> {
  readonly #turn: Turn<Server>;
  readonly #way: Way;
  left = false;

  constructor(turn: Turn<Server>, way: Way) {
    this.#turn = turn;
    this.#way = way;
  }

  get accountId(): string {
    return this.#turn.accountId;
  }

  get cost(): number {
    return this.#turn.cost;
  }

  get most(): number {
    return this.#turn.most;
  }

  get weight(): number {
    return this.#turn.weight;
  }

  get behind(): boolean {
    return this.#turn.behind;
  }

  get reach(): readonly Server[] | undefined {
    return this.#turn.reach;
  }

  start(slot: Slot<Server>): void {
    void this.#way('turn').then(() => (this.left ? slot.release(0) : this.#turn.start(later(slot, this.#way))));
  }

  refuse(code: 'queue_full' | 'queue_timeout'): void {
    void this.#way('turn').then(() => (this.left ? undefined : this.#turn.refuse(code)));
  }
}

function later<Server>(slot: Slot<Server>, way: Way): Slot<Server> {
  const { kind, server } = slot;
  return {
    kind,
    server,
    release: (cost: number | undefined, held?: Held) => void way('end').then(() => slot.release(cost, held)),
  };
}

export class LaterQueue<Server> implements TurnQueue<Server> {
  readonly #queue: FairQueue<Server>;
  readonly #way: Way;

  constructor(settings: QueueSettings<Server>, way: Way = nextTurn) {
    this.#way = way;
    this.#queue = new FairQueue(settings);
  }

  async enter(model: string, turn: Turn<Server>, nowMs: number): Promise<Slot<Server> | Place | undefined> {
    const ticket = new Ticket(turn, this.#way);
    await this.#way('enter');
    const entered = this.#queue.enter(model, ticket, nowMs);
    await this.#way('answer');
    if (entered === undefined) return undefined;
    if (entered.kind === 'slot') return later(entered, this.#way);
    const { kind, enteredMs, position } = entered;
    const leave = (): void => {
      ticket.left = true;
      void this.#way('end').then(() => entered.leave());
    };
    return { kind, enteredMs, position, leave, look: () => entered.look() };
  }

  sweep(nowMs: number): void {
    this.#queue.sweep(nowMs);
  }

  snapshot(): LaneNow[] {
    return this.#queue.snapshot();
  }
}
