// What this process counts on an account and on each of its keys: the windows that limits look at, what runs now, what
// answers lately cost, and the rolling figures of the ladder. One `AccountUsage` an account, read back from the ledger when the
// account is first seen, so that no restart forgets what was used. Decides nothing.
import { type Calendar, type Span, type Window, windowNames } from '../../domain/calendar.ts';
import type { AccountId, KeyId } from '../../domain/id.ts';
import type { Measure } from '../../domain/plan.ts';
import type { Rule } from '../../domain/rule.ts';
import type { Suspension } from '../../domain/suspension.ts';
import type { Clocks, SteadyMs } from '../../domain/time.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { Store } from '../../store/ports/store.ts';
import type { Holder } from '../payload/body-budget.ts';
import { AccountLine } from './account-line.ts';
import type { RollingCount } from './rolling-count.ts';

/** What was let through in one window: settled, and reserved by what still runs. */
export class WindowCount implements Span {
  startsAt = -1;
  endsAt = -1;
  requests = 0;
  promptTokens = 0;
  completionTokens = 0;

  /** Begins anew where the window is another one. */
  roll({ startsAt, endsAt }: Span): void {
    if (this.startsAt === startsAt) return;
    this.startsAt = startsAt;
    this.endsAt = endsAt;
    this.requests = 0;
    this.promptTokens = 0;
    this.completionTokens = 0;
  }

  add(requests: number, promptTokens: number, completionTokens: number): void {
    this.requests += requests;
    this.promptTokens += promptTokens;
    this.completionTokens += completionTokens;
  }

  used(measure: Measure): number {
    return measure === 'tokens' ? this.promptTokens + this.completionTokens : this[measure];
  }
}

/** Lately finished answers, to guess what the next one will cost. */
const remembered = 32;

/** One subject of counting: an account, or a key with the keys it replaced. */
export class UsageCounters {
  readonly windows = Object.fromEntries(windowNames.map((name) => [name, new WindowCount()])) as Readonly<
    Record<Window, WindowCount>
  >;
  readonly #all: readonly WindowCount[] = windowNames.map((name) => this.windows[name]);
  /** Calls inside the gate that spend: waiting for their turn at a model, or being answered. */
  running = 0;
  /** Told when one of them has ended. */
  onEnd: (() => void) | undefined;
  /** The ladder's figures, by rule. */
  readonly rolling = new Map<string, RollingFigure>();
  readonly #answers = new Uint32Array(remembered);
  #answered = 0;
  #longest = 0;

  /** Every window begins with a minute, in every zone, so while the minute is the same nothing has changed. */
  roll(calendar: Calendar, now: SteadyMs): void {
    const { minute } = this.windows;
    if (now >= minute.startsAt && now < minute.endsAt) return;
    for (const name of windowNames) this.windows[name].roll(calendar[name](now));
  }

