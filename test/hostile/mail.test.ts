// Mail servers that refuse, fail or go silent: trouble with one email delays no other, and no server keeps a gate from
// stopping.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, test } from 'vitest';
import { newApplicationId } from '../../src/domain/id.ts';
import type { Post } from '../../src/management/mail/mail-templates.ts';
import { openMail } from '../../src/management/mail/smtp.ts';
import { loadConfig } from '../../src/settings/config.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { eventually, openGate, spawnGate, temporaryDirectory } from '../gate.ts';

const servers: SMTPServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
});

interface Server {
  readonly url: string;
  /** Recipients, in the order in which they were named. */
  readonly asked: string[];
  /** Recipients whose email was accepted. */
  readonly taken: string[];
}

async function smtp(
  options: SMTPServerOptions & { refuse?: (to: string, round: number) => number | undefined } = {},
): Promise<Server> {
  const { refuse, ...rest } = options;
  const asked: string[] = [];
  const taken: string[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    closeTimeout: 100,
    onRcptTo({ address }, _session, done) {
      asked.push(address);
      const code = refuse?.(address, asked.filter((each) => each === address).length);
      done(code === undefined ? null : Object.assign(new Error('no'), { responseCode: code }));
    },
    onData(stream, session, done) {
      stream.resume().on('end', () => {
        taken.push(session.envelope.rcptTo[0]?.address ?? '');
        done();
      });
    },
    ...rest,
  });
  server.on('error', () => undefined);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  return { url: `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`, asked, taken };
}

function post(smtpUrl: string): Post & { readonly errors: unknown[] } {
  const errors: unknown[] = [];
  const nowMs = (): number => performance.now();
  const mail = openMail({
    smtpUrl,
    from: 'gate@example.org',
    gate: 'Gate',
    nowMs,
    onError: (error) => errors.push(error),
  });
  return { ...mail, errors };
}

const letter = (to: string) =>
  ({ to, language: null, about: { kind: 'reset', url: 'https://gate.example.org/portal/reset#x' } }) as const;

test('a permanently refused recipient is tried once, and reported', async () => {
  const { url, asked, taken } = await smtp({ refuse: (to) => (to.startsWith('gone') ? 550 : undefined) });
  const mail = post(url);
  for (let i = 0; i < 6; i++) mail.send(letter(`gone-${i}@example.org`));
  mail.send(letter('here@example.org'));
  await mail.settle(10_000);
  expect(taken).toEqual(['here@example.org']);
  expect(asked.toSorted()).toEqual([
    ...Array.from({ length: 6 }, (_, i) => `gone-${i}@example.org`),
    'here@example.org',
  ]);
  expect(mail.errors).toHaveLength(6);
});

test('an email that waits for its next try lets others pass, and arrives', async () => {
  const { url, taken } = await smtp({
    refuse: (to, round) => (to.startsWith('grey') && round === 1 ? 451 : undefined),
  });
  const mail = post(url);
  for (let i = 0; i < 5; i++) mail.send(letter(`grey-${i}@example.org`));
  mail.send(letter('next@example.org'));
  await eventually(() => expect(taken).toHaveLength(6));
  expect(taken[0]).toBe('next@example.org');
  await mail.settle(1_000);
  expect(mail.errors).toEqual([]);
});

test('emails that still wait when the gate stops are reported, and the stop waits for none', async () => {
  const { url, asked } = await smtp({ refuse: () => 451 });
  const mail = post(url);
  mail.send(letter('never@example.org'));
  await eventually(() => expect(asked).toHaveLength(1));
  await mail.settle(10_000);
  expect(String(mail.errors)).toMatch(/no|not sent/);
});

