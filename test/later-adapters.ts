// Limits and turns in memory that are asked and answered on later turns of the event loop, as by a store on another machine:
// what was true when it was asked may not be true any more when the answer is there.
import type { Calendar } from '../src/domain/calendar.ts';
import type { AccountId, KeyId, RequestId } from '../src/domain/id.ts';
import { type Ask, type CallerBounds, type Limit, type Standing, subjectNames, type Use } from '../src/domain/limit.ts';
import type { SteadyMs } from '../src/domain/time.ts';
import type { UsageBucket } from '../src/domain/usage.ts';
import { FairQueue, type QueueSettings } from '../src/store/memory/fair-queue.ts';
import { MemoryLimits } from '../src/store/memory/limit-store.ts';
import type { AccountLimits, CallerLimits, Lease, LimitStore, Reserved } from '../src/store/ports/limit-store.ts';
import type { Held, LaneNow, Place, Slot, Turn, TurnQueue } from '../src/store/ports/turn-queue.ts';

/** A question or an answer is on its way. */
const onTheWay = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Figures as they were: they do not go on counting. */
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
  #ended: (() => void) | undefined;

  constructor(lease: Lease, standing: Standing, ended: () => void) {
    this.standing = standing;
    this.at = lease.at;
    this.#lease = lease;
    this.#ended = ended;
  }

  settle(use: Use): void {
    this.#end(() => this.#lease.settle(use));
  }

  cancel(): void {
    this.#end(() => this.#lease.cancel());
  }

  #end(work: () => void): void {
    void onTheWay().then(work);
    this.#ended?.();
    this.#ended = undefined;
  }
}

class LaterAccount implements AccountLimits {
  held = 0;
  onEnd: (() => void) | undefined;
  readonly #account: AccountLimits;

  constructor(account: AccountLimits) {
    this.#account = account;
    account.onEnd = () => void onTheWay().then(() => this.onEnd?.());
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
      await onTheWay();
      const reserved = await caller.reserve(id, ask, bounds, at, slowed);
      const standing = new Copied(reserved.standing, bounds.limits);
      if (reserved.kind === 'lease') this.held++;
      await onTheWay();
      return reserved.kind === 'lease'
        ? new LaterLease(reserved, standing, () => this.held--)
        : { ...reserved, standing };
    };
    const look = async (bounds: CallerBounds, at: SteadyMs, slowed: boolean): Promise<Standing> => {
      await onTheWay();
      return new Copied(await caller.look(bounds, at, slowed), bounds.limits);
    };
    return { look, reserve };
  }
}

export class LaterLimits implements LimitStore {
  readonly #limits: MemoryLimits;

  constructor(calendar: Calendar) {
    this.#limits = new MemoryLimits(calendar);
  }

  async open(account: AccountId, recorded: readonly UsageBucket[], at: SteadyMs): Promise<AccountLimits> {
    await onTheWay();
    return new LaterAccount(this.#limits.open(account, recorded, at));
  }
}

/** A call's ticket: what the queue says reaches the call later, and a call that left hears nothing any more. */
class Ticket<Server> implements Turn<Server> {
  readonly #turn: Turn<Server>;
  left = false;

  constructor(turn: Turn<Server>) {
    this.#turn = turn;
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

  start(slot: Slot<Server>): void {
    void onTheWay().then(() => (this.left ? slot.release(0) : this.#turn.start(later(slot))));
  }

  refuse(code: 'queue_full' | 'queue_timeout'): void {
    void onTheWay().then(() => (this.left ? undefined : this.#turn.refuse(code)));
  }
}

function later<Server>(slot: Slot<Server>): Slot<Server> {
  const { kind, server } = slot;
  return {
    kind,
    server,
    release: (cost: number | undefined, held?: Held) => void onTheWay().then(() => slot.release(cost, held)),
  };
}

export class LaterQueue<Server> implements TurnQueue<Server> {
  readonly #queue: FairQueue<Server>;

  constructor(settings: QueueSettings<Server>) {
    this.#queue = new FairQueue(settings);
  }

  async enter(model: string, turn: Turn<Server>, nowMs: number): Promise<Slot<Server> | Place | undefined> {
    const ticket = new Ticket(turn);
    await onTheWay();
    const entered = this.#queue.enter(model, ticket, nowMs);
    await onTheWay();
    if (entered === undefined) return undefined;
    if (entered.kind === 'slot') return later(entered);
    const { kind, enteredMs, position } = entered;
    const leave = (): void => {
      ticket.left = true;
      void onTheWay().then(() => entered.leave());
    };
    return { kind, enteredMs, position, leave };
  }

  sweep(nowMs: number): void {
    this.#queue.sweep(nowMs);
  }

  snapshot(): LaneNow[] {
    return this.#queue.snapshot();
  }
}
