// Slow readers: the model server's slot is free as soon as the answer is made, the waiting answer is bounded and paid for,
// and each exchange is recorded once, with its real cost.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KeyId } from '../../src/domain/id.ts';
import { changeKey, revokeKey } from '../../src/management/keys/keys.ts';
import { type FakeOllama, type Script, startFakeOllama } from '../fake-ollama/fake-ollama.ts';
import { eventually, openGate, post, RawClient, type TestGate } from '../gate.ts';

let fake: FakeOllama;
beforeAll(async () => {
  fake = await startFakeOllama();
});
afterAll(() => fake.close());

const vectors = { model: 'gemma3:270m', input: 'x' };
const json = { 'Content-Type': 'application/json' };
/** More than the kernel buffers for a reader that does not read. */
const large = JSON.stringify({ embeddings: [Array.from({ length: 5_000_000 }, () => 0.123)], prompt_eval_count: 7 });
const says =
  (body: string): Script =>
  (_, answer) =>
    answer.whole(200, json, body);

/** Everything that arrives until it ends like this; joined once, because it is large. */
function readOn({ socket }: RawClient, end: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  return new Promise((resolve) => {
    socket
      .removeAllListeners('data')
      .on('data', (piece: Buffer) => {
        pieces.push(piece);
        const last = Buffer.concat(pieces.slice(-2)).toString('latin1');
        if (last.endsWith(end)) resolve(Buffer.concat(pieces));
      })
      .resume();
  });
}

