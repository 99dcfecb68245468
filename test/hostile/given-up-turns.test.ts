import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeOllama, type FakeRequest, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { freePort } from '../free-ports.ts';
import { eventually, openGate, post, RawClient } from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(async () => {
  await fake.close();
});
const ask = (who: string, extra: object = {}): object => ({
  model: 'gemma3:270m',
  messages: [{ role: 'user', content: who }],
  stream: false,
  ...extra,
});
const requestBytes = (secret: string, body: object): string => {
  const text = JSON.stringify(body);
  return `POST /api/chat HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
};

/** Passes bytes on to the model server; while it is shut, no new connection succeeds. */
class Wire {
  port = 0;
  #server: Server | undefined;
  readonly sockets = new Set<Socket>();
  async open(): Promise<void> {
    this.#server = createServer((inner) => {
      const outer = connect(fake.port, '127.0.0.1');
      inner.pipe(outer).pipe(inner);
      this.sockets.add(inner);
      inner.on('close', () => outer.destroy()).on('error', () => undefined);
      outer.on('close', () => inner.destroy()).on('error', () => undefined);
    });
    this.port ||= await freePort();
    await new Promise<void>((resolve) => this.#server!.listen(this.port, '127.0.0.1', resolve));
  }
  shut(keep: ReadonlySet<Socket>): void {
    this.#server!.close();
    for (const socket of this.sockets) if (!keep.has(socket)) socket.destroy();
  }
}

test('a call that failed because its model server was unreachable does not lose its account’s place in the order', async () => {
  const wire = new Wire();
  await wire.open();
  const gate = await openGate(`http://127.0.0.1:${wire.port}`, { SLOTS: '2', PROBE_SECONDS: '1000' });
  await eventually(() => expect(gate.log()).toContain('the model server answers'));
  // The gate has probed each model, and opens no connection of its own any more.
  const looks = (): FakeRequest[] => fake.requests.filter(({ url }) => url === '/api/show');
  await eventually(() => expect(looks().map(({ state }) => state.finished)).toEqual(fake.models.map(() => true)));
  const [holder, victim, greedy] = [await gate.key(), await gate.member({}), await gate.member({})];
  // One long answer of another account runs all the time.
  const known = new Set(wire.sockets);
  for (const socket of known) socket.destroy();
  fake.next(async (request) => await request.aborted);
  const arrived = fake.arrival();
  const long = new RawClient(gate.port);
  long.write(requestBytes(holder.secret, ask('long')));
  await arrived;
  const busy = new Set([...wire.sockets].filter((socket) => !known.has(socket)));
  wire.shut(busy);
  const chat = (secret: string, who: string): Promise<Response> => post(`${gate.url}/api/chat`, secret, ask(who));
  for (let i = 0; i < 10; i++) expect((await chat(victim.secret, 'victim')).status).toBe(503);
  await wire.open();
  let [turns, served] = [0, false];
  const flood = async (): Promise<void> => {
    for (; turns < 300; turns++) {
      if (served) return;
      await (await chat(greedy.secret, 'greedy')).text();
    }
  };
  const floods = [flood(), flood(), flood()];
  await eventually(() => expect(turns).toBeGreaterThan(0));
  const from = turns;
  expect((await chat(victim.secret, 'victim')).status).toBe(200);
  served = true;
  const waited = turns - from;
  await Promise.all(floods);
  long.socket.destroy();
  await gate.stop();
  wire.shut(new Set());
  expect(waited).toBeLessThan(20);
});

