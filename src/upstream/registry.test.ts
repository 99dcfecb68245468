import { expect, test } from 'vitest';
import type { Demand } from '../domain/demand.ts';
import type { Choice } from './choice.ts';
import { noCredentials } from './credentials.ts';
import { EarliestAnswer } from './estimate/earliest-answer.ts';
import { UpstreamRegistry } from './registry.ts';
import type { Upstream } from './server.ts';

const settings = { connectTimeoutMs: 1_000, probeIntervalMs: 60_000 };
const entryOf = (name: string) => ({
  url: new URL(`http://${name}.invalid:1`),
  readCredentials: () => noCredentials,
  takesStreamOptions: true,
});
const none = { endOn: () => undefined };

const choice = new EarliestAnswer<Upstream>({ slotsFor: () => 1, nowMs: () => 0 });
const demand: Demand<Upstream> = {
  model: 'm',
  promptTokens: 1,
  answerTokens: 1,
  conversation: 0,
  prefix: 0,
  prefixTokens: 0,
  takes: () => true,
};
const policy = (given: Partial<Choice<Upstream>>): Choice<Upstream> => ({
  loadTimes: choice.loadTimes,
  order: (servers) => servers,
  ready: (servers) => servers,
  assign: (...call) => choice.assign(...call),
  listsChanged: () => undefined,
  forget: () => undefined,
  explain: () => undefined,
  ...given,
});

function registryOf(
  chosen: Choice<Upstream>,
  ...names: string[]
): { registry: UpstreamRegistry; servers: readonly Upstream[] } {
  const registry = new UpstreamRegistry(settings, chosen, () => undefined);
  return { registry, servers: names.map((name) => registry.add(entryOf(name))) };
}

test('the configured policy ranks the servers, for calls at once and for waiting calls', () => {
  const lastFirst = policy({
    order: (servers) => servers.toReversed(),
    ready: (servers) => servers.slice(-1),
  });
  const { registry, servers } = registryOf(lastFirst, 'a', 'b', 'c');
  expect(registry.candidates('m')).toEqual(servers.toReversed());
  expect(registry.serving(demand)).toEqual([servers[2]]);
});

test('a single server is the answer under every policy, and the same array each time', () => {
  const never = policy({
    order: () => [],
    ready: () => [],
    assign: () => {
      throw new Error('nothing depends on it');
    },
  });
  const { registry, servers } = registryOf(never, 'a');
  expect(registry.candidates('m')).toEqual(servers);
  expect(registry.candidates('m')).toBe(registry.candidates(undefined));
  expect(registry.serving(demand)).toBe(registry.servers);
  expect(registry.assign(servers[0]!, demand)).toBeUndefined();
});

test('a drained or removed server is no longer a candidate, and the policy does not see it', async () => {
  const seen: string[] = [];
  const watching = policy({
    order: (servers) => {
      seen.push(...servers.map(({ name }) => new URL(name).hostname));
      return servers;
    },
  });
  const { registry, servers } = registryOf(watching, 'a', 'b', 'c', 'd');
  await registry.drain(servers[0]!, 0, none);
  await registry.remove(servers[2]!, none);
  registry.candidates('m');
  expect(seen).toEqual(['b.invalid', 'd.invalid']);
  expect(registry.all).toEqual([servers[0], servers[1], servers[3]]);
});

test('draining waits for calls that are repeated there, and ends the running ones when its time is over', async () => {
  const { registry, servers } = registryOf(choice, 'a', 'b');
  const [server] = servers as [Upstream];
  server.begin();
  let isOver = false;
  const drained = registry.drain(server, 60_000, none).then(() => (isOver = true));
  server.finish();
  server.begin();
  await new Promise(setImmediate);
  expect(isOver).toBe(false);
  server.finish();
  await drained;

  server.begin();
  const told: Upstream[] = [];
  await registry.drain(server, 1, {
    endOn: (which) => {
      told.push(which);
      which.finish();
    },
  });
  expect(told).toEqual([server]);
});
