// The port to the tickets with which browsers open WebSockets. A ticket works once, for a few seconds. An adapter decides which of
// several takers gets it; it may answer at once or later. It sees digests, never a ticket. Every adapter has to pass
// test/contracts/tickets.ts.
import type { KeyId } from '../../domain/id.ts';
import type { Soon } from '../../domain/soon.ts';

/** What a ticket is for. */
export interface Ticket {
  /** The name of the published service. */
  readonly route: string;
  /** The page that may use it, as in its Origin header. */
  readonly origin: string;
  /** The key that it stands for, by which it is found again. */
  readonly key: { readonly kind: 'secret' | 'signature' | 'certificate'; readonly id: KeyId; readonly digest: string };
}

/** May throw or reject if it cannot be reached: then no ticket is given or taken. */
export interface TicketStore {
  /** False if there is no room: for this key, or at all. */
  keep(digest: string, ticket: Ticket, lifeMs: number): Soon<boolean>;
  /** The ticket, to one taker only; undefined if it is unknown, taken, or too old. */
  take(digest: string): Soon<Ticket | undefined>;
}
