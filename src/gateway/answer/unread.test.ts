import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cutUnread, whenGone } from './unread.ts';

type Answering = { readonly request: IncomingMessage; readonly response: ServerResponse };

/** More than the kernel buffers for a reader that does not read. */
const large = Buffer.alloc(64_000_000);

/** Until then it is there, also on a busy machine. */
const soon = (look: () => void): Promise<void> => vi.waitFor(look, 90_000);

let server: Server;
let client: Socket;
let answering: Answering[];

beforeEach(async () => {
  answering = [];
  server = createServer((request, response) => void answering.push({ request, response }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined);
  client.pause();
});
afterEach(() => {
  client.destroy();
  server.close();
});

/** So many requests, in one packet. */
async function ask(count: number): Promise<Answering[]> {
  client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(count));
  await soon(() => expect(answering).toHaveLength(count));
  return answering;
}

test('the memory of an answer is released once, when its reader has it', async () => {
  const [one] = (await ask(1)) as [Answering];
  const given = vi.fn();
  one.response.end(large);
  whenGone(one, given);
  expect(given).not.toHaveBeenCalled();
  client.resume();
  await soon(() => expect(given).toHaveBeenCalledOnce());
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
  expect(given).toHaveBeenCalledOnce();
});

test('is released when the reader hangs up, also for an answer that waits behind another', async () => {
  const [one, two] = (await ask(2)) as [Answering, Answering];
  const given = vi.fn();
  one.response.end(large);
  two.response.end(large);
  for (const each of [one, two]) whenGone(each, given);
  client.resetAndDestroy();
  await soon(() => expect(given).toHaveBeenCalledTimes(2));
});

test('is released at once when nothing waits', async () => {
  const [one] = (await ask(1)) as [Answering];
  const given = vi.fn();
  one.response.end('small');
  whenGone(one, given);
  expect(given).toHaveBeenCalledOnce();
});

test('a reader that takes nothing of an ended answer is cut, and one that waits behind another is not', async () => {
  const [one, two] = (await ask(2)) as [Answering, Answering];
  two.response.end('second');
  cutUnread(two, 1);
  // It cannot have been read, however long it waits.
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(two.request.socket.destroyed).toBe(false);
  one.response.end(large);
  cutUnread(one, 1);
  await soon(() => expect(one.request.socket.destroyed).toBe(true));
});
