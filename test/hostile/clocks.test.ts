// A machine whose clock was wrong when the gate started and is corrected while it runs: dates follow the wall clock, and no
// caller gains a new limit window from the correction.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { newRequestId } from '../../src/domain/id.ts';
import { ageOf } from '../../src/domain/time.ts';
import { changeKey } from '../../src/management/keys/keys.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { makeCertificate } from '../certificates.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, type TestGate, temporaryDirectory } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

const yearMs = 365 * 86_400_000;
const hourMs = 3_600_000;
const whole = { model: 'gemma3:270m', prompt: 'x', stream: false };

/** On PostgreSQL a gateway follows the clock of the database (clocks-of-gates.test.ts). */
const ownClock = { DATABASE_URL: '' };

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

/** Sets the dates that this process and its gate see; timers are not affected. */
function setClock(ms: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: ms });
}

const wrongs = [
  ['ahead by ten years', 10 * yearMs],
  ['behind by ten years', -10 * yearMs],
] as const;

test.each(wrongs)(
  'keys and suspensions made by the command take effect on a gate whose clock was %s',
  async (_, wrong) => {
    setClock(Date.now() + wrong);
    gate = await openGate(fake.url, ownClock);
    vi.useRealTimers();
    const version = async (secret: string): Promise<number> =>
      (await fetch(`${gate?.url}/api/version`, { headers: { 'x-api-key': secret } })).status;
    const { secret, id } = await gate.key({ expiresAt: Date.now() + hourMs });
    expect(await version(secret)).toBe(200);
    const other = await gate.member({});
    expect(await version(other.secret)).toBe(200);
    await gate.manage(async (store, by) => {
      const { id: suspended } = other.account;
      await suspend(store, { whom: suspended, step: 'suspend', reason: 'a test.', endsAt: by.at + hourMs }, by);
      await changeKey(store, id, { expiresAt: by.at + 1_000 }, by);
    });
    await eventually(async () => expect(await version(other.secret)).toBe(403));
    await eventually(async () => expect(await version(secret)).toBe(401));
  },
);

test.each(
  wrongs.flatMap(([how, wrong]) => [
    [how, 'at noon', wrong, 12 * hourMs] as const,
    [how, 'in the first minutes of a day', wrong, 5 * 60_000] as const,
  ]),
)('usage still counts, and the ledger has the right date, after a clock %s %s', async (_how, _when, wrong, ofDay) => {
  const start = Date.UTC(2026, 10, 27) + ofDay;
  setClock(start + wrong);
  gate = await openGate(fake.url, ownClock);
  const { secret } = await gate.member({ requestsPerDay: 2 });
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  // Not by whole days, so that no quarter of an hour begins with a day of the gate. It stands still, and a call is dated by how
  // long ago it arrived.
  setClock(start + 30_000);
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(429);
  const rows = await gate.ledger(3);
  expect(rows.filter(({ at }) => at >= start && at <= start + 60_000)).toHaveLength(2);
  // A caller first seen now has used what the ledger says, in the current window.
  const late = await gate.member({ requestsPerDay: 2 });
  await gate.manage((store) =>
    store.appendUsage(
      rows
        .filter(({ at, outcome }) => at >= start && outcome === 'completed')
        .flatMap((row) => [0, 1].map(() => ({ ...row, id: newRequestId(row.at) })))
        .map((row) => ({ ...row, accountId: late.account.id, keyId: late.id })),
    ),
  );
  expect((await post(`${gate.url}/api/generate`, late.secret, whole)).status).toBe(429);
});

test('a session opened under a clock ahead does not stay fresh forever, and ends', async () => {
  setClock(Date.now() + 10 * yearMs);
  gate = await openGate(fake.url, ownClock);
  const early = await operatorOf(gate);
  expect((await early.get('/session')).body).toMatchObject({ person: { fresh: true } });
  vi.useRealTimers();
  expect((await early.get('/session')).body).toMatchObject({ person: null });
  const operator = await operatorOf(gate);
  expect((await operator.get('/session')).body).toMatchObject({ person: { fresh: true } });
  // Eleven minutes later, by the wall clock.
  setClock(Date.now() + 11 * 60_000);
  expect((await operator.get('/session')).body).toMatchObject({ person: { fresh: false } });
});

test('a session opened after a slow clock was corrected is as fresh as any', async () => {
  setClock(Date.now() - 10 * yearMs);
  gate = await openGate(fake.url, ownClock);
  vi.useRealTimers();
  const operator = await operatorOf(gate);
  expect((await operator.get('/session')).body).toMatchObject({ person: { fresh: true } });
  setClock(Date.now() + 11 * 60_000);
  expect((await operator.get('/session')).body).toMatchObject({ person: { fresh: false } });
});

test('a certificate renewed after the clock was corrected is used', async () => {
  const place = temporaryDirectory();
  const [first, next] = [makeCertificate(place, ['DNS:gate.example']), makeCertificate(place, ['DNS:gate.example'])];
  const pair = { cert: join(place, 'cert.pem'), key: join(place, 'key.pem') };
  const install = async (made: typeof first): Promise<void> => {
    writeFileSync(pair.key, await readFile(made.key));
    writeFileSync(pair.cert, await readFile(made.cert));
  };
  await install(first);
  setClock(Date.now() - 10 * yearMs);
  gate = await openGate(fake.url, { ...ownClock, TLS_CERT: pair.cert, TLS_KEY: pair.key });
  vi.useRealTimers();
  const { port } = gate;
  const shown = async (): Promise<string | undefined> => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'gate.example', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  const before = await shown();
  await install(next);
  gate.reload();
  expect(await shown()).not.toBe(before);
});

test('an age is never negative: a date in the future is older than everything', () => {
  const now = 1_800_000_000_000;
  expect(ageOf(now - 5, now)).toBe(5);
  // A clock that is corrected by a little.
  expect(ageOf(now + 2_000, now)).toBe(0);
  expect(ageOf(now + yearMs, now)).toBe(Infinity);
});