  /** Into the windows in which a call began at `at`; one that has passed since takes nothing any more. */
  add(at: number, requests: number, promptTokens: number, completionTokens: number): void {
    for (const window of this.#all)
      if (at >= window.startsAt && at < window.endsAt) window.add(requests, promptTokens, completionTokens);
  }

  noteAnswer(completionTokens: number): void {
    const place = this.#answered++ % remembered;
    const forgotten = this.#answers[place] as number;
    const tokens = Math.min(completionTokens, 0xffffffff);
    this.#answers[place] = tokens;
    if (tokens >= this.#longest) this.#longest = tokens;
    else if (forgotten === this.#longest) this.#longest = Math.max(...this.#answers);
  }

  /** Completion tokens of the longest of the last answers; undefined where there were none. */
  get longestAnswer(): number | undefined {
    return this.#answered === 0 ? undefined : this.#longest;
  }
}

export interface RollingFigure {
  readonly rule: Rule;
  readonly count: RollingCount;
  /** Until when the step that this figure led to stands, so that it is not taken twice. */
  takenUntil: SteadyMs;
  /** When that step was in the store; a caller who was read after that and does not show it has had it lifted. */
  storedAt: SteadyMs;
}

/** Are the calls of a caller counted, and where? A caller whose account has no limits is not. */
export type Metering = Metered | { readonly kind: 'unmetered' };

export interface Metered {
  readonly kind: 'metered';
  readonly usage: AccountUsage;
}

export const unmetered: Metering = { kind: 'unmetered' };

/** The account whose share of all request bodies a body takes; undefined for callers that are not counted. */
export const bodiesOf = (metering: Metering): Holder | undefined =>
  metering.kind === 'metered' ? metering.usage : undefined;

/** The same of answers that wait for their readers. */
export const answersOf = (metering: Metering): Holder | undefined =>
  metering.kind === 'metered' ? metering.usage.answers : undefined;

export class AccountUsage {
  /** What the proofs of its calls carry. */
  readonly metered: Metered = { kind: 'metered', usage: this };
  readonly account = new UsageCounters();
  /** Calls that wait until fewer of the account run. */
  readonly line = new AccountLine();
  readonly #keys = new Map<KeyId, UsageCounters>();
  lastSeenAt: SteadyMs = 0;
  /** Bytes of request bodies that are held for it. */
  heldBytes = 0;
  /** Bytes of answers that wait for its readers. */
  readonly answers: Holder = { heldBytes: 0 };

  constructor() {
    this.account.onEnd = () => this.line.fill();
  }

  key(lineage: KeyId): UsageCounters {
    let counters = this.#keys.get(lineage);
    if (!counters) {
      counters = new UsageCounters();
      this.#keys.set(lineage, counters);
    }
    return counters;
  }

  get idle(): boolean {
    const held = this.heldBytes + this.answers.heldBytes;
    return this.account.running === 0 && held === 0 && this.line.length === 0;
  }

  /** Does it hold figures that no row of the ledger has? Guesses at a key leave none. */
  holdsUnwritten(now: SteadyMs): boolean {
    for (const counters of [this.account, ...this.#keys.values()])
      for (const { rule, count } of counters.rolling.values())
        if (rule.measure === 'failedAuthentications' && count.total(now) > 0) return true;
    return false;
  }
}

/** What the store knows of an account when its usage is opened; its key ids are those of the first of their row. */
export interface History {
  /** By the quarter of an hour, the last by the minute; the oldest first, at times of the steady clock. */
  readonly buckets: readonly UsageBucket[];
  /** The newest first, at times of the wall clock. */
  readonly steps: readonly Suspension[];
}

type Source = Pick<Store, 'usageByMinute' | 'usageByQuarter' | 'findKey' | 'listSuspensions'>;

const hourMs = 3_600_000;
/** Longest rolling window that is read back. */
const historyMs = 31 * 24 * hourMs;
/** Usage that was not opened for so long holds nothing that the roll-ups do not. */
const forgetAfterMs = 2 * hourMs;

export class AccountUsages {
  readonly #source: Source;
  readonly #calendar: Calendar;
  readonly #clocks: Clocks;
  readonly #onOpen: (usage: AccountUsage, history: History) => void;
  readonly #accountUsages = new Map<AccountId, AccountUsage>();
  readonly #opening = new Map<AccountId, Promise<AccountUsage>>();
  /** Minutes before this process began, of accounts not seen yet; all from `fineFrom` on are in it. */
  readonly #minutes: Map<AccountId, UsageBucket[]>;
  readonly #fineFrom: number;

  private constructor(
    source: Source,
    calendar: Calendar,
    clocks: Clocks,
    onOpen: (usage: AccountUsage, history: History) => void,
    minutes: readonly UsageBucket[],
    fineFrom: number,
  ) {
    this.#source = source;
    this.#calendar = calendar;
    this.#clocks = clocks;
    this.#onOpen = onOpen;
    this.#minutes = Map.groupBy(minutes, ({ accountId }) => accountId);
    this.#fineFrom = fineFrom;
  }

  /**
   * Reads the last hour or two by the minute; everything older is read by the quarter of an hour, an account at a time. `onOpen` is
   * told of each with what it was filled from, which is not kept.
   */
  static async open(
    source: Source,
    calendar: Calendar,
    clocks: Clocks,
    onOpen: (usage: AccountUsage, history: History) => void,
  ): Promise<AccountUsages> {
    const oldest = clocks.wall() - hourMs;
    const fineFrom = oldest - (oldest % hourMs);
    return new AccountUsages(source, calendar, clocks, onOpen, await source.usageByMinute(fineFrom), fineFrom);
  }

  /** At hand without waiting, once the account has been seen. */
  of(accountId: AccountId): AccountUsage | Promise<AccountUsage> {
    const usage = this.#accountUsages.get(accountId);
    if (usage) return usage;
    let opening = this.#opening.get(accountId);
    if (!opening) {
      opening = this.#open(accountId).finally(() => this.#opening.delete(accountId));
      this.#opening.set(accountId, opening);
    }
    return opening;
  }

  /** Closes those that nobody needed for hours. To be called every so often. */
  sweep(): void {
    // The ledger goes by the wall clock. When that was set, rows from before lie in other windows than they were counted in.
    if (this.#clocks.wasSet) return;
    const now = this.#clocks.steady();
    const before = now - forgetAfterMs;
    for (const [accountId, usage] of this.#accountUsages)
      if (usage.idle && usage.lastSeenAt < before && !usage.holdsUnwritten(now)) this.#accountUsages.delete(accountId);
  }

  async #open(accountId: AccountId): Promise<AccountUsage> {
    const { wall, steady, toSteady } = this.#clocks;
    const [wallNow, now] = [wall(), steady()];
    const minutes = this.#minutes.get(accountId) ?? [];
    const before = this.#minutes.has(accountId) ? this.#fineFrom : Infinity;
    const [quarters, steps] = await Promise.all([
      this.#source.usageByQuarter(accountId, wallNow - historyMs, Math.min(before, wallNow + 1)),
      this.#source.listSuspensions({ accountId, limit: 200 }),
    ]);
    // The rows are dated by the wall clock, the windows by the steady one.
    const buckets = [...quarters, ...minutes].map((bucket) => ({
      ...bucket,
      at: toSteady(bucket.at),
    }));
    const lineages = await this.#lineages([...buckets, ...steps]);
    const firstOf = (id: KeyId): KeyId => lineages.get(id) ?? id;
    const history: History = {
      buckets: buckets.toSorted((a, b) => a.at - b.at).map((bucket) => ({ ...bucket, keyId: firstOf(bucket.keyId) })),
      steps: steps.map((step) => ({ ...step, keyId: step.keyId && firstOf(step.keyId) })),
    };
    const usage = new AccountUsage();
    usage.lastSeenAt = now;
    usage.account.roll(this.#calendar, now);
    for (const bucket of history.buckets) {
      const key = usage.key(bucket.keyId);
      key.roll(this.#calendar, now);
      const { at, requests, promptTokens, completionTokens } = bucket;
      for (const counters of [usage.account, key]) counters.add(at, requests, promptTokens, completionTokens);
    }
    this.#onOpen(usage, history);
    this.#minutes.delete(accountId);
    this.#accountUsages.set(accountId, usage);
    return usage;
  }

  async #lineages(named: readonly { readonly keyId: KeyId | null }[]): Promise<ReadonlyMap<KeyId, KeyId>> {
    const ids = [...new Set(named.flatMap(({ keyId }) => keyId ?? []))];
    const keys = await Promise.all(ids.map((id) => this.#source.findKey(id)));
    return new Map(keys.flatMap((key) => (key ? [[key.id, key.lineage] as const] : [])));
  }
}
