// A model server that is computed instead of run. It has memory for some models and loads others in the place of those that
// were used least recently; reads prompts one after the other; generates several answers at once, each slower for the others;
// and keeps the text of the last conversations of each model. It says of itself what Ollama says, and only when it is looked at.
import type { Ranked } from '../../src/upstream/estimate/ranked.ts';
import type { Timings } from '../../src/upstream/estimate/timings.ts';
import type { Events } from './events.ts';

export interface SimulatedModel {
  readonly name: string;
  readonly bytes: number;
}

export interface MachineFacts {
  readonly memoryBytes: number;
  /** For a model of 4 GB. */
  readonly promptTokensPerMs: number;
  readonly answerTokensPerMs: number;
  readonly loadBytesPerMs: number;
  /** Answers of a model at once. */
  readonly slots: number;
  readonly models: readonly SimulatedModel[];
}

export interface SimulatedCall {
  readonly model: SimulatedModel;
  readonly conversation: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

interface Running {
  readonly call: SimulatedCall;
  readonly sentMs: number;
  readonly onFirstToken: () => void;
  readonly onEnd: (timings: Timings) => void;
}

interface Resident {
  readonly model: SimulatedModel;
  isReady: boolean;
  usedMs: number;
  running: number;
  readonly waiting: Running[];
  /** Conversations in the cache with their tokens; the last used is last. */
  readonly cache: Map<number, number>;
}

const usualBytes = 4e9;
const startMs = 500;
/** What each further answer at once costs the others. */
const crowding = 0.12;

export class Machine implements Ranked {
  readonly name: string;
  readonly facts: MachineFacts;
  // As the choice sees it.
  readonly health = { rank: 0, lookMs: 2, slow: false };
  readonly models: Ranked['models'];
  readonly terms = { weight: 1 };
  onChange: () => void = () => undefined;
  readonly others = { running: 0, waiting: 0 };
  inFlight = 0;
  revision = 0;
  lookedMs = -Infinity;
  #seen: ReadonlyMap<string, number> = new Map();
  readonly details: Ranked['details'] = { contextOf: () => undefined, loaded: undefined };
  loads = 0;
  readonly #events: Events;
  readonly #residents = new Map<string, Resident>();
  readonly #unloaded: Running[] = [];
  #answering = 0;
  #readsUntilMs = 0;
  #isLoading = false;

  constructor(name: string, facts: MachineFacts, events: Events) {
    this.name = name;
    this.facts = facts;
    this.#events = events;
    this.models = {
      names: new Set(facts.models.map((model) => model.name)),
      remote: new Set(),
      sizes: new Map(facts.models.map((model) => [model.name, model.bytes])),
    };
    Object.defineProperty(this.details, 'loaded', { get: () => this.#seen });
  }

  /** A probe: the choice knows from now on what is in memory at this moment. */
  look(): void {
    const seen = new Map([...this.#residents.values()].map(({ model }) => [model.name, model.bytes]));
    if ([...seen.keys()].join() !== [...this.#seen.keys()].join()) this.revision++;
    this.#seen = seen;
    this.lookedMs = this.#events.nowMs;
    this.onChange();
  }

  send(call: SimulatedCall, onFirstToken: () => void, onEnd: (timings: Timings) => void): void {
    this.inFlight++;
    this.onChange();
    const running: Running = { call, sentMs: this.#events.nowMs, onFirstToken, onEnd };
    const resident = this.#residents.get(call.model.name);
    if (resident) this.#enter(resident, running);
    else {
      this.#unloaded.push(running);
      this.#loadNext();
    }
  }

  #enter(resident: Resident, running: Running): void {
    resident.usedMs = this.#events.nowMs;
    resident.waiting.push(running);
    this.#startNext(resident);
  }

  /** One load at a time; it waits until enough models are idle. */
  #loadNext(): void {
    const next = this.#unloaded[0];
    if (this.#isLoading || next === undefined) return;
    const { model } = next.call;
    if (!this.#makeRoom(model.bytes)) return;
    this.#isLoading = true;
    this.loads++;
    const resident: Resident = {
      model,
      isReady: false,
      usedMs: this.#events.nowMs,
      running: 0,
      waiting: [],
      cache: new Map(),
    };
    this.#residents.set(model.name, resident);
    const mine = this.#unloaded.filter(({ call }) => call.model === model);
    for (const running of mine) {
      this.#unloaded.splice(this.#unloaded.indexOf(running), 1);
      resident.waiting.push(running);
    }
    this.#events.in(startMs + model.bytes / this.facts.loadBytesPerMs, () => {
      this.#isLoading = false;
      resident.isReady = true;
      resident.usedMs = this.#events.nowMs;
      this.#startNext(resident);
      this.#loadNext();
    });
  }

  #makeRoom(bytes: number): boolean {
    let used = 0;
    for (const { model } of this.#residents.values()) used += model.bytes;
    const idle = [...this.#residents.values()]
      .filter(({ isReady, running, waiting }) => isReady && running === 0 && waiting.length === 0)
      .toSorted((a, b) => a.usedMs - b.usedMs);
    let missing = used + bytes - this.facts.memoryBytes;
    const leaving: Resident[] = [];
    for (const resident of idle) {
      if (missing <= 0) break;
      leaving.push(resident);
      missing -= resident.model.bytes;
    }
    if (missing > 0) return false;
    for (const { model } of leaving) this.#residents.delete(model.name);
    return true;
  }

  #startNext(resident: Resident): void {
    const { facts } = this;
    while (resident.isReady && resident.running < facts.slots) {
      const next = resident.waiting.shift();
      if (next === undefined) return;
      resident.running++;
      this.#work(resident, next);
    }
  }

  #work(resident: Resident, running: Running): void {
    const { call, sentMs, onFirstToken, onEnd } = running;
    const { facts } = this;
    const now = this.#events.nowMs;
    const slower = call.model.bytes / usualBytes;
    const known = Math.min(resident.cache.get(call.conversation) ?? 0, call.promptTokens - 1);
    const crowd = 1 + crowding * this.#answering;
    const readMs = ((call.promptTokens - known) / facts.promptTokensPerMs) * slower * crowd;
    this.#readsUntilMs = Math.max(now, this.#readsUntilMs) + readMs;
    this.#answering++;
    this.#events.at(this.#readsUntilMs, () => {
      onFirstToken();
      const answerMs = (call.answerTokens / facts.answerTokensPerMs) * slower * (1 + crowding * (this.#answering - 1));
      this.#events.in(answerMs, () => {
        this.#answering--;
        this.inFlight--;
        this.onChange();
        resident.running--;
        resident.usedMs = this.#events.nowMs;
        this.#keep(resident, call);
        onEnd({
          loadMs: Math.max(1, now - sentMs),
          promptMs: readMs,
          promptTokens: call.promptTokens,
          isFresh: false,
          answerMs,
          answerTokens: call.answerTokens,
        });
        this.#startNext(resident);
        this.#loadNext();
      });
    });
  }

  #keep({ cache }: Resident, { conversation, promptTokens, answerTokens }: SimulatedCall): void {
    cache.delete(conversation);
    cache.set(conversation, promptTokens + answerTokens);
    if (cache.size > this.facts.slots) cache.delete(cache.keys().next().value as number);
  }
}
