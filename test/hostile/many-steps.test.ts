// Rules that warn, also in shadow, leave a step each time. However many there are, an older suspension in force keeps its effect and is shown.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditEvent } from '../../src/domain/audit.ts';
import { newSuspensionId } from '../../src/domain/id.ts';
import { type Suspension, untouched } from '../../src/domain/suspension.ts';
import { suspend } from '../../src/management/suspensions/suspensions.ts';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { openGate, sekisho, type TestGate } from '../gate.ts';
import { operatorOf } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

/** As a rule leaves them; `extra` says how they differ from warnings of half an hour ago. */
const leave = (accountId: Suspension['accountId'], count: number, extra: Partial<Suspension> = {}): Promise<void> =>
  gate.manage((store, by) =>
    store.atomically(async (within) => {
      for (let i = 0; i < count; i++) {
        const step: Suspension = {
          ...untouched,
          id: newSuspensionId(by.at + i),
          accountId,
          keyId: null,
          step: 'warn',
          rule: 'warns',
          reason: 'a test.',
          evidence: null,
          shadow: false,
          createdAt: by.at - 2_000_000,
          endsAt: by.at - 1_000_000,
          ...extra,
        };
        await within.insertSuspension(step, auditEvent(by, 'suspension.warn', accountId, null, { id: step.id }));
      }
    }),
  );

test('a suspension keeps an operator out of what they managed', async () => {
  const operator = await operatorOf(gate);
  const { id } = (await operator.get('/me')).body.account;
  // An account without limits cannot be suspended.
  const boss = await operatorOf(gate);
  expect((await boss.patch(`/accounts/${id}`, { plan: 'default' })).status).toBe(200);
  expect((await operator.post('/rules', {})).status).toBe(400);
  await gate.manage((store, by) => suspend(store, { whom: id, step: 'suspend', reason: 'by hand.', endsAt: null }, by));
  await leave(id, 1_001);
  expect((await operator.post('/rules', {})).status).toBe(403);
  expect((await operator.get('/plans')).status).toBe(403);
  const { suspensions, audit } = (await operator.get('/me/export')).body;
  expect(suspensions).toHaveLength(1_002);
  expect(audit.length).toBeGreaterThan(1_001);
});

test('a suspension is shown to its member, on the account and by the command', async () => {
  const { secret, account } = await gate.member({});
  const taken = await gate.manage((store, by) =>
    suspend(store, { whom: account.id, step: 'slow', reason: 'by hand.', endsAt: null }, by),
  );
  await leave(account.id, 201);
  await leave(account.id, 201, { shadow: true });
  const own = await fetch(`${gate.url}/management/v1/me/suspensions`, {
    headers: { authorization: `Bearer ${secret}` },
  });
  const { items } = (await own.json()) as { items: { id: string; step: string }[] };
  expect(items).toHaveLength(201);
  expect(items.at(-1)).toMatchObject({ id: taken.id, step: 'slow' });
  const operator = await operatorOf(gate);
  expect((await operator.get(`/accounts/${account.id}`)).body.inForce).toMatchObject([{ id: taken.id }]);
  const { out } = await sekisho(['suspension', 'list', '--json'], { DATA_DIR: gate.dataDir });
  expect(JSON.parse(out).map(({ id }: { id: string }) => id)).toContain(taken.id);
});
