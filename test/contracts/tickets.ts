// What every store of tickets promises.
import { describe, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import type { Ticket, TicketStore } from '../../src/store/ports/tickets.ts';

export interface TicketAdapter {
  readonly name: string;
  readonly open: (now: () => number) => TicketStore;
}

const ticketOf = (id: string): Ticket => ({
  route: 'comfy',
  origin: 'https://app.example.com',
  key: { kind: 'secret', id: id as KeyId, digest: `digest of ${id}` },
});

export function ticketContract({ name, open }: TicketAdapter): void {
  describe(`tickets: ${name}`, () => {
    test('a ticket is given to one taker, however many ask at the same time', async () => {
      const tickets = open(() => 0);
      expect(await tickets.keep('d', ticketOf('one'), 30_000)).toBe(true);
      const taken = await Promise.all(Array.from({ length: 20 }, async () => tickets.take('d')));
      expect(taken.filter((ticket) => ticket !== undefined)).toEqual([ticketOf('one')]);
      expect(await tickets.take('unknown')).toBeUndefined();
    });

    test('a ticket is good until its time is over', async () => {
      let now = 1_000;
      const tickets = open(() => now);
      await tickets.keep('in time', ticketOf('one'), 30_000);
      await tickets.keep('too late', ticketOf('one'), 30_000);
      now += 29_999;
      expect(await tickets.take('in time')).toEqual(ticketOf('one'));
      now += 1;
      expect(await tickets.take('too late')).toBeUndefined();
    });

    test('a key that takes many leaves room for others, and gets room again when they are used or old', async () => {
      let now = 0;
      const tickets = open(() => now);
      let kept = 0;
      while (kept < 1_000 && (await tickets.keep(`d${kept}`, ticketOf('greedy'), 30_000))) kept++;
      expect(kept).toBeLessThan(1_000);
      expect(await tickets.keep('other', ticketOf('other'), 30_000)).toBe(true);
      await tickets.take('d0');
      expect(await tickets.keep('again', ticketOf('greedy'), 30_000)).toBe(true);
      expect(await tickets.keep('once more', ticketOf('greedy'), 30_000)).toBe(false);
      now = 30_000;
      expect(await tickets.keep('later', ticketOf('greedy'), 30_000)).toBe(true);
    });

    test('there is room for a bounded number of tickets in all', async () => {
      const tickets = open(() => 0);
      let kept = 0;
      const keep = async (): Promise<boolean> => tickets.keep(`d${kept}`, ticketOf(`key ${kept++}`), 30_000);
      for (let round = 0; round < 100; round++)
        if ((await Promise.all(Array.from({ length: 1_000 }, keep))).includes(false)) break;
      expect(kept).toBeGreaterThan(1_000);
      expect(kept).toBeLessThan(100_000);
    });
  });
}
