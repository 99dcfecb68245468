// The windows that limits count in: clock minutes; days, their hours, weeks and months of a time zone. Pure arithmetic on
// Unix milliseconds of a clock that the caller chooses. A new window is a row of `windows` and a method. A window is
// identified by its start, so rolling over gives the same result whenever and however often it is computed (LiteLLM's
// reset jobs cleared counters minutes after a key was created, or never ran).

const minuteMs = 60_000;
const hourMs = 3_600_000;

/** Every window once: its usual length, and its wording in sentences. Each one begins and ends on a clock minute. */
export const windows = {
  minute: { seconds: 60, each: 'a minute' },
  hour: { seconds: 3_600, each: 'an hour' },
  day: { seconds: 86_400, each: 'a day' },
  week: { seconds: 604_800, each: 'a week' },
  month: { seconds: 2_592_000, each: 'a month' },
} as const satisfies Record<string, { seconds: number; each: string }>;

/** No window is longer: a month of 31 days in which a zone sets its clocks back, by a day at most. */
export const longestWindowMs = 32 * 24 * hourMs;

export type Window = keyof typeof windows;
export const windowNames = Object.keys(windows) as Window[];

export interface Span {
  readonly startsAt: number;
  readonly endsAt: number;
}

const dateParts = { year: 'numeric', month: '2-digit', day: '2-digit' } as const;

export class Calendar implements Record<Window, (at: number) => Span> {
  /** Undefined in UTC, whose dates are those of `Date`: Intl takes 7 MB of memory. */
  readonly #format: Intl.DateTimeFormat | undefined;
  readonly #timeZone: string;
  #hourFormat: Intl.DateTimeFormat | undefined;
  #day: Span = { startsAt: 0, endsAt: 0 };
  #week: Span = { startsAt: 0, endsAt: 0 };
  #month: Span = { startsAt: 0, endsAt: 0 };

  /** `timeZone` as in the IANA database, such as UTC or Asia/Tokyo. @throws RangeError for an unknown one. */
  constructor(timeZone: string) {
    this.#timeZone = timeZone;
    if (timeZone !== 'UTC') this.#format = new Intl.DateTimeFormat('en-CA', { ...dateParts, timeZone });
  }

  /** The date in the time zone, as 2026-11-23. */
  dateAt(at: number): string {
    return this.#format?.format(at) ?? new Date(at).toISOString().slice(0, 10);
  }

  /** The hour of the time zone's clock, as 2026-11-23T14. */
  clockHourAt(at: number): string {
    if (!this.#format) return new Date(at).toISOString().slice(0, 13);
    this.#hourFormat ??= new Intl.DateTimeFormat('en-CA', {
      ...dateParts,
      hour: '2-digit',
      hourCycle: 'h23',
      timeZone: this.#timeZone,
    });
    return this.#hourFormat.format(at).replace(', ', 'T');
  }

  minute(at: number): Span {
    const startsAt = at - (at % minuteMs);
    return { startsAt, endsAt: startsAt + minuteMs };
  }

  /**
   * Hours are counted from the start of the day, so they are clock hours also in zones half an hour off UTC, and each
   * hour lies within one day. Where clocks move by half an hour (Lord Howe), the last hour of that day is short.
   */
  hour(at: number): Span {
    const day = this.day(at);
    const startsAt = at - ((at - day.startsAt) % hourMs);
    return { startsAt, endsAt: Math.min(startsAt + hourMs, day.endsAt) };
  }

  day(at: number): Span {
    if (at < this.#day.startsAt || at >= this.#day.endsAt) {
      const today = this.dateAt(at);
      this.#day = { startsAt: this.#firstInstant(today, at), endsAt: this.#firstInstant(daysAfter(today, 1), at) };
    }
    return this.#day;
  }

  /** From Monday to Sunday (ISO 8601). */
  week(at: number): Span {
    if (at < this.#week.startsAt || at >= this.#week.endsAt) {
      const today = this.dateAt(at);
      const sinceMonday = (new Date(`${today}T12:00:00Z`).getUTCDay() + 6) % 7;
      const monday = daysAfter(today, -sinceMonday);
      this.#week = {
        startsAt: this.#firstInstant(monday, at),
        endsAt: this.#firstInstant(daysAfter(monday, 7), at),
      };
    }
    return this.#week;
  }

  month(at: number): Span {
    if (at < this.#month.startsAt || at >= this.#month.endsAt) {
      const month = this.dateAt(at).slice(0, 7);
      this.#month = {
        startsAt: this.#firstInstant(`${month}-01`, at),
        endsAt: this.#firstInstant(`${followingMonth(month)}-01`, at),
      };
    }
    return this.#month;
  }

  /**
   * When a date begins in the time zone: midnight, or an hour later where clocks go forward at midnight. Dates as text
   * sort in time order, so a binary search finds it.
   */
  #firstInstant(date: string, near: number): number {
    const noon = Date.parse(`${date}T12:00:00Z`);
    // Time zones range from UTC−12 to UTC+14.
    let before = noon - 30 * hourMs;
    let after = noon + 30 * hourMs;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.dateAt(middle) < date) before = middle;
      else after = middle;
    }
    // A day that a zone skipped (Samoa, 2011-12-30) begins when the next one does.
    return Number.isNaN(after) ? near : after;
  }
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function daysAfter(date: string, days: number): string {
  return new Date(Date.parse(`${date}T12:00:00Z`) + days * 24 * hourMs).toISOString().slice(0, 10);
}

function followingMonth(month: string): string {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`;
}
