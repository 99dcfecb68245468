// `node bench/choice/cost.ts [rounds]`: what a decision costs over 200 servers and 500 models. It opens no socket. The cases are
// measured in turn, several times, because a busy machine disturbs some of the rounds: the least is what the work costs, and the
// median shows how quiet the machine was.
import process from 'node:process';
import type { Demand } from '../../src/domain/demand.ts';
import { EarliestAnswer } from '../../src/upstream/estimate/earliest-answer.ts';
import { Events } from './events.ts';
import { Machine, type SimulatedModel } from './machine.ts';
import { Random } from './random.ts';

const servers = 200;
const models = 500;
const decisions = 10_000;
const rounds = Number(process.argv[2] ?? 9);
const shares = [0.02, 0.2, 1];

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

interface Case {
  readonly having: number;
  /** Choosing; the same with counting the call, from the decision to its end; and finding the servers to fall back to. */
  readonly work: readonly ((demand: Demand<Machine>) => void)[];
  readonly micros: readonly number[][];
}

function caseOf(share: number): Case {
  const events = new Events();
  const machines = pool(share, events);
  const choice = new EarliestAnswer<Machine>({ slotsFor: (_, { facts }) => facts.slots, nowMs: () => events.nowMs });
  const running: { end: () => void }[] = [];
  /** A thousand calls in a second, and a probe of each server every five. */
  const choose = (demand: Demand<Machine>): Machine => {
    events.nowMs += 1;
    if (events.nowMs % 25 === 0) {
      const machine = machines[(events.nowMs / 25) % servers] as Machine;
      machine.lookedMs = events.nowMs;
      machine.onChange();
    }
    return choice.ready(machines, demand, 0)[0] as Machine;
  };
  const call = (demand: Demand<Machine>): void => {
    const assignment = choice.assign(choose(demand), demand);
    assignment.began();
    running[demand.conversation % 400]?.end();
    running[demand.conversation % 400] = assignment;
  };
  const others = (demand: Demand<Machine>): void => {
    choice.order(machines, demand.model, demand);
  };
  return { having: share * servers, work: [choose, call, others], micros: [[], [], []] };
}

const demands = Array.from(
  { length: decisions },
  (): Demand<Machine> => ({
    model: (all[Math.floor(models * numbers.next() ** 3)] as SimulatedModel).name,
    promptTokens: 10 + numbers.below(4_000),
    answerTokens: 300,
    conversation: 1 + numbers.below(20_000),
    prefix: 0,
    prefixTokens: 0,
    takes: () => true,
  }),
);

/** The processor's time of a decision in microseconds: what other programs do meanwhile does not count. */
function measure(work: (demand: Demand<Machine>) => void): number {
  const before = process.cpuUsage();
  for (const demand of demands) work(demand);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / decisions;
}

const cases = shares.map(caseOf);
for (let round = 0; round <= rounds; round++)
  for (const { work, micros } of cases)
    for (const [at, each] of work.entries()) {
      const found = measure(each);
      // The first round warms up.
      if (round > 0) micros[at]?.push(found);
    }

const shown = (micros: readonly number[]): string => {
  const sorted = micros.toSorted((a, b) => a - b);
  return [sorted[0], sorted[sorted.length >> 1]].map((each = 0) => each.toFixed(1)).join(' / ');
};
process.stdout.write(
  `${servers} servers, ${models} models, four or five in the memory of each; µs, the least / the median of ${rounds} rounds of ${decisions}\n\n`,
);
process.stdout.write(
  '| servers with the model | choosing one | with counting the call | the others, after a failure |\n',
);
process.stdout.write('| --: | --: | --: | --: |\n');
for (const { having, micros } of cases)
  process.stdout.write(`| ${having.toFixed(0)} | ${micros.map(shown).join(' | ')} |\n`);
