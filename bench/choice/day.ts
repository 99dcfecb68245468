// A day of calls from accounts with conversations, to many servers with many models, under one policy. Time is computed, so a
// day takes seconds, and the same seed gives the same calls under every policy. The queue in front is the gateway's own.
import type { Demand } from '../../src/domain/demand.ts';
import { FairQueue } from '../../src/store/memory/fair-queue.ts';
import type { Slot, Turn } from '../../src/store/ports/turn-queue.ts';
import type { Assignment } from '../../src/upstream/estimate/assignment.ts';
import { EarliestAnswer } from '../../src/upstream/estimate/earliest-answer.ts';
import { Events } from './events.ts';
import { Machine, type SimulatedCall, type SimulatedModel } from './machine.ts';
import { leastConnections, type Policy, random, roundRobin } from './policies.ts';
import { Random } from './random.ts';

export const policyNames = ['random', 'round robin', 'least connections', 'earliest answer'] as const;
export type PolicyName = (typeof policyNames)[number];

export interface Scale {
  readonly seed: number;
  readonly servers: number;
  readonly models: number;
  readonly accounts: number;
  readonly hours: number;
  readonly callsPerSecond: number;
}

export const wholeDay: Scale = { seed: 1, servers: 20, models: 50, accounts: 40, hours: 24, callsPerSecond: 1.2 };

export interface DayResult {
  readonly calls: number;
  readonly unserved: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly loads: number;
  /** The mean wait of the account, and of the model, that waited longest. */
  readonly worstAccountMs: number;
  readonly worstModelMs: number;
}

const sweepMs = 250;
const probeMs = 5_000;
const hourMs = 3_600_000;

interface Arrival extends SimulatedCall {
  readonly atMs: number;
  readonly account: number;
}

export function simulate(policy: PolicyName, scale: Scale): DayResult {
  const events = new Events();
  const { machines, models } = buildPool(scale, events);
  const day = new Day(policy, events, machines, scale);
  for (const arrival of arrivalsOf(scale, models)) events.at(arrival.atMs, () => day.arrive(arrival));
  // What is under way at the end is finished.
  events.runUntil(scale.hours * hourMs + 2 * hourMs);
  return day.result();
}

/** Servers of different age, memory and speed; every model is on a few of them, the popular ones on most. */
export function buildPool(
  { seed, servers, models: count }: Scale,
  events: Events,
): { machines: readonly Machine[]; models: readonly SimulatedModel[] } {
  const numbers = new Random(seed);
  const models = Array.from({ length: count }, (_, at) => ({
    name: `model-${at}:latest`,
    bytes: Math.min(24e9, Math.max(1e9, numbers.skewed(5e9, 0.7))),
  }));
  const machines = Array.from({ length: servers }, (_, at) => {
    const speed = numbers.skewed(1, 0.7);
    return new Machine(
      `server-${at}`,
      {
        memoryBytes: [16e9, 24e9, 32e9, 48e9][numbers.below(4)] as number,
        promptTokensPerMs: 0.8 * speed,
        answerTokensPerMs: 0.05 * speed,
        loadBytesPerMs: numbers.between(4e5, 2.5e6),
        slots: [1, 2, 4][numbers.below(3)] as number,
        models: models.filter(
          ({ bytes }, place) => bytes < 15e9 && numbers.next() < 0.35 + 0.4 * (place < count / 5 ? 1 : 0),
        ),
      },
      events,
    );
  });
  return { machines, models: models.filter(({ name }) => machines.some((machine) => machine.models.names?.has(name))) };
}

function arrivalsOf(scale: Scale, models: readonly SimulatedModel[]): readonly Arrival[] {
  const { seed, accounts, hours, callsPerSecond } = scale;
  const numbers = new Random(seed + 1_000);
  const arrivals: Arrival[] = [];
  const shares = models.map((_, at) => 1 / (at + 1.5));
  const whole = shares.reduce((sum, share) => sum + share, 0);
  const modelOf = (): SimulatedModel => {
    let left = numbers.next() * whole;
    return models.find((_, at) => (left -= shares[at] as number) <= 0) ?? (models[0] as SimulatedModel);
  };
  const turnsEach = 3;
  let conversation = 0;
  for (let atMs = 0; atMs < hours * hourMs; ) {
    // Three times as much by day as by night.
    const ofDay = 0.5 + 0.5 * (1 - Math.cos((2 * Math.PI * atMs) / (24 * hourMs))) * 1;
    atMs += numbers.gap((callsPerSecond / 1_000 / turnsEach) * ofDay);
    const model = modelOf();
    const account = Math.floor(accounts * numbers.next() ** 2);
    conversation++;
    let promptTokens = Math.round(Math.min(30_000, numbers.skewed(600, 1)));
    const turns = 1 + numbers.below(2 * turnsEach - 1);
    let turnMs = atMs;
    for (let turn = 0; turn < turns; turn++) {
      const answerTokens = Math.round(Math.min(2_000, Math.max(5, numbers.skewed(150, 0.9))));
      arrivals.push({ atMs: turnMs, account, model, conversation, promptTokens, answerTokens });
      promptTokens += answerTokens + Math.round(numbers.skewed(100, 0.8));
      turnMs += 15_000 + numbers.gap(1 / 45_000);
    }
  }
  return arrivals.toSorted((a, b) => a.atMs - b.atMs);
}

