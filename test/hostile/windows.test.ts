// The ends of days and months: every reader charges a call to the same window, the one in which the limits counted it: the
// running gate, the usage records, and a restarted gate.
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Calendar } from '../../src/domain/calendar.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
let gate: TestGate | undefined;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterEach(async () => {
  vi.useRealTimers();
  await gate?.stop();
  gate = undefined;
});
afterAll(() => fake.close());

/** A moment before a day and a month end there. */
const turns = [
  ['Asia/Kolkata', Date.UTC(2026, 10, 30, 18, 30)],
  ['Asia/Kathmandu', Date.UTC(2026, 10, 30, 18, 15)],
  ['America/New_York', Date.UTC(2026, 10, 1, 4)],
] as const;
const beforeMs = 1_500;

test.each(turns)('a body that arrives in the next month is charged to that month alone: %s', async (zone, turn) => {
  vi.useFakeTimers({ toFake: ['Date'], now: turn - beforeMs });
  gate = await openGate(fake.url, { TIME_ZONE: zone });
  expect(new Calendar(zone).month(turn).startsAt).toBe(turn);
  const { secret, id } = await gate.member({ requestsPerDay: 100, tokensPerMonth: 1_000_000 });
  const body = JSON.stringify({ model: 'gemma3:270m', prompt: 'x', stream: false });
  const client = new RawClient(gate.port);
  client.write(
    `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  const url = `${gate.url}/api/version`;
  const monthEnds = async (): Promise<number> => {
    const { headers } = await fetch(url, { headers: { 'x-api-key': secret } });
    return Number(/"tokens-month";r=\d+;t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
  };
  expect(await monthEnds()).toBeLessThan(5);
  await eventually(async () => expect(await monthEnds()).toBeGreaterThan(86_400));
  vi.setSystemTime(turn + 500);
  client.write(body);
  await client.closed;
  expect(client.text).toContain('"done":true');
  const rows = (await gate.ledger(3)).filter(({ keyId, operation }) => keyId === id && operation === 'generate');
  expect(rows).toHaveLength(1);
  expect(rows[0]!.at).toBeGreaterThanOrEqual(turn);
  // The restored usage of the new month includes it, although its head came in the old one.
  const minutes = await gate.manage((store) => store.usageByMinute(turn));
  const spent = rows[0]!.promptTokens + rows[0]!.completionTokens;
  expect(minutes.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0)).toBe(
    spent,
  );
});
