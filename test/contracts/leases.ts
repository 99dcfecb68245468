// What every store guarantees about leases: one holder at a time, and nothing is written by one that has lost its lease.
import { describe, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { LeaseLost } from '../../src/store/ports/leases.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { author, eventually } from '../gate.ts';
import { type Database, storesOf } from './store.ts';

const long = 60_000;
const event = () => auditEvent(author(), 'test', 'x', null, null);

export function leasesContract(name: string, create: () => Promise<Database>): void {
  const withStores = storesOf(create);
  const write = async (store: Store, maxPending: number): Promise<void> =>
    store.writeRegistration({ ...(await store.readRegistration()), maxPending }, event());

  describe(`leases on ${name}`, () => {
    test(
      'a lease has one holder, and its epoch grows with each take, also after it was given back',
      withStores(async (mine, other) => {
        const first = await mine.takeLease('work', 'a', long);
        expect(first).toEqual({ name: 'work', owner: 'a', epoch: 1 });
        expect(await other.takeLease('work', 'b', long)).toBeUndefined();
        expect(await mine.renewLease(first!, long)).toBe(true);
        await mine.giveLease(first!);
        expect(await mine.renewLease(first!, long)).toBe(false);
        const second = await other.takeLease('work', 'b', long);
        expect(second).toEqual({ name: 'work', owner: 'b', epoch: 2 });
        // One that starts again with the same owner is not held up by its own lease.
        expect(await other.takeLease('work', 'b', long)).toMatchObject({ epoch: 3 });
        expect(await other.renewLease(second!, long)).toBe(false);
        await other.giveLease(second!);
        expect(await mine.takeLease('work', 'a', long)).toBeUndefined();
      }),
    );

    test(
      'what a holder writes after its lease has passed to another is refused as a whole',
      withStores(async (mine, other) => {
        const before = (await mine.readRegistration()).maxPending;
        const lost = await mine.takeLease('work', 'a', 0);
        const now = await eventually(async () => {
          const taken = await other.takeLease('work', 'b', long);
          return taken ?? Promise.reject(new Error('not yet'));
        });
        await expect(mine.whileHeld(lost!, (store) => write(store, 7))).rejects.toThrow(LeaseLost);
        expect((await other.readRegistration()).maxPending).toBe(before);
        expect(await other.whileHeld(now, (store) => write(store, 8).then(() => 'written'))).toBe('written');
        expect((await mine.readRegistration()).maxPending).toBe(8);
        const failing = other.whileHeld(now, async (store) => {
          await write(store, 9);
          throw new Error('no');
        });
        await expect(failing).rejects.toThrow('no');
        expect((await mine.readRegistration()).maxPending).toBe(8);
      }),
    );
  });
}
