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

/** The moments at which a day and a month end there. */
const turns = [
  ['Asia/Kolkata', Date.UTC(2026, 10, 30, 18, 30)],
  ['Asia/Kathmandu', Date.UTC(2026, 10, 30, 18, 15)],
  ['America/New_York', Date.UTC(2026, 10, 1, 4)],
] as const;
const body = JSON.stringify({ model: 'gemma3:270m', prompt: 'x', stream: false });

interface HalfSent {
  readonly gate: TestGate;
  readonly id: string;
  readonly client: RawClient;
  /** Seconds until the month of the limits ends, as an answer reports them. */
  readonly monthEnds: () => Promise<number>;
}

/** Opens a gate so long before the turn and sends it the head of a call. */
async function sendHead(zone: string, turn: number, beforeMs: number): Promise<HalfSent> {
  vi.useFakeTimers({ toFake: ['Date'], now: turn - beforeMs });
  // On PostgreSQL it would follow the clock of the database.
  const opened = await openGate(fake.url, { TIME_ZONE: zone, DATABASE_URL: '' });
  gate = opened;
  const { secret, id } = await opened.member({ requestsPerDay: 100, tokensPerMonth: 1_000_000 });
  const client = new RawClient(opened.port);
  client.write(
    `POST /api/generate HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  const monthEnds = async (): Promise<number> => {
    const { headers } = await fetch(`${opened.url}/api/version`, { headers: { 'x-api-key': secret } });
    return Number(/"tokens-month";r=\d+;t=(\d+)/.exec(headers.get('ratelimit') ?? '')?.[1]);
  };
  return { gate: opened, id, client, monthEnds };
}

test.each(turns)('a body that arrives in the next month is charged to that month alone: %s', async (zone, turn) => {
  expect(new Calendar(zone).month(turn).startsAt).toBe(turn);
  let sent = await sendHead(zone, turn, 1_500);
  // On a busy machine the month may be over before the head is there: again, with more time.
  for (let beforeMs = 6_000; (await sent.monthEnds()) > 86_400; beforeMs *= 4) {
    sent.client.socket.destroy();
    await sent.gate.stop();
    vi.useRealTimers();
    sent = await sendHead(zone, turn, beforeMs);
  }
  const { client, id, monthEnds } = sent;
  await eventually(async () => expect(await monthEnds()).toBeGreaterThan(86_400));
  vi.setSystemTime(turn + 500);
  client.write(body);
  await client.closed;
  expect(client.text).toContain('"done":true');
  const rows = (await sent.gate.ledger(3)).filter(({ keyId, operation }) => keyId === id && operation === 'generate');
  expect(rows).toHaveLength(1);
  expect(rows[0]!.at).toBeGreaterThanOrEqual(turn);
  // The restored usage of the new month includes it, although its head came in the old one.
  const minutes = await sent.gate.manage((store) => store.usageByMinute(turn));
  const spent = rows[0]!.promptTokens + rows[0]!.completionTokens;
  expect(minutes.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0)).toBe(
    spent,
  );
});
