// `node bench/choice/cost.ts`: what a decision costs over 200 servers and 500 models. It opens no socket.
import process from 'node:process';
import type { Demand } from '../../src/domain/demand.ts';
import { EarliestAnswer } from '../../src/upstream/estimate/earliest-answer.ts';
import { Events } from './events.ts';
import { Machine, type SimulatedModel } from './machine.ts';
import { Random } from './random.ts';

const servers = 200;
const models = 500;
const decisions = 100_000;

const numbers = new Random(1);
const all: SimulatedModel[] = Array.from({ length: models }, (_, at) => ({
  name: `model-${at}:latest`,
  bytes: numbers.between(1e9, 2e10),
}));

/** Every server has this share of the models, and four or five of them in memory. */
function pool(share: number, events: Events): Machine[] {
  return Array.from({ length: servers }, (__, at) => {
    const machine = new Machine(
      `server-${at}`,
      {
        memoryBytes: 1e12,
        promptTokensPerMs: numbers.between(0.2, 5),
        answerTokensPerMs: 0.05,
        loadBytesPerMs: 1e6,
        slots: 4,
        models: all.filter(() => numbers.next() < share),
      },
      events,
    );
    const loaded = machine.facts.models.filter((_, place) => place < 4 || numbers.next() < 0.002);
    const seen = new Map(loaded.map(({ name, bytes }) => [name, bytes]));
    Object.defineProperty(machine.details, 'loaded', { value: seen });
    return machine;
  });
}

/** The processor's time of a call in microseconds: other programs on the machine do not count. */
function measure(work: (demand: Demand<Machine>) => void): number {
  const demands = Array.from(
    { length: decisions },
    (): Demand<Machine> => ({
      model: (all[Math.floor(models * numbers.next() ** 3)] as SimulatedModel).name,
      promptTokens: 10 + numbers.below(4_000),
      answerTokens: 300,
      conversation: 1 + numbers.below(20_000),
      takes: () => true,
    }),
  );
  for (const demand of demands) work(demand);
  const before = process.cpuUsage();
  for (const demand of demands) work(demand);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / decisions;
}

process.stdout.write(`${servers} servers, ${models} models, four or five in the memory of each\n`);
for (const share of [0.02, 0.2, 1]) {
  const events = new Events();
  const machines = pool(share, events);
  const choice = new EarliestAnswer<Machine>({ slotsFor: (_, { facts }) => facts.slots, nowMs: () => events.nowMs });
  const running: { end: () => void }[] = [];
  /** A thousand calls in a second, and a probe of each server every five. */
  const tick = (): void => {
    events.nowMs += 1;
    if (events.nowMs % 25 === 0) (machines[(events.nowMs / 25) % servers] as Machine).lookedMs = events.nowMs;
  };
  const chosen = measure((demand) => {
    tick();
    choice.ready(machines, demand, 0);
  });
  const whole = measure((demand) => {
    tick();
    const assignment = choice.assign(choice.ready(machines, demand, 0)[0] as Machine, demand);
    choice.order(machines, demand.model, demand);
    assignment.began();
    running[demand.conversation % 400]?.end();
    running[demand.conversation % 400] = assignment;
  });
  process.stdout.write(
    `a model is on ${(share * servers).toFixed(0).padStart(3)} servers: ${chosen.toFixed(1)} µs to choose one, ${whole.toFixed(1)} µs with those to fall back to and the counting\n`,
  );
}
