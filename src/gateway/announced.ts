// What answers to known callers carry of the operator's announcements: the newest that is in force and wants a header. It is
// looked up when the store changes and with the sweep of time limits, so that a call only reads a value.
import { type Announcement, headerOf, isInForce } from '../domain/announcement.ts';

export class Announced {
  /** The value of X-Sekisho-Announcement; undefined if there is none. */
  header: string | undefined;
  #all: readonly Announcement[] = [];
  #shown: Announcement | undefined;

  set(all: readonly Announcement[], now: number): void {
    this.#all = all.filter(({ header }) => header).toSorted((a, b) => b.from - a.from || b.createdAt - a.createdAt);
    this.sweep(now);
  }

  /** Begins and ends announcements at their times. */
  sweep(now: number): void {
    const newest = this.#all.find((each) => isInForce(each, now));
    if (newest === this.#shown) return;
    this.#shown = newest;
    this.header = newest && headerOf(newest);
  }
}
