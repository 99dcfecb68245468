// After a password reset, nothing that the old password opened stays open, whatever was under way at that moment.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, type TestGate } from '../gate.ts';
import { nextTotp, totp } from '../totp.ts';
import { codeOf, goodPassword, memberOf, operatorOf, Visitor } from '../visitor.ts';

let fake: FakeOllama;
let gate: TestGate;
let operator: Visitor;
beforeAll(async () => {
  fake = await startFakeOllama();
  gate = await openGate(fake.url, { APPLICATIONS_PER_MINUTE: '100000', TRUSTED_PROXIES: '127.0.0.1' });
  operator = await operatorOf(gate);
  expect((await operator.patch('/registration', { mode: 'open' })).status).toBe(200);
});
afterAll(async () => {
  await gate.stop();
  await fake.close();
});

const newPassword = 'reset by a link';
let people = 0;
const newMail = (): string => `recovered-${++people}@example.org`;
const stranger = (): Visitor => new Visitor(gate.url, `203.0.113.${++people}`);

/** A reset link; calling the function uses it. */
async function recovery(mail: string): Promise<() => Promise<void>> {
  const { body } = await operator.post(`/accounts/${mail}/links`, { purpose: 'password' });
  const code = codeOf(body.url);
  return async () => {
    const answer = await stranger().post('/password-resets/confirm', { code, password: newPassword });
    expect(answer.status, answer.text).toBe(204);
  };
}

const isInside = async (visitor: Visitor): Promise<boolean> => (await visitor.get('/session')).body.person !== null;

test('a sign-in with the old password under way during the reset opens nothing that lasts', async () => {
  const mail = newMail();
  await memberOf(gate, mail);
  const renew = await recovery(mail);
  const renewed = new AbortController();
  const inside: Visitor[] = [];
  // At any moment one of them has had its password checked and has no session yet.
  const guessing = Array.from({ length: 3 }, async () => {
    while (!renewed.signal.aborted) {
      const visitor = stranger();
      const { status } = await visitor.auth('/sign-in/email', { email: mail, password: goodPassword });
      if (status === 200) inside.push(visitor);
    }
  });
  await eventually(() => expect(inside.length).toBeGreaterThan(0));
  await renew();
  renewed.abort();
  await Promise.all(guessing);
  const still = await Promise.all(inside.map(isInside));
  expect(still.filter(Boolean)).toEqual([]);
  expect((await stranger().auth('/sign-in/email', { email: mail, password: newPassword })).status).toBe(200);
});

test('a password change under way during a reset does not undo the reset', async () => {
  const mail = newMail();
  const thief = await memberOf(gate, mail);
  const renew = await recovery(mail);
  const renewed = renew();
  const words = ['stolen and changed 0', goodPassword];
  const change = (i: number) =>
    thief.auth('/change-password', { currentPassword: words[i % 2 === 0 ? 1 : 0], newPassword: words[i % 2] });
  let i = 0;
  while ((await change(i)).status === 200) i++;
  await renewed;
  expect(await isInside(thief)).toBe(false);
  for (const password of words)
    expect((await stranger().auth('/sign-in/email', { email: mail, password })).status).toBe(401);
  expect((await stranger().auth('/sign-in/email', { email: mail, password: newPassword })).status).toBe(200);
});

test('the second step after an old password opens nothing once the password was reset', async () => {
  const mail = newMail();
  const member = await memberOf(gate, mail);
  const { body } = await member.auth('/two-factor/enable', { password: goodPassword });
  const secret = new URL(body.totpURI).searchParams.get('secret') ?? '';
  expect((await member.auth('/two-factor/verify-totp', { code: totp(secret) })).status).toBe(200);
  const [first, second] = [stranger(), stranger()];
  for (const visitor of [first, second])
    expect((await visitor.auth('/sign-in/email', { email: mail, password: goodPassword })).body).toMatchObject({
      twoFactorRedirect: true,
    });
  await (await recovery(mail))();
  await first.auth('/two-factor/verify-totp', { code: nextTotp(secret) });
  await second.auth('/two-factor/verify-backup-code', { code: body.backupCodes[0] });
  expect(await isInside(first)).toBe(false);
  expect(await isInside(second)).toBe(false);
  const owner = stranger();
  await owner.auth('/sign-in/email', { email: mail, password: newPassword });
  expect((await owner.auth('/two-factor/verify-totp', { code: nextTotp(secret) })).status).toBe(200);
});
