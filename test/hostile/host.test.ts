// What a machine does to a process: signals, few descriptors, little memory, sleep, a hostile environment, and faults of our
// own. The gate continues, or exits with a reason; it never runs in part.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import {
  eventually,
  type GateProcess,
  openGate,
  post,
  RawClient,
  run,
  serverWords,
  spawnGate,
  temporaryDirectory,
} from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const whole = { model: 'gemma3:270m', prompt: 'x', stream: false };
const works = async (gate: Pick<GateProcess, 'url'>, secret: string): Promise<void> =>
  expect((await post(`${gate.url}/api/generate`, secret, whole)).status).toBe(200);
async function end(gate: GateProcess): Promise<void> {
  gate.process.kill('SIGTERM');
  expect(await gate.ended).toBe(0);
}

test('H2: SIGHUP, SIGPIPE and SIGUSR1 end nothing, and open no debugger', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.key();
  for (const signal of ['SIGHUP', 'SIGPIPE', 'SIGUSR1'] as const) gate.process.kill(signal);
  await eventually(() => expect(gate.output()).toContain('no debugger is opened'));
  await works(gate, secret);
  expect(gate.output()).not.toContain('Debugger listening');
  await end(gate);
});

test('H3: a gate killed a dozen times while writing starts again each time, with every finished call', async () => {
  const dataDir = temporaryDirectory();
  let finished = 0;
  let gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  const { secret } = await gate.key();
  for (let round = 0; round < 12; round++) {
    const victim = gate;
    // From before the first call is over to after the last but a few.
    const killAt = finished + round * 2;
    const killIfDue = (): unknown => finished >= killAt && victim.process.kill('SIGKILL');
    const calls = Array.from({ length: 30 }, async () => {
      try {
        const answer = await post(`${victim.url}/api/generate`, secret, whole);
        if ((await answer.text()).includes('"done":true')) finished++;
        killIfDue();
      } catch {
        // Cut by the kill.
      }
    });
    killIfDue();
    await Promise.all([...calls, victim.ended]);
    gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  }
  const rows = await gate.ledger(finished);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
  expect(rows.filter(({ outcome }) => outcome === 'completed').length).toBeGreaterThanOrEqual(finished);
  await end(gate);
});

test('H4: with too few descriptors the gate survives, and serves again when there are some', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url }, ['prlimit', '--nofile=64', process.execPath, ...serverWords]);
  const { secret } = await gate.key();
  const open = (): number => readdirSync(`/proc/${gate.process.pid}/fd`).length;
  const before = open();
  const many = Array.from({ length: 200 }, () =>
    connect(Number(new URL(gate.url).port), '127.0.0.1').on('error', () => undefined),
  );
  // As many as there is room for.
  await eventually(() => expect(open()).toBeGreaterThanOrEqual(before + 14));
  for (const socket of many) socket.destroy();
  await eventually(() => works(gate, secret));
  expect(gate.output()).toContain('"room":16');
  await end(gate);
});

test('H5: more large bodies than fit the memory are refused, and the process survives', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url, BODY_MEMORY_BYTES: '60000000' }, [
    process.execPath,
    '--max-old-space-size=128',
    ...serverWords,
  ]);
  const { secret } = await gate.key();
  const large = JSON.stringify({ ...whole, pad: 'x'.repeat(8_000_000) });
  const codes = await Promise.all(
    Array.from({ length: 40 }, async () => {
      const answer = await fetch(`${gate.url}/api/generate`, {
        method: 'POST',
        headers: { 'x-api-key': secret },
        body: large,
      });
      await answer.text();
      return answer.status;
    }),
  );
  expect(codes.filter((code) => code !== 200 && code !== 503)).toEqual([]);
  expect(codes).toContain(503);
  // They may all have arrived at once, so that none had room. The next one has room again.
  await eventually(async () => expect((await post(`${gate.url}/api/generate`, secret, large)).status).toBe(200));
  await works(gate, secret);
  await end(gate);
});

