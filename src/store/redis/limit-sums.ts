// Adds the ledger's rows up to the tallies of a book, in the form that the script takes.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { LedgerSums } from './book-source.ts';
import { figuresOf } from './limit-leases.ts';
import { startsOf } from './limit-standing.ts';

const perWindow = 5;

export function bookArguments({ minutes, quarters }: LedgerSums, calendar: Calendar, at: number): (string | number)[] {
  const starts = startsOf(calendar, at);
  const tallies = new Map<string, number[]>([['a', emptyTally(starts)]]);
  const add = (bucket: UsageBucket, isMinute: boolean): void => {
    for (const field of ['a', `k:${bucket.keyId}`]) {
      const tally = tallies.get(field) ?? emptyTally(starts);
      tallies.set(field, tally);
      for (const [window, start] of starts.entries()) {
        const isItsWindow = (windowNames[window] === 'minute') === isMinute;
        if (isItsWindow && bucket.at >= start) addTo(tally, window, figuresOf(bucket));
      }
    }
  };
  for (const bucket of minutes) add(bucket, true);
  for (const bucket of quarters) add(bucket, false);
  return [...tallies].flatMap(([field, tally]) => [field, ...tally]);
}

const emptyTally = (starts: readonly number[]): number[] => starts.flatMap((start) => [start, 0, 0, 0, 0]);

function addTo(tally: number[], window: number, figures: readonly number[]): void {
  for (const [i, figure] of figures.entries()) {
    const at = window * perWindow + 1 + i;
    tally[at] = (tally[at] as number) + figure;
  }
}
