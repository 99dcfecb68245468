// One call at the server that it was given to: counted there from the moment of the decision until its end, so the next
// decision knows of it at once. What it took is learned when it has ended.
import type { Demand } from '../../domain/demand.ts';
import type { Average } from './average.ts';
import { Learned } from './figures.ts';
import type { Offer } from './offer.ts';
import type { Ranked } from './ranked.ts';
import type { CallReport, Timings } from './timings.ts';

/** Where assignments are made. */
export interface Assigning<Server extends Ranked> {
  readonly nowMs: () => number;
  offerOf(server: Server, model: string): Offer<Server>;
  /** The tokens of the prompt that the server probably has in its cache. */
  cachedAt(offer: Offer<Server>, demand: Demand<Server>, nowMs: number): number;
  /** It had the last call of the conversation. */
  isKeptAt(offer: Offer<Server>, demand: Demand<Server>): boolean;
  /** It has this much of the text of the conversation now. */
  keep(offer: Offer<Server>, demand: Demand<Server>, tokens: number, nowMs: number): void;
  /** It has read the text that the conversation shares with others. */
  keepPrefix(offer: Offer<Server>, demand: Demand<Server>, nowMs: number): void;
}

/** A shorter prompt says little about the pace. */
const fewestPromptTokens = 16;
const fewestAnswerTokens = 4;
/** Ollama also reports what it takes to find that a model is loaded. */
const shortestLoadMs = 250;

export class Assignment<Server extends Ranked> {
  readonly demand: Demand<Server>;
  readonly #at: Assigning<Server>;
  #offer: Offer<Server>;
  #state: 'pending' | 'begun' | 'over' = 'pending';
  #assignedMs = 0;
  #beganMs = 0;
  #overMs = 0;
  #promptMs = 0;
  #endMs = 0;
  #predictedMs = 0;
  #cached = 0;
  /** It has the server load the model. */
  #loads = false;
  #isAlone = false;

  constructor(at: Assigning<Server>, server: Server, demand: Demand<Server>) {
    this.#at = at;
    this.demand = demand;
    this.#offer = at.offerOf(server, demand.model);
    this.#begin();
  }