test('H8: on a busy processor calls take longer, and none is aborted', async () => {
  const limits = { HEAD_SECONDS: '20', BODY_SECONDS: '20', FIRST_BYTE_SECONDS: '20', CONNECT_SECONDS: '20' };
  const pinned = ['taskset', '-c', '0'];
  const gate = await spawnGate({ UPSTREAM: fake.url, ...limits }, [...pinned, process.execPath, ...serverWords]);
  const { secret } = await gate.key();
  // They end by themselves, whatever happens to this test.
  const busy = Array.from({ length: 6 }, () =>
    spawn('timeout', ['20', ...pinned, process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' }),
  );
  const answers = await Promise.all(
    Array.from({ length: 100 }, async (_, at) => {
      const answer = await post(`${gate.url}/api/generate`, secret, { ...whole, stream: at % 2 === 0 });
      return `${answer.status} ${(await answer.text()).includes('"done":true')}`;
    }),
  );
  const ended = busy.map((each) => once(each, 'exit'));
  for (const each of busy) each.kill();
  await Promise.all(ended);
  expect(new Set(answers)).toEqual(new Set(['200 true']));
  await end(gate);
});

test('H6: a process that was blocked reports for how long', async () => {
  const gate = await openGate(fake.url);
  await eventually(async () => {
    const until = performance.now() + 1_800;
    while (performance.now() < until);
    await new Promise(setImmediate);
    expect(gate.log()).toMatch(/"heldMs":[1-9]\d{3,}.*held up/);
  });
  await gate.stop();
});

test.each([
  ['thrown', 'throw new Error("a fault")'],
  ['an unhandled rejection', 'void Promise.reject(new Error("a fault"))'],
])('H7: an unforeseen fault (%s) is logged, ends the process, and loses no finished call', async (_, fault) => {
  const dataDir = temporaryDirectory();
  const inject = `data:text/javascript,process.on('SIGUSR2', () => { ${fault} })`;
  const gate = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir }, [
    process.execPath,
    '--import',
    inject,
    ...serverWords,
  ]);
  const { secret } = await gate.key();
  for (let i = 0; i < 5; i++) await works(gate, secret);
  gate.process.kill('SIGUSR2');
  expect(await gate.ended).toBe(1);
  expect(gate.output()).toContain('internal error; the gateway stops');
  const again = await spawnGate({ UPSTREAM: fake.url, DATA_DIR: dataDir });
  expect(await again.ledger(5)).toHaveLength(5);
  await end(again);
});

describe('H10: an address that cannot be bound', () => {
  test.each(['203.0.113.7', 'no-such-host.invalid', '::ffff:203.0.113.7'])(
    '%s ends the start with one sentence',
    async (host) => {
      const { code, err } = await run(process.execPath, serverWords, {
        HOST: host,
        PORT: '0',
        DATA_DIR: temporaryDirectory(),
      });
      expect([code, err]).toEqual([1, expect.stringMatching(/not an address of this machine|cannot listen/)]);
      expect(err).not.toMatch(/\n\s+at /);
    },
  );
});

describe('H12: an environment that would weaken the gate', () => {
  test('a lenient HTTP parser is refused', async () => {
    for (const [words, more] of [
      [['--insecure-http-parser', ...serverWords], {}],
      [serverWords, { NODE_OPTIONS: '--insecure-http-parser' }],
    ] as const) {
      const { code, err } = await run(process.execPath, words, { PORT: '0', DATA_DIR: temporaryDirectory(), ...more });
      expect([code, err]).toEqual([1, expect.stringContaining('--insecure-http-parser')]);
    }
  });

  test('a proxy in the environment sees nothing', async () => {
    const proxy = 'http://127.0.0.1:9';
    const gate = await spawnGate({
      UPSTREAM: fake.url,
      HTTP_PROXY: proxy,
      http_proxy: proxy,
      HTTPS_PROXY: proxy,
      ALL_PROXY: proxy,
    });
    const { secret } = await gate.key();
    await works(gate, secret);
    await end(gate);
  });
});

