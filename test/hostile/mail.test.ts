// Mail servers that refuse, fail or go silent: trouble with one email delays no other, and no server keeps a gate from
// stopping.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, describe, expect, test } from 'vitest';
import { newApplicationId } from '../../src/domain/id.ts';
import { reconsiderMs } from '../../src/domain/outbox.ts';
import { decide } from '../../src/management/applications/applications.ts';
import type { Mailer } from '../../src/management/mail/mailer.ts';
import { openSmtpMailer } from '../../src/management/mail/smtp.ts';
import { loadConfig } from '../../src/settings/config.ts';
import type { Store } from '../../src/store/ports/store.ts';
import { openSqlite } from '../../src/store/sqlite/open.ts';
import { eventually, openGate, spawnGate, temporaryDirectory } from '../gate.ts';
import { openMailbox } from '../mailbox.ts';

const servers: SMTPServer[] = [];
const closing: NetServer[] = [];
afterEach(async () => {
  for (const server of closing.splice(0)) server.close();
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
  options: SMTPServerOptions & {
    refuse?: (to: string, round: number) => number | undefined;
    read?: (stream: NodeJS.ReadableStream) => void;
  } = {},
): Promise<Server> {
  const { refuse, read, ...rest } = options;
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
      read?.(stream);
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

function post(smtpUrl: string): Mailer & { readonly errors: unknown[] } {
  const errors: unknown[] = [];
  const mail = openSmtpMailer({
    server: () => ({ smtpUrl, from: 'gate@example.org', gate: 'Gate' }),
    onError: (error) => errors.push(error),
  });
  return Object.assign(mail, { errors });
}

const emailTo = (to: string) =>
  ({ to, language: null, about: { kind: 'reset', url: 'https://gate.example.org/portal/reset#x' } }) as const;

test('a permanently refused recipient is tried once, and reported', async () => {
  const { url, asked, taken } = await smtp({ refuse: (to) => (to.startsWith('gone') ? 550 : undefined) });
  const mail = post(url);
  for (let i = 0; i < 6; i++) mail.send(emailTo(`gone-${i}@example.org`));
  mail.send(emailTo('here@example.org'));
  await mail.settle(10_000);
  expect(taken).toEqual(['here@example.org']);
  expect(asked.toSorted()).toEqual([
    ...Array.from({ length: 6 }, (_, i) => `gone-${i}@example.org`),
    'here@example.org',
  ]);
  expect(mail.errors).toHaveLength(6);
});

test('an email that waits for its next try lets others pass, and arrives', async () => {
  const next = 'next@example.org';
  const { url, taken }: Server = await smtp({
    refuse: (to) => (to.startsWith('grey') && !taken.includes(next) ? 451 : undefined),
  });
  const mail = post(url);
  for (let i = 0; i < 5; i++) mail.send(emailTo(`grey-${i}@example.org`));
  mail.send(emailTo(next));
  await eventually(() => expect(taken).toHaveLength(6));
  expect(taken[0]).toBe(next);
  await mail.settle(10_000);
  expect(mail.errors).toEqual([]);
});

test('emails that still wait when the gate stops are reported, and the stop waits for none', async () => {
  const { url, asked } = await smtp({ refuse: () => 451 });
  const mail = post(url);
  mail.send(emailTo('never@example.org'));
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
  expect(gate.output()).toContain('an email could not be sent');
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
  const mail = post(config.live.now.smtpUrl);
  mail.send(emailTo('somebody@example.org'));
  await mail.settle(10_000);
  expect(taken).toEqual(['somebody@example.org']);
  expect(seen).toEqual([['me@example.org', 'pa#s/s?w@rd%']]);
  expect(() => loadConfig({ UPSTREAM: 'http://127.0.0.1:9', SMTP_URL: 'smtp://user:pa#ss' })).toThrow(
    /smtp_url.*host/i,
  );
});

describe('an email about a decision', () => {
  const day = 86_400_000;

  /** Decides on an application as the command would, so long ago that it stands; `others` newer ones wait. */
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
    const pending = { status: 'pending', decided_at: null };
    const asked = { ...row(now - day, email), ...pending };
    const newer = Array.from({ length: others }, (_, i) => ({
      ...row(now + i, `stranger-${i}@example.org`),
      ...pending,
    }));
    for (const each of [asked, ...newer]) await store.signIn.db.insertInto('applications').values(each).execute();
    await decide(store, asked.id, 'rejected', { decision: null }, { actor: 'cli:x', at: now - reconsiderMs });
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
    await store.signIn.db.updateTable('outbox').set({ until: 1 }).execute();
    await store.close();
  }

  async function arrives(
    dataDir: string,
    email: string,
    read: (stream: NodeJS.ReadableStream) => void = () => undefined,
  ): Promise<void> {
    const { url, taken } = await smtp({ read });
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await gate.outbox.look();
    await eventually(() => expect(taken).toEqual([email]));
    await gate.outbox.look();
    await gate.outbox.look();
    await gate.stop();
    const next = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await next.outbox.look();
    await next.stop();
    expect(taken).toEqual([email]);
  }

  test('is sent by the next start when the process is killed while sending, and not a third time', async () => {
    const dataDir = temporaryDirectory();
    const ids: string[] = [];
    const noteId = (stream: NodeJS.ReadableStream): void => {
      let head = '';
      stream.on('data', (chunk: Buffer) => {
        head += chunk.toString('latin1');
        const id = /^Message-ID: (.*)\r\n/im.exec(head)?.[1];
        if (id !== undefined && ids.at(-1) !== id) ids.push(id);
      });
    };
    const { url, asked } = await smtp({ onData: noteId });
    await decided(dataDir, 'killed@example.org');
    const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9', ...withMail(url, dataDir) });
    await eventually(() => expect(asked).toEqual(['killed@example.org']));
    await eventually(() => expect(ids).toHaveLength(1));
    gate.process.kill('SIGKILL');
    await gate.ended;
    await aMinuteLater(dataDir);
    await arrives(dataDir, 'killed@example.org', noteId);
    // A mail program that knows both shows one.
    expect(ids).toHaveLength(1);
    expect(ids[0]).toMatch(/^<[0-9a-f]{32}@example\.org>$/);
  });

  test('is sent by the next start when the gate stops while its server defers it', async () => {
    const dataDir = temporaryDirectory();
    const { url, asked } = await smtp({ refuse: () => 451 });
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await decided(dataDir, 'later@example.org');
    await gate.outbox.look();
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
    await gate.outbox.look();
    await eventually(() => expect(asked).toHaveLength(1));
    await eventually(() => expect(gate.log()).toContain('an email could not be sent'));
    await gate.outbox.look();
    await gate.stop();
    const next = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await next.outbox.look();
    await next.stop();
    expect(asked).toHaveLength(1);
  });

  /** A mail server that accepts a connection and never greets: emails are stored and not sent. */
  async function silent(): Promise<{ readonly url: string; readonly reached: Promise<unknown> }> {
    const server = createServer((socket) => void socket.on('error', () => undefined)).listen(0, '127.0.0.1');
    closing.push(server);
    await once(server, 'listening');
    return { url: `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`, reached: once(server, 'connection') };
  }

  const ask = (url: string, path: string, body: unknown): Promise<Response> =>
    fetch(`${url}/management/v1${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  test.each([
    [
      'an application',
      '/applications',
      { name: 'n', email: 'new@example.org', purpose: 'p', password: 'quite a good one' },
    ],
    ['a new password', '/password-resets', { email: 'old@example.org' }],
  ])(
    'for %s is sent once, with a working link, when the process is killed between the change and the sending',
    async (what, path, asked) => {
      const dataDir = temporaryDirectory();
      const dead = await silent();
      const gate = await spawnGate({ UPSTREAM: 'http://127.0.0.1:9', ...withMail(dead.url, dataDir) });
      await gate.manage(async (store, { at }) => {
        const event = { id: 'aud_x' as never, at, actor: 'test', action: 'test', subject: 'x', from: null, to: null };
        await store.writeRegistration({ ...(await store.readRegistration()), mode: 'open' }, event);
        const time = new Date(at).toISOString();
        const person = {
          id: 'usr_old',
          name: 'n',
          email: 'old@example.org',
          emailVerified: 1,
          createdAt: time,
          updatedAt: time,
        };
        await store.signIn.db.insertInto('people').values(person).execute();
      });
      expect((await ask(gate.url, path, asked)).ok).toBe(true);
      await dead.reached;
      gate.process.kill('SIGKILL');
      await gate.ended;
      // Nothing in the database opens the link.
      expect(readFileSync(join(dataDir, 'sekisho.db'), 'latin1')).not.toMatch(/link_[0-9a-f]{43}/);
      await aMinuteLater(dataDir);
      const mailbox = await openMailbox();
      const next = await openGate('http://127.0.0.1:9', withMail(mailbox.url, dataDir));
      const { text } = await mailbox.to(asked.email);
      for (let i = 0; i < 3; i++) await next.outbox.look();
      expect(mailbox.emails).toHaveLength(1);
      const code = /#(link_\w+)/.exec(text)?.[1];
      const used =
        what === 'an application'
          ? await ask(next.url, '/confirmations', { code })
          : await ask(next.url, '/password-resets/confirm', { code, password: 'another good one' });
      expect(used.status).toBe(204);
      await next.stop();
      await mailbox.close();
    },
  );

  test('delays no other when its server defers it, or its mailbox has reached its limit', async () => {
    const dataDir = temporaryDirectory();
    const { url, taken } = await smtp({ refuse: (to) => (to.startsWith('grey') ? 451 : undefined) });
    await decided(dataDir, 'grey@example.org');
    for (let i = 0; i < 40; i++) await decided(dataDir, 'flooded@example.org');
    await decided(dataDir, 'last@example.org');
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await gate.outbox.look();
    await eventually(() => expect(taken).toHaveLength(31));
    expect(taken).toContain('last@example.org');
    await gate.stop();
    const store = await openSqlite(dataDir);
    const left = await store.signIn.db
      .selectFrom('outbox')
      .select(['due_at', 'until'])
      .where('state', '=', 'due')
      .execute();
    await store.close();
    const now = Date.now();
    expect(left).toHaveLength(11);
    // The mailbox waits for minutes; the deferred one is left to the next start.
    expect(left.filter(({ due_at }) => due_at > now)).toHaveLength(10);
    expect(left.every(({ until }) => until === 0)).toBe(true);
  });

  test('is abandoned when it is no longer news', async () => {
    const dataDir = temporaryDirectory();
    await decided(dataDir, 'late@example.org');
    const store = await openSqlite(dataDir);
    await store.signIn.db
      .updateTable('outbox')
      .set({ created_at: Date.now() - 25 * 3_600_000 })
      .execute();
    await store.close();
    const { url, asked } = await smtp();
    const gate = await openGate('http://127.0.0.1:9', withMail(url, dataDir));
    await gate.outbox.look();
    await gate.stop();
    const after = await openSqlite(dataDir);
    const states = await after.signIn.db.selectFrom('outbox').select('state').execute();
    await after.close();
    expect([asked, states]).toEqual([[], [{ state: 'dead' }]]);
  });
});