test('limits and ledger count the same, even when turns are abandoned in their very moment', async () => {
  const gate = await openGate(fake.url, { SLOTS: '2' });
  fake.pieceDelayMs = 3;
  const { secret, id } = await gate.member({ requestsPerDay: 100_000 });
  for (let round = 0; round < 4; round++) {
    const before = fake.calls.length;
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const client = new RawClient(gate.port);
        client.write(requestBytes(secret, ask('x', { stream: true })));
        await eventually(() => expect(fake.calls.length + gate.waiting()).toBeGreaterThan(before));
        client.socket.destroy();
        await client.closed;
      }),
    );
    await eventually(() => expect(gate.waiting()).toBe(0));
  }
  fake.pieceDelayMs = 0;
  // Everything has its row: the store has nothing new for a while.
  let [rows, looks] = [0, 0];
  await eventually(async () => {
    const found = (await gate.ledger(1)).length;
    looks = found === rows ? looks + 1 : 0;
    rows = found;
    expect(looks).toBeGreaterThan(5);
  });
  const counted = (await gate.ledger(1)).filter(
    ({ keyId, outcome, upstream }) =>
      keyId === id && outcome !== 'refused' && !(outcome === 'client_closed' && upstream === null),
  ).length;
  const answer = await fetch(`${gate.url}/api/version`, { headers: { 'x-api-key': secret } });
  const left = Number(/"requests-day";r=(\d+)/.exec(answer.headers.get('ratelimit') ?? '')?.[1]);
  await gate.stop();
  expect(100_000 - left - 1).toBe(counted);
});

test.each([
  ['hangs up before every answer', undefined],
  ['sends calls that the model server processes and then fails', [500, '{"error":"no"}']],
  ['sends calls without figures', [200, '{"done":true,"response":"","image":"iVBORw0KGgo="}']],
] as const)('a caller that %s gets no more turns than one that waits for answers', async (_, ending) => {
  const gate = await openGate(fake.url, { SLOTS: '1' });
  const [honest, leaver] = [await gate.member({}), await gate.member({})];
  const turns = { honest: 0, leaver: 0 };
  const leaving = new Set<RawClient>();
  /** Each of them occupies the model for this long. */
  const work = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await (await fetch(`${gate.url}/healthz`)).text();
  };
  const enough = (): boolean => turns.honest + turns.leaver >= 60;
  const script: Script = async (request, answer) => {
    fake.next(script);
    const isHonest = (await request.body).includes('honest');
    turns[isHonest ? 'honest' : 'leaver']++;
    await work();
    if (isHonest) {
      answer.head(200, { 'Content-Type': 'application/json' });
      await answer.chunk('{"message":{"content":"y"},"done":true,"prompt_eval_count":10,"eval_count":490}');
      answer.end();
      return;
    }
    if (ending) {
      answer.whole(ending[0], { 'Content-Type': 'application/json' }, ending[1]);
      return;
    }
    // The call that has waited longest gets the turn.
    const [client] = leaving;
    client?.socket.destroy();
    await request.aborted;
  };
  // One short answer first: it says nothing about how long the next ones could become.
  fake.next((_request, answer) =>
    answer.whole(200, { 'Content-Type': 'application/json' }, '{"done":true,"prompt_eval_count":1,"eval_count":1}'),
  );
  await (await post(`${gate.url}/api/chat`, leaver.secret, ask('leaver'))).text();
  fake.next(script);
  const asks = async (): Promise<void> => {
    while (!enough()) await (await post(`${gate.url}/api/chat`, honest.secret, ask('honest'))).text();
  };
  const leaves = async (): Promise<void> => {
    while (!enough()) {
      if (ending) {
        await (await post(`${gate.url}/api/chat`, leaver.secret, ask('leaver'))).text();
        continue;
      }
      const client = new RawClient(gate.port);
      leaving.add(client);
      client.write(requestBytes(leaver.secret, ask('leaver')));
      await client.closed;
      leaving.delete(client);
    }
  };
  const ended = [asks(), asks(), leaves(), leaves()];
  await eventually(() => expect(enough()).toBe(true));
  for (const client of leaving) client.socket.destroy();
  await Promise.all(ended);
  await gate.stop();
  expect(turns.leaver).toBeLessThan(3 * turns.honest);
});
