// Adds the ledger's rows up to the tallies of a book, in the form that the script takes.
import { type Calendar, windowNames } from '../../domain/calendar.ts';
import { measureNames, measures, type Use } from '../../domain/limit.ts';
import type { UsageBucket } from '../../domain/usage.ts';
import type { LedgerSums } from './book-source.ts';
import { startsOf } from './limit-standing.ts';

export function bookArguments({ minutes, quarters }: LedgerSums, calendar: Calendar, at: number): (string | number)[] {
  const starts = startsOf(calendar, at);
  const tallies = new Map<string, number[]>([['a', emptyTally(starts)]]);
  const add = (bucket: UsageBucket, isMinute: boolean): void => {
    for (const field of ['a', `k:${bucket.keyId}`]) {
      const tally = tallies.get(field) ?? emptyTally(starts);
      tallies.set(field, tally);
      for (const [window, start] of starts.entries()) {
        const isItsWindow = (windowNames[window] === 'minute') === isMinute;
        if (isItsWindow && bucket.at >= start) addTo(tally, window, bucket);
      }
    }
  };
  for (const bucket of minutes) add(bucket, true);
  for (const bucket of quarters) add(bucket, false);
  return [...tallies].flatMap(([field, tally]) => [field, starts.join(' '), ...tally]);
}

const emptyTally = (starts: readonly number[]): number[] => starts.flatMap(() => measureNames.map(() => 0));

function addTo(tally: number[], window: number, use: Use): void {
  for (const [i, measure] of measureNames.entries()) {
    const at = window * measureNames.length + i;
    tally[at] = (tally[at] as number) + measures[measure].of(use);
  }
}
