import { expect, test } from 'vitest';
import { TurnReports } from './turn-reports.ts';

test('ten changes a minute are reported, and then the last state with the number of the others', () => {
  const reported: [state: string, changes: number][] = [];
  const reports = new TurnReports<string>((state, _reason, changes) => reported.push([state, changes]));
  for (let at = 0; at < 50; at++) reports.note(at % 2 === 0 ? 'down' : 'up', '', at * 1_000);
  expect(reported).toEqual(Array.from({ length: 10 }, (_, at) => [at % 2 === 0 ? 'down' : 'up', 1]));
  reports.catchUp('up', '', 59_000);
  expect(reported).toHaveLength(10);
  reports.catchUp('up', '', 60_000);
  expect(reported.slice(10)).toEqual([['up', 40]]);
});