test('a server that goes silent after DATA does not keep the gate from stopping', async () => {
  const { url, asked } = await smtp({ onData: (stream) => void stream.resume() });
  const gate = await spawnGate({
    UPSTREAM: 'http://127.0.0.1:9',
    SMTP_URL: url,
    MAIL_FROM: 'gate@example.org',
    DRAIN_SECONDS: '1',
  });
  await gate.manage(async (store, { at }) => {
    const event = { id: 'aud_x' as never, at, actor: 'test', action: 'test', subject: 'x', from: null, to: null };
    await store.writeRegistration({ ...(await store.readRegistration()), mode: 'open' }, event);
  });
  const applied = await fetch(`${gate.url}/management/v1/applications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'n', email: 'silent@example.org', purpose: 'p' }),
  });
  expect(applied.status).toBe(201);
  await eventually(() => expect(asked).toHaveLength(1));
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
  expect(gate.output()).toContain('a letter could not be sent');
});

test('a password with URL delimiters reaches the mail server whole', async () => {
  const seen: unknown[] = [];
  const { url, taken } = await smtp({
    authOptional: false,
    allowInsecureAuth: true,
    onAuth({ username, password }, _session, done) {
      seen.push([username, password]);
      done(null, { user: username ?? '' });
    },
  });
  const written = url.replace('smtp://', 'smtp://me@example.org:pa#s/s?w@rd%@');
  const config = loadConfig({ UPSTREAM: 'http://127.0.0.1:9', SMTP_URL: written, MAIL_FROM: 'x@example.org' });
  const mail = post(config.smtpUrl);
  mail.send(letter('somebody@example.org'));
  await mail.settle(10_000);
  expect(taken).toEqual(['somebody@example.org']);
  expect(seen).toEqual([['me@example.org', 'pa#s/s?w@rd%']]);
  expect(() => loadConfig({ UPSTREAM: 'http://127.0.0.1:9', SMTP_URL: 'smtp://user:pa#ss' })).toThrow(
    /smtp_url.*host/i,
  );
});

describe('an email about a decision', () => {
  const day = 86_400_000;

  /** Decides on an application as the command would; `others` newer ones wait. */
  async function decided(dataDir: string, email: string, others = 0): Promise<void> {
    const store = await openSqlite(dataDir);
    const now = Date.now();
    const row = (at: number, address: string) => ({
      id: newApplicationId(at),
      name: 'n',
      email: address,
      purpose: 'p',
      models: '[]',
      claim_digest: '',
      created_at: at,
      decided_by: null,
      decision: null,
      account_id: null,
      claimed_at: null,
      confirmed_at: null,
      person_id: null,
      language: null,
      wanted_plan: null,
      mailbox: address,
      source: '',
      confirm_by: null,
      password: null,
    });
    const { db } = store.signIn;
    await db
      .insertInto('applications')
      .values({ ...row(now - day, email), status: 'rejected', decided_at: now, decided_by: 'cli:x' })
      .execute();
    for (let i = 0; i < others; i++)
      await db
        .insertInto('applications')
        .values({ ...row(now + i, `stranger-${i}@example.org`), status: 'pending', decided_at: null })
        .execute();
    await store.close();
  }

  const withMail = (url: string, dataDir: string): Record<string, string> => ({
    SMTP_URL: url,
    MAIL_FROM: 'gate@example.org',
    DATA_DIR: dataDir,
    DRAIN_SECONDS: '1',
  });

  /** Makes a minute pass: the claim of an ended process expires. */
  async function aMinuteLater(dataDir: string): Promise<void> {
    const store: Store = await openSqlite(dataDir);
    await store.signIn.db.updateTable('notices').set({ until: 1 }).execute();
    await store.close();
  }

  async function arrives(dataDir: string, email: string): Promise<void> {
    const { url, taken } = await smtp();
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await gate.notices.look();
    await eventually(() => expect(taken).toEqual([email]));
    await gate.notices.look();
    await gate.notices.look();
    await gate.stop();
    const next = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await next.notices.look();
    await next.stop();
    expect(taken).toEqual([email]);
  }

  test('is sent by the next start when the process is killed while sending, and not a third time', async () => {
    const dataDir = temporaryDirectory();
    const { url, asked } = await smtp({ onData: (stream) => void stream.resume() });
    await decided(dataDir, 'killed@example.org');
    const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9', ...withMail(url, dataDir) });
    await eventually(() => expect(asked).toEqual(['killed@example.org']));
    gate.process.kill('SIGKILL');
    await gate.ended;
    await aMinuteLater(dataDir);
    await arrives(dataDir, 'killed@example.org');
  }, 40_000);

  test('is sent by the next start when the gate stops while its server defers it', async () => {
    const dataDir = temporaryDirectory();
    const { url, asked } = await smtp({ refuse: () => 451 });
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await decided(dataDir, 'later@example.org');
    await gate.notices.look();
    await eventually(() => expect(asked).toEqual(['later@example.org']));
    await gate.stop();
    await arrives(dataDir, 'later@example.org');
  });

  test('is not lost behind hundreds of newer applications', async () => {
    const dataDir = temporaryDirectory();
    await decided(dataDir, 'early@example.org', 300);
    await arrives(dataDir, 'early@example.org');
  });

  test('is abandoned when the server refuses it permanently', async () => {
    const dataDir = temporaryDirectory();
    await decided(dataDir, 'gone@example.org');
    const { url, asked } = await smtp({ refuse: () => 550 });
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await gate.notices.look();
    await eventually(() => expect(asked).toHaveLength(1));
    await eventually(() => expect(gate.log()).toContain('a letter could not be sent'));
    await gate.notices.look();
    await gate.stop();
    const next = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await next.notices.look();
    await next.stop();
    expect(asked).toHaveLength(1);
  });
});