  #begin(): void {
    const offer = this.#offer;
    const { work } = offer;
    const { promptTokens } = this.demand;
    const now = this.#at.nowMs();
    this.#assignedMs = now;
    this.#cached = this.#at.cachedAt(offer, this.demand, now);
    this.#promptMs = (promptTokens - this.#cached) * offer.promptMs;
    this.#isAlone = work.inFlight === 0;
    const loadMs = offer.loadWaitMs(now);
    this.#loads = !offer.isThere && !offer.isLoading;
    if (this.#loads) {
      offer.readyAtMs = now + loadMs;
      work.loads++;
      work.loadingUntilMs = offer.readyAtMs;
      offer.evictions.begin(offer, now);
    }
    const readyMs = loadMs + offer.backlogMs(now) + this.#promptMs;
    this.#predictedMs = readyMs;
    this.#endMs = now + readyMs + this.#answerTokens * offer.answerMs;
    offer.endsMs += this.#endMs;
    offer.inFlight++;
    offer.calls++;
    offer.usedMs = now;
    work.inFlight++;
    work.pending++;
    work.pendingMs += this.#promptMs;
    work.busyUntilMs = Math.max(work.busyUntilMs, now) + this.#promptMs;
    offer.evictions.changed();
    // The server has its text once it has read it, and others cannot use it while this call does.
    this.#at.keep(offer, this.demand, 0, now);
  }

  /** Callers reserve more than most answers need. */
  get #answerTokens(): number {
    const usual = this.#offer.learned?.answerTokens;
    const { answerTokens } = this.demand;
    return usual !== undefined && usual.count > 0 ? Math.min(answerTokens, usual.value) : answerTokens;
  }

  /** The server that it is counted at. */
  get server(): Server {
    return this.#offer.server;
  }

  get hasBegun(): boolean {
    return this.#state !== 'pending';
  }

  /** It is sent to another server instead. */
  moveTo(server: Server): void {
    if (server === this.#offer.server) return;
    this.end();
    this.#offer = this.#at.offerOf(server, this.demand.model);
    this.#state = 'pending';
    this.#begin();
  }

  /** The first piece of its answer has come. */
  began(): void {
    if (this.#state !== 'pending') return;
    this.#state = 'begun';
    const offer = this.#offer;
    const now = this.#at.nowMs();
    this.#beganMs = now;
    offer.seenMs = now;
    this.#at.keepPrefix(offer, this.demand, now);
    if (offer.isLoading) this.#endLoad();
    this.#read(now);
    const endMs = now + this.#answerTokens * offer.answerMs;
    offer.endsMs += endMs - this.#endMs;
    this.#endMs = endMs;
  }

  /** The server is done with it. Later calls do nothing. */
  end(): void {
    if (this.#state === 'over') return;
    const offer = this.#offer;
    const { work } = offer;
    const now = this.#at.nowMs();
    this.#overMs = now;
    if (this.#state === 'pending') this.#read(now);
    this.#state = 'over';
    offer.inFlight--;
    offer.endsMs -= this.#endMs;
    work.inFlight--;
    // Sums of fractions drift.
    if (offer.inFlight === 0) {
      offer.endsMs = 0;
      if (offer.isLoading) this.#endLoad();
    }
    if (work.inFlight === 0) work.pendingMs = work.busyUntilMs = 0;
    offer.evictions.changed();
  }

  #endLoad(): void {
    const offer = this.#offer;
    const { work } = offer;
    offer.readyAtMs = 0;
    if (--work.loads === 0) work.loadingUntilMs = 0;
  }

  /** Its prompt is not waited for any more. */
  #read(nowMs: number): void {
    const { work } = this.#offer;
    work.pending--;
    work.pendingMs = work.pending === 0 ? 0 : Math.max(0, work.pendingMs - this.#promptMs);
    work.busyUntilMs = nowMs + work.pendingMs;
  }

  /** Learns from a call that was answered. */
  learn(report: CallReport): void {
    const offer = this.#offer;
    const { work, peers } = offer;
    const { timings, nowMs } = report;
    const learned = (offer.learned ??= new Learned());
    const wallMs = Math.max(0, this.#overMs - this.#assignedMs);
    const promptMs = timings ? this.#reportedPromptMs(timings, wallMs) : this.#seenPromptMs(report);
    noteAll(learned.prompt, peers.prompt, work.promptFactor, promptMs, nowMs);
    const answerMs = timings && timings.answerMs > 0 ? reportedAnswerMs(timings, wallMs) : this.#seenAnswerMs(report);
    noteAll(learned.answer, peers.answer, work.answerFactor, answerMs, nowMs);
    const loadMs = timings && timings.loadMs >= shortestLoadMs ? timings.loadMs : this.#seenLoadMs(report, wallMs);
    // The gateway's own request shows it better.
    const isNoted = offer.loadTimes.isNotedSince(offer.server, offer.model, this.#assignedMs);
    if (this.#loads && loadMs >= shortestLoadMs && !isNoted)
      offer.loadTimes.note(offer.server, offer.model, Math.min(loadMs, wallMs), nowMs);
    learned.turn.note(wallMs, nowMs);
    learned.answerTokens.note(report.answerTokens, nowMs);
    this.#learnLateness(report);
    offer.outdate();
    // Unless a later call of the conversation went elsewhere.
    if (this.#at.isKeptAt(offer, this.demand))
      this.#at.keep(offer, this.demand, report.promptTokens + report.answerTokens, nowMs);
  }

  /** Undefined where the figures say nothing about the pace. */
  #reportedPromptMs({ promptMs, promptTokens, isFresh }: Timings, wallMs: number): number | undefined {
    const read = isFresh ? promptTokens : this.#readOf(promptTokens, this.#cached);
    if (read < fewestPromptTokens || promptMs <= 0) return undefined;
    return Math.min(promptMs, wallMs) / read;
  }

  /** By our own clock: only if nothing else happened there meanwhile. */
  #seenPromptMs({ streamed, promptTokens, cachedTokens }: CallReport): number | undefined {
    const read = this.#readOf(promptTokens, Math.max(cachedTokens, this.#cached));
    if (!streamed || !this.#isAlone || this.#loads || this.#beganMs === 0 || read < fewestPromptTokens)
      return undefined;
    return (this.#beganMs - this.#assignedMs) / read;
  }

  /** What is only assumed to be in the cache may be most of a prompt; then its pace says nothing. */
  #readOf(promptTokens: number, cached: number): number {
    return this.#cached > promptTokens / 2 ? 0 : promptTokens - cached;
  }

  #seenAnswerMs({ streamed, answerTokens }: CallReport): number | undefined {
    if (!streamed || this.#beganMs === 0 || answerTokens <= fewestAnswerTokens) return undefined;
    return (this.#overMs - this.#beganMs) / (answerTokens - 1);
  }

  /** The gateway may have had it loaded before it sent the call. */
  #seenLoadMs({ streamed, timings }: CallReport, wallMs: number): number {
    if (streamed && this.#beganMs > 0) return this.#beganMs - this.#assignedMs - this.#promptMs;
    return timings ? wallMs - timings.promptMs - timings.answerMs : 0;
  }

  /** How much later than predicted it began; a load has its own figures. */
  #learnLateness({ streamed, isExact, answerTokens, timings, nowMs }: CallReport): void {
    if (this.#loads || (timings !== undefined && timings.loadMs >= shortestLoadMs)) return;
    const offer = this.#offer;
    if (streamed && this.#beganMs > 0)
      offer.work.noteLateness(this.#beganMs - this.#assignedMs - this.#predictedMs, nowMs);
    else if (isExact) {
      const expectedMs = this.#predictedMs + answerTokens * offer.answerMs;
      offer.work.noteLateness(this.#overMs - this.#assignedMs - expectedMs, nowMs);
    }
  }
}

function reportedAnswerMs({ answerMs, answerTokens }: Timings, wallMs: number): number | undefined {
  return answerTokens < fewestAnswerTokens ? undefined : Math.min(answerMs, wallMs) / answerTokens;
}

/** Of the model here, of the model in general, and of the server beside others. */
function noteAll(own: Average, peers: Average, speed: Average, ms: number | undefined, nowMs: number): void {
  if (ms === undefined) return;
  own.note(ms, nowMs);
  if (peers.count > 0) speed.note(ms / peers.value, nowMs);
  peers.note(ms, nowMs);
}
