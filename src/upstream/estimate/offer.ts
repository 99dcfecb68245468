// A model on one server: what is known and learned of it, the calls that are there, and from that how long a call would wait
// for its first token.
import type { Average } from './average.ts';
import { assumedAnswerMs, assumedLoadMs, assumedPromptMs, type Learned, type Peers } from './figures.ts';
import type { Ranked } from './ranked.ts';
import type { ServerWork } from './server-work.ts';

/** What was learned this long ago counts half: the machine may have changed, and it is tried again. */
const staleMs = 1_800_000;
/** What takes longer than expected will probably take this much of the time so far once more. */
const overdue = 0.5;
/** A probe that takes longer may show a slow way to the server, or a moment's delay: it counts as so many calls there. */
const slowLookMs = 200;
const slowCalls = 3;
const slowMs = 1_000;
/** How long what was assumed holds; what is learned of the model here counts at once. */
const freshMs = 60_000;

/** What a load costs the other models of the server. */
export interface Evicting<Server extends Ranked> {
  costMs(offer: Offer<Server>, nowMs: number): number;
  /** The model is loaded now: others that have to leave are not taken for loaded any more. */
  begin(offer: Offer<Server>, nowMs: number): void;
  /** Something has changed at the server. */
  changed(): void;
}

export class Offer<Server extends Ranked> {
  readonly server: Server;
  readonly model: string;
  readonly work: ServerWork;
  readonly peers: Peers;
  readonly evictions: Evicting<Server>;
  learned: Learned | undefined;
  // As of `revision`, and for a while.
  revision = -1;
  freshUntilMs = -Infinity;
  size = 0;
  /** Infinity if unknown. */
  context = Infinity;
  slots = 1;
  weight = 1;
  isRemote = false;
  /** The last look saw it in memory, or the server does not say. */
  isLoaded = true;
  bytes = 0;
  /** Per token of a prompt. */
  promptMs = 0;
  /** Per token of an answer. */
  answerMs = 0;
  loadMs = 0;
  // Calls of this gateway.
  inFlight = 0;
  calls = 0;
  /** The sum of the times at which they are expected to end. */
  endsMs = 0;
  /** A call of this gateway has the server load it. */
  isLoading = false;
  loadingSinceMs = 0;
  readyAtMs = 0;
  usedMs = -Infinity;
  /** When it last showed that it was in memory, by an answer. */
  seenMs = -Infinity;
  /** When another load probably took its memory. */
  goneMs = -Infinity;

  constructor(server: Server, model: string, work: ServerWork, peers: Peers, evictions: Evicting<Server>) {
    this.server = server;
    this.model = model;
    this.work = work;
    this.peers = peers;
    this.evictions = evictions;
  }

  /** Reads again what the server says about the model, and what was learned. */
  renew(slots: number, nowMs: number): void {
    const { models, details, revision, terms } = this.server;
    this.revision = revision;
    this.freshUntilMs = nowMs + freshMs;
    this.size = models.sizes.get(this.model) ?? 0;
    this.context = details.contextOf(this.model) ?? Infinity;
    this.isRemote = models.remote.has(this.model);
    this.slots = slots;
    this.weight = terms.weight;
    const { loaded } = details;
    this.isLoaded = loaded === undefined || this.isRemote || loaded.has(this.model);
    this.bytes = loaded?.get(this.model) || this.size;
    const { learned, peers, work } = this;
    this.promptMs = paceOf(learned?.prompt, peers.prompt, assumedPromptMs(this.size), work.promptFactor, nowMs);
    this.answerMs = paceOf(learned?.answer, peers.answer, assumedAnswerMs(this.size), work.answerFactor, nowMs);
    this.loadMs = paceOf(learned?.load, peers.load, assumedLoadMs(this.size), work.loadFactor, nowMs);
  }

  /** It is in memory, as far as is known: by the last look, or by what has happened since. */
  get isThere(): boolean {
    const { lookedMs } = this.server;
    if (this.seenMs > lookedMs) return this.seenMs > this.goneMs;
    return this.isLoaded && this.goneMs <= lookedMs;
  }

  /** How long a call lasts. */
  turnMs(promptTokens: number, answerTokens: number): number {
    const learned = this.learned?.turn;
    if (learned !== undefined && learned.count > 0) return learned.value;
    return promptTokens * this.promptMs + answerTokens * this.answerMs;
  }

  /** Until the prompts that were sent before are read. Each call that runs there takes part of the machine. */
  backlogMs(nowMs: number): number {
    const { busyUntilMs, pending, inFlight } = this.work;
    const stepMs = this.answerMs;
    // Some calls there take no turn, or began while there was no other server.
    const running = Math.max(inFlight, this.server.inFlight) - pending;
    return Math.max(busyUntilMs - nowMs, pending * stepMs) + Math.max(0, running) * stepMs;
  }

  /** Until the model is in memory; 0 if it is. With what a load would cost other models. */
  loadWaitMs(nowMs: number): number {
    if (this.isLoading) {
      const left = this.readyAtMs - nowMs;
      return left > 0 ? left : overdue * -left;
    }
    if (this.isThere) return 0;
    return this.loadMs + this.evictions.costMs(this, nowMs) + Math.max(0, this.work.loadingUntilMs - nowMs);
  }

  /** Until one of its slots is free, for the first call that waits for one. */
  slotWaitMs(nowMs: number): number {
    const { inFlight } = this;
    if (inFlight < this.slots) return 0;
    const mean = this.endsMs / inFlight - nowMs;
    // The first of so many ends is earlier than their mean.
    return mean > 0 ? (2 * mean) / (inFlight + 1) : overdue * -mean;
  }

  /** A way that takes long, and other clients of the server. */
  distanceMs(nowMs: number): number {
    const { lookMs, slow } = this.server.health;
    return this.work.latenessMs(nowMs) + (lookMs > slowLookMs ? slowCalls * this.answerMs : 0) + (slow ? slowMs : 0);
  }
}

/** What was learned lately; otherwise what others do with the model, or machines in general, at the speed of this server. */
function paceOf(own: Average | undefined, peers: Average, usual: number, speed: Average, nowMs: number): number {
  const isKnown = own !== undefined && own.count > 0;
  if (isKnown && nowMs - own.atMs < staleMs) return own.value;
  const assumed = (peers.count > 0 ? peers.value : usual) * (speed.count > 0 ? speed.value : 1);
  return isKnown ? (own.value + assumed) / 2 : assumed;
}
