// The windows that limits count in: minutes of the clock; days, their hours, and months of a time zone. Pure arithmetic on
// Unix milliseconds; which clock they come from is the caller's affair. A new window is a row of `windows` and a method.
// A window is named by when it begins, so that rolling over is the same whenever and however often it is asked
// (LiteLLM's reset jobs wiped figures minutes after a key was made, or never ran).

const minuteMs = 60_000;
const hourMs = 3_600_000;

/** Every window once: its usual length, and how sentences say it. Each one begins and ends with a minute of the clock. */
export const windows = {
  minute: { seconds: 60, each: 'a minute' },
  hour: { seconds: 3_600, each: 'an hour' },
  day: { seconds: 86_400, each: 'a day' },
  month: { seconds: 2_592_000, each: 'a month' },
} as const satisfies Record<string, { seconds: number; each: string }>;

export type Window = keyof typeof windows;
export const windowNames = Object.keys(windows) as Window[];

export interface Span {
  readonly startsAt: number;
  readonly endsAt: number;
}

export class Calendar implements Record<Window, (at: number) => Span> {
  readonly #format: Intl.DateTimeFormat;
  #day: Span = { startsAt: 0, endsAt: 0 };
  #month: Span = { startsAt: 0, endsAt: 0 };

  /** `timeZone` as in the IANA database, such as UTC or Asia/Tokyo. @throws RangeError for one that is not there. */
  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-CA', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
    });
  }

  /** The date there, as 2026-11-23. */
  dateAt(at: number): string {
    return this.#format.format(at);
  }

  minute(at: number): Span {
    const startsAt = at - (at % minuteMs);
    return { startsAt, endsAt: startsAt + minuteMs };
  }

  /**
   * Hours are counted from the beginning of the day, so that they are those of the clock where zones are half an hour from
   * UTC, and each hour lies in one day. Where clocks move by half an hour (Lord Howe), the last hour of that day is short.
   */
  hour(at: number): Span {
    const day = this.day(at);
    const startsAt = at - ((at - day.startsAt) % hourMs);
    return { startsAt, endsAt: Math.min(startsAt + hourMs, day.endsAt) };
  }

  day(at: number): Span {
    if (at < this.#day.startsAt || at >= this.#day.endsAt) {
      const today = this.dateAt(at);
      this.#day = { startsAt: this.#firstInstant(today, at), endsAt: this.#firstInstant(followingDay(today), at) };
    }
    return this.#day;
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
   * When a date begins there: midnight, or an hour later where clocks are put forward at midnight. Dates as text are in
   * the order of time, so it is found by halving.
   */
  #firstInstant(date: string, near: number): number {
    const noon = Date.parse(`${date}T12:00:00Z`);
    // Zones are 14 hours ahead of UTC at most and 12 behind.
    let before = noon - 30 * hourMs;
    let after = noon + 30 * hourMs;
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (this.dateAt(middle) < date) before = middle;
      else after = middle;
    }
    // A day that a zone left out (Samoa, 2011-12-30) begins when the next one does.
    return Number.isNaN(after) ? near : after;
  }
}

function followingDay(date: string): string {
  return new Date(Date.parse(`${date}T12:00:00Z`) + 24 * hourMs).toISOString().slice(0, 10);
}

function followingMonth(month: string): string {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return number === 12 ? `${year + 1}-01` : `${year}-${String(number + 1).padStart(2, '0')}`;
}
