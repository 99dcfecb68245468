// How the limits of a caller stood when Redis answered.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import { type Limit, mostOf, type Standing, type SubjectName, subjectNames } from '../../domain/limit.ts';
import type { SteadyMs } from '../../domain/time.ts';

const windowCount = windowNames.length;

/** Asks one of the scripts with these arguments. */
export type Asking = (args: readonly (string | number)[]) => Promise<unknown>;

/** What the scripts `look` and `reserve` answer. */
export type Answer = readonly [kind: string, which: number, ...figures: number[]];

/** An answer, and how far this machine's clock is behind that of Redis. */
export interface Told {
  readonly answer: Answer;
  readonly standing: RedisStanding;
  readonly aheadMs: number;
}

export class RedisStanding implements Standing {
  readonly slowed: boolean;
  readonly #answer: Answer;
  readonly #limits: readonly Limit[];
  readonly #calendar: Calendar;
  /** In the time of Redis. */
  readonly #at: number;
  readonly #aheadMs: number;

  constructor(
    answer: Answer,
    limits: readonly Limit[],
    calendar: Calendar,
    { at, aheadMs, slowed }: { readonly at: number; readonly aheadMs: number; readonly slowed: boolean },
  ) {
    this.#answer = answer;
    this.#limits = limits;
    this.#calendar = calendar;
    this.#at = at;
    this.#aheadMs = aheadMs;
    this.slowed = slowed;
  }

  /** Leases that have run out, of a gate that may have ended. */
  get isStale(): boolean {
    return this.#answer[4] === 1;
  }

  /** When the windows began in which the call counts. */
  get starts(): readonly number[] {
    return this.#answer.slice(5, 5 + windowCount) as number[];
  }

  used({ subjectAt, windowAt, measureAt }: Limit): number {
    const at = this.#limits.findIndex(
      (each) => each.subjectAt === subjectAt && each.windowAt === windowAt && each.measureAt === measureAt,
    );
    return at < 0 ? 0 : (this.#answer[5 + windowCount + at] as number);
  }

  endsAt({ window }: Limit): SteadyMs {
    return this.#calendar[window](this.#at).endsAt - this.#aheadMs;
  }

  running(on: SubjectName): number {
    return this.#answer[2 + subjectNames.indexOf(on)] as number;
  }
}

/** The limits as the scripts take them. */
export function argumentsOf(limits: readonly Limit[], slowed: boolean): number[] {
  const all: number[] = [limits.length];
  for (const limit of limits) all.push(limit.subjectAt, limit.windowAt, limit.measureAt, mostOf(limit, { slowed }));
  return all;
}

/** When the windows of a moment began, as the scripts take them. */
export const startsOf = (calendar: Calendar, at: number): number[] =>
  windowNames.map((window) => calendar[window](at).startsAt);