test('H13: a process that was stopped for a while continues where it was: its streams, its keys, its limits', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.member({ requestsPerMinute: 5 });
  const { promise: stopped, resolve: goOn } = Promise.withResolvers<void>();
  fake.pace = (index) => (index === 0 ? undefined : stopped);
  const arrival = fake.arrival();
  const answer = await post(`${gate.url}/api/generate`, secret, { ...whole, stream: true });
  gate.process.kill('SIGSTOP');
  await eventually(() => expect(readFileSync(`/proc/${gate.process.pid}/stat`, 'utf8')).toMatch(/\) T /));
  // The model server sends all the rest meanwhile, and is done.
  goOn();
  const { state } = await arrival;
  await eventually(() => expect(state.finished).toBe(true));
  gate.process.kill('SIGCONT');
  expect(await answer.text()).toContain('"done":true');
  fake.pace = undefined;
  await works(gate, secret);
  await end(gate);
});

test('H14: descriptors and connections are the same before and after a thousand calls of every kind', async () => {
  const gate = await spawnGate({ UPSTREAM: fake.url });
  const { secret } = await gate.key();
  const open = (): number => readdirSync(`/proc/${gate.process.pid}/fd`).length;
  await works(gate, secret);
  const before = open();
  for (let i = 0; i < 1_000; i++) {
    const cut = new AbortController();
    const arrival = i % 20 === 5 && i % 3 !== 0 ? fake.arrival() : undefined;
    const answer = fetch(`${gate.url}/api/generate`, {
      method: 'POST',
      headers: { 'x-api-key': i % 3 === 0 ? 'wrong' : secret },
      body: JSON.stringify({ ...whole, stream: i % 2 === 0 }),
      signal: cut.signal,
    });
    const text = answer.then((got) => got.text()).catch(() => 'cut');
    if (i % 5 === 0) {
      // Before it is sent, once the model server has it, once there is an answer, and after all of it.
      await [undefined, arrival, answer.catch(() => undefined), text][(i / 5) % 4];
      cut.abort();
    }
    await text;
  }
  // Kept connections come and go; a thousand calls leave none behind.
  await eventually(() => expect(open()).toBeLessThan(before + 10));
  await end(gate);
});

test('our own host name is recognised in capitals and with the default port, and no other name is', async () => {
  const gate = await openGate(fake.url, { PUBLIC_URL: 'http://gate.example.org' });
  for (const [host, misdirected] of [
    ['gate.example.org', false],
    ['Gate.Example.ORG', false],
    ['gate.example.org:80', false],
    ['gate.example.org:443', true],
    ['gate.example.org.evil.example', true],
  ] as const) {
    const client = new RawClient(gate.port);
    client.write(`GET /portal/ HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await client.closed;
    expect([host, client.text.startsWith('HTTP/1.1 421')]).toEqual([host, misdirected]);
  }
  for (const second of ['evil.example', 'gate.example.org']) {
    const client = new RawClient(gate.port);
    client.write(`GET /portal/ HTTP/1.1\r\nHost: gate.example.org\r\nHost: ${second}\r\nConnection: close\r\n\r\n`);
    await client.closed;
    expect([second, client.text.startsWith('HTTP/1.1 400')]).toEqual([second, true]);
  }
  await gate.stop();
});

test('HTTP/1.0 keeps the connection when both sides want it and the answer has a length', async () => {
  const gate = await openGate(fake.url);
  const { secret } = await gate.key();
  const client = new RawClient(gate.port);
  const ask = (stream: boolean): void => {
    const body = JSON.stringify({ ...whole, stream });
    client.write(
      `POST /api/generate HTTP/1.0\r\nx-api-key: ${secret}\r\nConnection: keep-alive\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  };
  for (let answers = 1; answers <= 3; answers++) {
    ask(false);
    await eventually(() => expect(client.text.match(/"done":true/g)).toHaveLength(answers));
    expect(client.text.match(/Connection: keep-alive/g)).toHaveLength(answers);
  }
  // HTTP/1.0 has no chunks: the end of a stream is the end of the connection.
  ask(true);
  await client.closed;
  expect(client.text).toMatch(/Connection: close[^]*"done":true[^]*\n$/);
  expect(client.text).not.toContain('Transfer-Encoding');
  await gate.stop();
});