/** Sends a call and reads nothing of the answer. */
function deaf(gate: TestGate, secret: string, path = '/api/embed', body: object = vectors): RawClient {
  const client = new RawClient(gate.port);
  client.socket.pause();
  const text = JSON.stringify(body);
  client.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nx-api-key: ${secret}\r\nContent-Length: ${text.length}\r\n\r\n${text}`,
  );
  return client;
}

/** What the model server reported about its work, read over the wire. */
const isServed = async (gate: TestGate, secret: string): Promise<void> => {
  const answer = await post(`${gate.url}/api/embed`, secret, vectors);
  expect(answer.status).toBe(200);
  await answer.text();
};

describe('a reader that does not read a large whole answer', () => {
  test('holds no slot once the answer is made, and gets all of it when it continues to read', async () => {
    const gate = await openGate(fake.url, { SLOTS: '1', QUEUE_SECONDS: '20' });
    const [slow, other] = [await gate.member({ concurrentRequests: 1 }), await gate.member({})];
    fake.next(says(large));
    const asked = fake.arrival();
    const client = deaf(gate, slow.secret);
    await asked;
    // The only slot: without the buffer, this waited until the slow reader was done, and was refused.
    await isServed(gate, other.secret);
    expect(await gate.ledger(1)).toHaveLength(1);
    const said = await readOn(client, '"prompt_eval_count":7}');
    expect(said.subarray(said.indexOf('\r\n\r\n') + 4).equals(Buffer.from(large))).toBe(true);
    const rows = await gate.ledger(2);
    expect(rows.filter(({ accountId }) => accountId === slow.account.id)).toMatchObject([
      { outcome: 'completed', source: 'exact', promptTokens: 7, status: 200 },
    ]);
    await isServed(gate, slow.secret);
    client.socket.destroy();
    await gate.stop();
  });

  test('is dropped after its time without progress, recorded once with its cost, and nothing of it is kept', async () => {
    const gate = await openGate(fake.url, { READER_STALL_SECONDS: '0.5', ANSWER_MEMORY_BYTES: '30000000' });
    const { secret, account } = await gate.member({ concurrentRequests: 1 });
    const part = large.slice(0, 12_000_000);
    for (let round = 1; round <= 3; round++) {
      // The budget holds one of them: a byte kept from the last one would end the next one.
      fake.next(says(part));
      const client = deaf(gate, secret);
      await eventually(async () => expect(await gate.ledger(round)).toHaveLength(round));
      client.socket.destroy();
    }
    const rows = await gate.ledger(3);
    for (const row of rows)
      expect(row).toMatchObject({ accountId: account.id, outcome: 'ended', code: 'reader_stalled', status: 200 });
    // A reader that the machine holds up for that time is dropped, too, and asks again.
    await eventually(async () => {
      fake.next(says(part));
      const reader = await post(`${gate.url}/api/embed`, secret, vectors);
      expect((await reader.text()) === part).toBe(true);
    });
    await gate.stop();
  });

  test('is dropped when its waiting answer exceeds the bound of a reader or of an account', async () => {
    const gate = await openGate(fake.url, { READER_BUFFER_BYTES: '20000000', ANSWER_MEMORY_BYTES: '24000000' });
    const { secret } = await gate.member({});
    let aborted = 0;
    const endless: Script = async (request, answer) => {
      void request.aborted.then(() => aborted++);
      answer.head(200, json);
      for (let at = 0; at < 800 && (await answer.chunk(' '.repeat(64_000))); at++);
    };
    // One account has half of the budget, which is less than the bound of one reader.
    fake.next(endless);
    const client = deaf(gate, secret);
    await eventually(() => expect(aborted).toBe(1));
    expect(await gate.ledger(1)).toMatchObject([{ outcome: 'ended', code: 'reader_stalled' }]);
    await isServed(gate, secret);
    client.socket.destroy();
    await gate.stop();
  });

  test('hangs up while its answer waits: recorded once, as its hang-up, with the model’s own figures', async () => {
    const gate = await openGate(fake.url, { SLOTS: '1' });
    const { secret } = await gate.member({});
    let done!: () => void;
    const made = new Promise<void>((resolve) => (done = resolve));
    fake.next((_, answer) => {
      answer.whole(200, json, large);
      done();
    });
    const client = deaf(gate, secret);
    await made;
    // Served after it, so the model server has sent everything.
    await isServed(gate, secret);
    client.socket.resetAndDestroy();
    const rows = await gate.ledger(2);
    expect(rows).toHaveLength(2);
    expect(rows.find(({ promptTokens }) => promptTokens === 7)).toMatchObject({
      outcome: 'client_closed',
      source: 'exact',
    });
    await gate.stop();
  });
});

test.each<readonly [string, string, (gate: TestGate, id: KeyId) => Promise<unknown>]>([
  ['is revoked', 'key_revoked', (gate, id) => gate.manage((store, by) => revokeKey(store, id, by))],
  [
    'may no longer use the model',
    'model_not_found',
    (gate, id) => gate.manage((store, by) => changeKey(store, id, { models: ['llama3'] }, by)),
  ],
])('a reader whose key %s gets nothing more of its waiting answer', async (_how, code, takeAway) => {
  const gate = await openGate(fake.url);
  const { id, secret } = await gate.key();
  // More than the kernel buffers and less than what may wait for one reader.
  const lines = `{"response":"${'a'.repeat(20_000)}","done":false}\n`.repeat(1_500);
  const said = new Promise<void>((resolve) => {
    fake.next(async (_, answer) => {
      answer.head(200, { 'Content-Type': 'application/x-ndjson' });
      await answer.chunk(lines);
      // A whole answer: one without its end mark would end for that, if it ends before the key does.
      await answer.chunk('{"done":true,"prompt_eval_count":3,"eval_count":1500}\n');
      answer.end();
      resolve();
    });
  });
  const client = deaf(gate, secret, '/api/generate', { model: 'gemma3:270m', prompt: 'x' });
  await said;
  const { closed } = client;
  await takeAway(gate, id);
  expect(await gate.ledger(1)).toMatchObject([{ outcome: 'ended', code }]);
  client.socket.resume();
  await closed;
  // What the kernel has already taken cannot be recalled.
  expect(client.received.length).toBeLessThan(15_000_000);
  await gate.stop();
});

test('tokens of a fast stream wait for a slow reader in little memory, in order, and end with their mark', async () => {
  const gate = await openGate(fake.url);
  const { secret } = await gate.member({});
  const lines = Array.from({ length: 200_000 }, (_, at) => `{"message":{"content":"${at} x"},"done":false}\n`);
  const last = '{"done":true,"prompt_eval_count":3,"eval_count":200000}\n';
  fake.next(async (_, answer) => {
    answer.head(200, { 'Content-Type': 'application/x-ndjson' });
    for (let at = 0; at < lines.length; at += 2_000) await answer.chunk(lines.slice(at, at + 2_000).join(''));
    await answer.chunk(last);
    answer.end();
  });
  const client = deaf(gate, secret, '/api/chat', { model: 'gemma3:270m', messages: [] });
  await isServed(gate, secret);
  const text = (await readOn(client, '0\r\n\r\n')).toString('latin1');
  const body = text.slice(text.indexOf('\r\n\r\n') + 4).replace(/(^|\r\n)[0-9a-f]+\r\n/g, '');
  expect(body.replace(/\r\n$/, '') === lines.join('') + last).toBe(true);
  const row = (await gate.ledger(2)).find(({ operation }) => operation === 'chat');
  expect(row).toMatchObject({ outcome: 'completed', source: 'exact', completionTokens: 200_000 });
  client.socket.destroy();
  await gate.stop();
});
