// Mail servers that refuse, stumble, or fall silent: what one letter meets delays no other, and no server keeps a gate from stopping.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { openMail } from '../../src/management/mail.ts';
import type { Post } from '../../src/management/post.ts';
import { eventually, spawnGate } from '../gate.ts';

const servers: SMTPServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise<void>((resolve) => server.close(() => resolve()));
});

interface Server {
  readonly url: string;
  /** Recipients, in the order in which they were named. */
  readonly asked: string[];
  /** Recipients whose letters were taken. */
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

test('a recipient that the server refuses for good is asked for once, and reported', async () => {
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

test('a letter that waits for its next try lets others pass, and arrives', async () => {
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

test('what waits when the gate stops is reported, and nothing is waited for', async () => {
  const { url, asked } = await smtp({ refuse: () => 451 });
  const mail = post(url);
  mail.send(letter('never@example.org'));
  await eventually(() => expect(asked).toHaveLength(1));
  await mail.settle(10_000);
  expect(String(mail.errors)).toMatch(/no|not sent/);
});

test('a server that falls silent after DATA does not keep the gate from stopping', async () => {
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

test('a password with signs that end other parts of an address reaches the mail server whole', async () => {
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
