// How the limits of a caller stood when Redis answered.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import { type Limit, measureNames, mostOf, type Standing, type SubjectName, subjectNames } from '../../domain/limit.ts';
import type { SteadyMs } from '../../domain/time.ts';

const windowCount = windowNames.length;

/** Asks one of the scripts with these arguments. */
export type Asking = (args: readonly (string | number)[]) => Promise<unknown>;

/** What the scripts `look` and `reserve` answer. `starts` is empty if the windows began when the gate said. */
export type Answer = readonly [
  kind: string,
  which: number,
  running: number,
  runningOfKey: number,
  isStale: number,
  starts: string,
  ...used: number[],
];

/** An answer, and how far this machine's clock is behind that of Redis. */
export interface Told {
  readonly answer: Answer;
  readonly standing: RedisStanding;
  readonly aheadMs: number;
}

export class RedisStanding implements Standing {
  readonly slowed: boolean;
  /** When the windows began in which the call counts. */
  readonly starts: string;
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
    {
      at,
      aheadMs,
      slowed,
      starts,
    }: { readonly at: number; readonly aheadMs: number; readonly slowed: boolean; readonly starts: string },
  ) {
    this.#answer = answer;
    this.#limits = limits;
    this.#calendar = calendar;
    this.#at = at;
    this.#aheadMs = aheadMs;
    this.slowed = slowed;
    this.starts = answer[5] || starts;
  }

  /** Leases that have run out, of a gate that may have ended. */
  get isStale(): boolean {
    return this.#answer[4] === 1;
  }

  used({ subjectAt, windowAt, measureAt }: Limit): number {
    const at = this.#limits.findIndex(
      (each) => each.subjectAt === subjectAt && each.windowAt === windowAt && each.measureAt === measureAt,
    );
    return at < 0 ? 0 : (this.#answer[6 + at] as number);
  }

  endsAt({ window }: Limit): SteadyMs {
    return this.#calendar[window](this.#at).endsAt - this.#aheadMs;
  }

  running(on: SubjectName): number {
    return this.#answer[2 + subjectNames.indexOf(on)] as number;
  }
}

/** The limits as the scripts take them: a character for each, which says where its figure is, and how much each allows. */
export function argumentsOf(limits: readonly Limit[], slowed: boolean): readonly string[] {
  const known = texts.get(limits) ?? [undefined, undefined];
  texts.set(limits, known);
  return (known[Number(slowed)] ??= [
    String.fromCharCode(...limits.map(codeOf)),
    ...limits.map((limit) => String(mostOf(limit, { slowed }))),
  ]);
}

/** By whether the caller is slowed. */
const texts = new WeakMap<
  readonly Limit[],
  [usual: readonly string[] | undefined, slowed: readonly string[] | undefined]
>();

const codeOf = ({ subjectAt, windowAt, measureAt }: Limit): number =>
  48 + (subjectAt * windowCount + windowAt) * measureNames.length + measureAt;

/** When the windows of a moment began. */
export const startsOf = (calendar: Calendar, at: number): number[] =>
  windowNames.map((window) => calendar[window](at).startsAt);

/** The same as the scripts take it. They are the same throughout a minute. */
export function startsTextOf(calendar: Calendar, at: number): string {
  const { startsAt } = calendar.minute(at);
  let known = minutes.get(calendar);
  if (known?.startsAt !== startsAt)
    minutes.set(calendar, (known = { startsAt, text: startsOf(calendar, at).join(' ') }));
  return known.text;
}

const minutes = new WeakMap<Calendar, { readonly startsAt: number; readonly text: string }>();
