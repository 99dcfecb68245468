import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Health, type Probed } from './health.ts';

const answers: Probed = { state: 'up', reason: 'it answers' };
const away: Probed = { state: 'down', reason: 'ECONNREFUSED' };
let said: Probed;
let health: Health;
let turns: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  said = answers;
  turns = [];
  health = new Health({
    probe: () => Promise.resolve(said),
    afterwards: () => Promise.resolve(),
    intervalMs: 5_000,
    onTurn: (state, reason, changes) => turns.push(`${state} ${changes}: ${reason}`),
  });
});
afterEach(() => {
  health.stop();
  vi.useRealTimers();
});

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);
/** Takes as many calls as it admits. */
function fill(): number[] {
  const holds: number[] = [];
  while (health.admits && holds.length < 100) holds.push(health.take());
  return holds;
}
function answerAll(holds: readonly number[], status = 200): void {
  for (const hold of holds) {
    health.answered(status);
    health.giveBack(hold);
  }
}

test('a server that answers its first probe takes any number of calls', async () => {
  expect([health.state, health.admits, health.rank]).toEqual(['unknown', false, 5]);
  await health.watch();
  expect([health.state, health.admits, health.rank, health.reason]).toEqual(['up', true, 0, undefined]);
  expect(fill()).toHaveLength(100);
});

test('a server that was down gets one call, then twice as many each time, and then any number', async () => {
  await health.watch();
  said = away;
  await pass(5_000);
  expect([health.state, health.reason, health.admits]).toEqual(['down', 'ECONNREFUSED', false]);
  said = answers;
  await pass(1_000);
  expect([health.state, health.reason]).toEqual(['up', 'it is coming back, with up to 1 call at once']);
  for (const most of [1, 2, 4, 8]) {
    const holds = fill();
    expect([holds.length, health.rank]).toEqual([most, 1]);
    answerAll(holds);
  }
  expect([fill().length, health.reason]).toEqual([100, undefined]);
});

test('calls from before its return take no room, and a call that was given up leaves its room to the next', async () => {
  await health.watch();
  const early = fill();
  said = away;
  await pass(5_000);
  said = answers;
  await pass(1_000);
  const [first] = fill() as [number];
  for (const hold of early) health.giveBack(hold);
  expect(health.admits).toBe(false);
  health.giveBack(first);
  expect(fill()).toHaveLength(1);
});

describe('a server is doubtful', () => {
  test('from a call that broke to the next probe, and each time soon after for twice as long', async () => {
    await health.watch();
    for (const ms of [100, 200, 400]) {
      health.doubt('a connection was reset');
      expect([health.state, health.reason, health.rank]).toEqual(['doubtful', 'a connection was reset', 3]);
      await pass(ms - 1);
      expect(health.state).toBe('doubtful');
      await pass(1);
      expect(health.state).toBe('up');
    }
    await pass(60_000);
    health.doubt();
    await pass(100);
    expect(health.state).toBe('up');
  });

  test('after three errors among the last five answers, also with others between them', async () => {
    await health.watch();
    for (const status of [500, 200, 502, 404]) health.answered(status);
    expect(health.state).toBe('up');
    health.answered(503);
    expect([health.state, health.reason]).toEqual(['doubtful', '3 of its last 5 answers were errors']);
    await pass(1_000);
    expect([health.state, fill().length]).toEqual(['up', 1]);
  });

  test('not after errors that are far apart', async () => {
    await health.watch();
    for (let i = 0; i < 20; i++) health.answered(i % 3 === 0 ? 500 : 200);
    expect(health.state).toBe('up');
  });
});

describe('a server that asks to be left alone', () => {
  test.each([
    [429, '7', 7],
    [503, '7', 7],
    [429, undefined, 1],
    [429, '86400', 60],
    [429, 'Fri, 31 Dec 9999 23:59:59 GMT', 60],
    [429, '-3', 1],
    [429, 'soon', 1],
  ])('by %i and Retry-After %s is for %i s', async (status, after, seconds) => {
    await health.watch();
    health.answered(status, after);
    expect([health.state, health.reason]).toEqual([
      'busy',
      `it answers ${status}, and asks to be left alone for ${seconds} s`,
    ]);
    await pass(seconds * 1000 - 1);
    expect(health.state).toBe('busy');
    await pass(1);
    expect([health.state, fill().length]).toEqual(['up', 1]);
  });
});

describe('a server refuses the gateway', () => {
  test('after two calls in a row that it answered with 401, until it is shown other credentials', async () => {
    await health.watch();
    for (const status of [401, 200, 401]) health.answered(status);
    expect(health.state).toBe('up');
    health.answered(401);
    expect([health.state, health.reason, health.rank]).toEqual(['refused', 'it answers calls with 401', 6]);
    health.renewed();
    expect(health.state).toBe('up');
  });

  test('while its probes say so, and not after a call that it forbids', async () => {
    await health.watch();
    for (let i = 0; i < 9; i++) health.answered(403);
    expect(health.state).toBe('up');
    said = { state: 'refused', reason: 'it refuses the gateway with 403' };
    await pass(5_000);
    expect([health.state, health.reason]).toEqual(['refused', 'it refuses the gateway with 403']);
  });
});

test('each change is reported once, and one that keeps changing is reported in numbers', async () => {
  await health.watch();
  await pass(30_000);
  said = away;
  await pass(10_000);
  expect(turns).toEqual(['up 1: it answers', 'down 1: ECONNREFUSED']);
  for (let i = 0; i < 40; i++) {
    said = i % 2 === 0 ? answers : away;
    await pass(i % 2 === 0 ? 1_000 : 5_000);
  }
  // Two minutes.
  expect(turns.length).toBeLessThan(30);
  expect(turns.some((turn) => Number(/ (\d+):/.exec(turn)?.[1]) > 5)).toBe(true);
});

test('calls that break at a server whose probes hang cause no second probe beside the first, and no delay of its result', async () => {
  let running = 0;
  let most = 0;
  let hangs = false;
  const slow = new Health({
    probe: async () => {
      if (!hangs) return answers;
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
      running--;
      return { state: 'down', reason: 'it does not answer in time' };
    },
    afterwards: () => Promise.resolve(),
    intervalMs: 5_000,
    onTurn: () => undefined,
  });
  await slow.watch();
  hangs = true;
  for (let ms = 0; ms < 6_000; ms += 50) {
    slow.doubt();
    await pass(50);
  }
  expect([most, slow.state, slow.reason]).toEqual([1, 'down', 'it does not answer in time']);
  // What it was asked for meanwhile is looked at afterwards.
  hangs = false;
  slow.hurry();
  await pass(5_000);
  expect(slow.state).not.toBe('down');
  slow.stop();
});
