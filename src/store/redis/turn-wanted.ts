// Where a call would go, in the form in which Redis is told: the names of servers, best first, each with its slots.
import type { SharedQueueSettings, Turn } from '../ports/turn-queue.ts';

export interface Wanted<Server> {
  /** As the scripts read it. The same for all calls that go to the same servers. */
  readonly list: string;
  readonly servers: ReadonlyMap<string, Server>;
}

export function wantedOf<Server>(
  { serversFor, slotsFor, trialsOf, nameOf }: SharedQueueSettings<Server>,
  model: string,
  turn: Turn<Server>,
  ahead: number,
): Wanted<Server> {
  const servers = new Map<string, Server>();
  const list: (string | number)[] = [];
  for (const server of serversFor(model, turn, ahead)) {
    const name = nameOf(server);
    servers.set(name, server);
    list.push(name, Math.min(slotsFor(model, server), trialsOf?.(server) ?? Infinity));
  }
  return { list: JSON.stringify(list), servers };
}