class Day {
  readonly #events: Events;
  readonly #machines: readonly Machine[];
  readonly #policy: Policy | undefined;
  readonly #choice: EarliestAnswer<Machine>;
  readonly #queue: FairQueue<Machine>;
  readonly #having = new Map<string, readonly Machine[]>();
  readonly #waits: number[] = [];
  readonly #byAccount = new Map<number, { sum: number; count: number }>();
  readonly #byModel = new Map<string, { sum: number; count: number }>();
  #arrived = 0;

  constructor(policy: PolicyName, events: Events, machines: readonly Machine[], { seed }: Scale) {
    this.#events = events;
    this.#machines = machines;
    const slotsFor = (_: string, { facts }: Machine): number => facts.slots;
    this.#choice = new EarliestAnswer({ slotsFor, nowMs: () => events.nowMs });
    this.#policy = {
      random: random(new Random(seed + 2_000)),
      'round robin': roundRobin(),
      'least connections': leastConnections(),
      'earliest answer': undefined,
    }[policy];
    this.#queue = new FairQueue({
      serversFor: (_, { demand }, ahead) => this.#serversFor(demand as Demand<Machine>, ahead),
      slotsFor,
      maxWaiting: 100_000,
      maxWaitMs: Infinity,
    });
    for (const [at, machine] of machines.entries()) this.#probe(machine, (at * probeMs) / machines.length);
    this.#sweep();
  }

  #serversFor(demand: Demand<Machine>, ahead: number): readonly Machine[] {
    if (!this.#policy) return this.#choice.ready(this.#machines, demand, ahead);
    const { model } = demand;
    let having = this.#having.get(model);
    if (!having) {
      having = this.#machines.filter(({ models }) => models.names?.has(model));
      this.#having.set(model, having);
    }
    return this.#policy(having, model);
  }

  #probe(machine: Machine, inMs: number): void {
    this.#events.in(inMs, () => {
      machine.look();
      this.#probe(machine, probeMs);
    });
  }

  #sweep(): void {
    this.#events.in(sweepMs, () => {
      this.#queue.sweep(this.#events.nowMs);
      this.#sweep();
    });
  }

  arrive(arrival: Arrival): void {
    this.#arrived++;
    const { model, promptTokens, conversation } = arrival;
    const demand: Demand<Machine> = {
      model: model.name,
      promptTokens,
      // What a gateway expects before it knows.
      answerTokens: 512,
      conversation,
      prefix: 0,
      prefixTokens: 0,
      takes: () => true,
    };
    const start = (slot: Slot<Machine>): void => this.#start(arrival, demand, slot);
    const turn: Turn<Machine> = {
      accountId: String(arrival.account),
      cost: promptTokens + 512,
      most: promptTokens + 2_000,
      weight: 1,
      behind: false,
      demand,
      start,
      refuse: () => undefined,
    };
    const entered = this.#queue.enter(model.name, turn, this.#events.nowMs);
    if (entered?.kind === 'slot') start(entered);
  }

  #start(arrival: Arrival, demand: Demand<Machine>, slot: Slot<Machine>): void {
    const assignment: Assignment<Machine> | undefined = this.#policy
      ? undefined
      : this.#choice.assign(slot.server, demand);
    const { promptTokens, answerTokens, atMs } = arrival;
    slot.server.send(
      arrival,
      () => {
        assignment?.began();
        this.#note(arrival, this.#events.nowMs - atMs);
      },
      (timings) => {
        assignment?.end();
        slot.release(promptTokens + answerTokens);
        assignment?.learn({
          nowMs: this.#events.nowMs,
          timings,
          streamed: true,
          isExact: true,
          promptTokens,
          cachedTokens: 0,
          answerTokens,
        });
      },
    );
  }

  #note({ account, model }: Arrival, ms: number): void {
    this.#waits.push(ms);
    add(this.#byAccount, account, ms);
    add(this.#byModel, model.name, ms);
  }

  result(): DayResult {
    const sorted = Float64Array.from(this.#waits).toSorted();
    const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
    return {
      calls: this.#arrived,
      unserved: this.#arrived - sorted.length,
      meanMs: Math.round(sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length),
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      loads: this.#machines.reduce((sum, { loads }) => sum + loads, 0),
      worstAccountMs: worst(this.#byAccount),
      worstModelMs: worst(this.#byModel),
    };
  }
}

function add<Key>(sums: Map<Key, { sum: number; count: number }>, key: Key, ms: number): void {
  const sum = sums.get(key);
  if (sum) {
    sum.sum += ms;
    sum.count++;
  } else sums.set(key, { sum: ms, count: 1 });
}

const worst = (sums: ReadonlyMap<unknown, { sum: number; count: number }>): number =>
  Math.round(Math.max(...[...sums.values()].map(({ sum, count }) => sum / count)));
