import { expect, test } from 'vitest';
import { MergedProgress, type ProgressLine } from './merged-progress.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const layer = (completed?: number, total = 100): object => ({
  status: 'pulling aaaa',
  digest,
  total,
  ...(completed === undefined ? {} : { completed }),
});

function merged(labels: readonly string[] = ['one', 'two']): {
  progress: MergedProgress;
  lines: ProgressLine[];
  pass: (ms: number) => void;
} {
  const lines: ProgressLine[] = [];
  let now = 0;
  const progress = new MergedProgress(
    labels,
    (line) => lines.push(line),
    () => now,
  );
  return { progress, lines, pass: (ms) => (now += ms) };
}

test('a layer has the sums of all servers, and a total that does not change', () => {
  const { progress, lines, pass } = merged();
  for (const [at, line] of [
    [0, layer()],
    [0, layer(40)],
    [1, layer(10)],
    [0, layer(100)],
    [1, layer(100)],
  ] as const) {
    pass(100);
    progress.take(at, line as Record<string, unknown>);
  }
  expect(lines.map(({ total, completed }) => [total, completed])).toEqual([
    [200, 0],
    [200, 40],
    [200, 50],
    [200, 110],
    [200, 200],
  ]);
});

test('a status names its servers while they differ, and is said once', () => {
  const { progress, lines } = merged(['one', 'two', 'three']);
  progress.take(0, { status: 'pulling manifest' });
  progress.take(0, { status: 'pulling manifest' });
  progress.take(1, { status: 'pulling manifest' });
  progress.take(2, { status: 'pulling manifest' });
  progress.take(1, { status: 'writing manifest' });
  progress.succeed(1);
  progress.fail(2, 'no space left');
  progress.take(0, { status: 'writing manifest' });
  progress.succeed(0);
  expect(lines.map(({ status }) => status)).toEqual([
    'pulling manifest (one)',
    'pulling manifest (one, two)',
    'pulling manifest',
    'writing manifest (two)',
    'finished (two)',
    'failed: no space left (three)',
    'writing manifest',
  ]);
});

test('lines come no more often than those of one server, but the last of a layer always comes', () => {
  const { progress, lines, pass } = merged();
  for (let i = 0; i <= 1_000; i++) {
    pass(1);
    for (const at of [0, 1]) progress.take(at, layer(i, 1_000) as Record<string, unknown>);
  }
  expect(lines.length).toBeLessThan(25);
  expect(lines.at(-1)).toMatchObject({ total: 2_000, completed: 2_000 });
});

test('a server that succeeded without a word about a layer has it', () => {
  const { progress, lines, pass } = merged();
  progress.take(0, layer(30) as Record<string, unknown>);
  progress.succeed(1);
  pass(100);
  progress.take(0, layer(50) as Record<string, unknown>);
  expect(lines.at(-1)).toMatchObject({ total: 200, completed: 150 });
});

test.each([
  { status: 7 },
  { status: 'x'.repeat(201) },
  { status: 'pulling', digest, total: -1 },
  { status: 'pulling', digest: 'sha256:../../x', total: 5 },
  { status: 'pulling', digest, total: 10, completed: 1e300 },
  { status: 'pulling', digest, total: 10, completed: 11 },
  {},
])('%j harms nothing', (line) => {
  const { progress, lines } = merged();
  progress.take(0, line);
  for (const { total = 0, completed = 0, status } of lines) {
    expect(completed).toBeLessThanOrEqual(total);
    expect(status.length).toBeLessThanOrEqual(220);
  }
});

test('a bar never runs backwards, and the number of layers is bounded', () => {
  const { progress, lines, pass } = merged();
  for (const completed of [50, 0, 20]) {
    pass(100);
    progress.take(0, layer(completed) as Record<string, unknown>);
  }
  expect(lines.map(({ completed }) => completed)).toEqual([50, 50, 50]);
  for (let i = 0; i < 5_000; i++)
    progress.take(0, { status: 'x', digest: `sha256:${String(i).padStart(64, '0')}`, total: 1, completed: 0 });
  expect(lines.length).toBeLessThan(1_005);
});
