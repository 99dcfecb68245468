// Runs every race over a database, from two processes at once.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../src/store/ports/store.ts';
import type { Order, Report } from './racer.ts';
import { races } from './races.ts';
import type { Database } from './store.ts';

const racersCount = 2;
const triesOfEach = 4;

export function racesContract(kind: string, create: () => Promise<Database>): void {
  describe(`on ${kind}, with two processes at once, there is never`, () => {
    let database: Database;
    let store: Store;
    const racers: ChildProcess[] = [];
    const order = async (racer: ChildProcess, what: Order): Promise<number> => {
      const answered = once(racer, 'message') as Promise<[Report]>;
      racer.send(what);
      const [{ done, fault }] = await answered;
      expect(fault).toBeUndefined();
      return done;
    };

    beforeAll(async () => {
      database = await create();
      store = await database.open();
      for (let i = 0; i < racersCount; i++) racers.push(fork(join(import.meta.dirname, 'racer.ts'), { execArgv: [] }));
      await Promise.all(racers.map((racer) => order(racer, { kind: 'open', where: database.elsewhere })));
    });
    afterAll(async () => {
      for (const racer of racers) {
        if (racer.exitCode !== null) continue;
        const ended = once(racer, 'exit');
        racer.disconnect();
        await ended;
      }
      await store.close();
      await database.drop();
    });

    test.each(races.map(({ never }, index) => [never, index] as const))('%s', async (_never, index) => {
      const race = races[index]!;
      // As the other processes receive it.
      const given: unknown = JSON.parse(JSON.stringify(await race.prepare(store)));
      const done = await Promise.all(
        racers.map((racer, i) =>
          order(racer, { kind: 'race', index, given, from: i * triesOfEach, count: triesOfEach }),
        ),
      );
      await race.check(
        store,
        given as never,
        done.reduce((sum, each) => sum + each, 0),
      );
    });
  });
}
