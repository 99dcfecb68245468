// Tickets in the memory of this process. There is room for a bounded number of them, and a key cannot use all of it.
import type { KeyId } from '../../domain/id.ts';
import type { Ticket, TicketStore } from '../ports/tickets.ts';

const most = 20_000;
const mostPerKey = 200;

interface Kept {
  readonly ticket: Ticket;
  readonly endsAt: number;
}

export class MemoryTickets implements TicketStore {
  readonly #now: () => number;
  /** In the order in which they were kept. */
  readonly #kept = new Map<string, Kept>();
  readonly #perKey = new Map<KeyId, number>();

  /** `now`: milliseconds of a clock that is never set back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  keep(digest: string, ticket: Ticket, lifeMs: number): boolean {
    this.#dropOld();
    const { id } = ticket.key;
    const own = this.#perKey.get(id) ?? 0;
    if (this.#kept.size >= most || own >= mostPerKey) return false;
    this.#kept.set(digest, { ticket, endsAt: this.#now() + lifeMs });
    this.#perKey.set(id, own + 1);
    return true;
  }

  take(digest: string): Ticket | undefined {
    const kept = this.#kept.get(digest);
    if (!kept) return undefined;
    this.#drop(digest, kept);
    return this.#now() < kept.endsAt ? kept.ticket : undefined;
  }

  /** All live equally long, so the oldest end first. */
  #dropOld(): void {
    const now = this.#now();
    for (const [digest, kept] of this.#kept) {
      if (now < kept.endsAt) return;
      this.#drop(digest, kept);
    }
  }

  #drop(digest: string, { ticket: { key } }: Kept): void {
    this.#kept.delete(digest);
    const left = (this.#perKey.get(key.id) ?? 1) - 1;
    if (left > 0) this.#perKey.set(key.id, left);
    else this.#perKey.delete(key.id);
  }
}
