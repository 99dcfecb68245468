// A model on one server: what is known and learned of it, the calls that are there, and from that how long a call would wait
// for its first token.
import type { Average } from './average.ts';
import { assumedAnswerMs, assumedLoadMs, assumedPromptMs, type Learned, learnedOr, type Peers } from './figures.ts';
import type { LoadTimes } from './load-times.ts';
import type { Ranked } from './ranked.ts';
import { Row, type Rows } from './rows.ts';
import { inServer, lateness, type ServerWork } from './server-work.ts';

/** What takes longer than expected will probably take this much of the time so far once more. */
const overdue = 0.5;
/** How long what was assumed holds; what is learned of the model here counts at once. */
const freshMs = 60_000;

// Parts of a rank: what makes a server worse than another that is as well. They are smaller than the steps of health ranks.
export const elsewhere = 0.25;
const tooShort = 0.5;

/** The columns of an offer's row. */
export const inOffer = {
  // As of a revision of the server, and for a while.
  revision: 0,
  freshUntilMs: 1,
  /** Part of its rank. */
  elsewhere: 2,
  /** Infinity if unknown. */
  context: 3,
  weight: 4,
  slots: 5,
  /** Per token of a prompt. */
  promptMs: 6,
  /** Per token of an answer. */
  answerMs: 7,
  loadMs: 8,
  /** 1: the last look saw it in memory, or the server does not say. */
  isLoaded: 9,
  // Calls of this gateway.
  inFlight: 10,
  /** The sum of the times at which they are expected to end. */
  endsMs: 11,
  /** When a load that a call has begun will be over; 0 while there is none. */
  readyAtMs: 12,
  /** When it last showed that it was in memory, by an answer. */
  seenMs: 13,
  /** When another load probably took its memory. */
  goneMs: 14,
  /** In bytes; 0 if unknown. */
  size: 15,
} as const;
export const offerWidth = 16;

/** What a load costs the other models of the server. */
export interface Evicting<Server extends Ranked> {
  costMs(offer: Offer<Server>, nowMs: number): number;
  /** The model is loaded now: others that have to leave are not taken for loaded any more. */
  begin(offer: Offer<Server>, nowMs: number): void;
  /** Something has changed at the server. */
  changed(): void;
}

export class Offer<Server extends Ranked> extends Row {
  readonly server: Server;
  readonly model: string;
  readonly work: ServerWork;
  readonly peers: Peers;
  readonly evictions: Evicting<Server>;
  readonly loadTimes: LoadTimes<Server>;
  learned: Learned | undefined;
  // As of the last `renew`.
  isRemote = false;
  bytes = 0;
  // Calls of this gateway.
  calls = 0;
  usedMs = -Infinity;

  constructor(
    rows: Rows,
    server: Server,
    model: string,
    { work, peers, evictions, loadTimes }: Pick<Offer<Server>, 'work' | 'peers' | 'evictions' | 'loadTimes'>,
  ) {
    super(rows);
    this.server = server;
    this.model = model;
    this.work = work;
    this.peers = peers;
    this.evictions = evictions;
    this.loadTimes = loadTimes;
    this.seenMs = this.goneMs = -Infinity;
  }

  get slots(): number {
    return this.get(inOffer.slots);
  }
  get size(): number {
    return this.get(inOffer.size);
  }
  get weight(): number {
    return this.get(inOffer.weight);
  }
  get promptMs(): number {
    return this.get(inOffer.promptMs);
  }
  get answerMs(): number {
    return this.get(inOffer.answerMs);
  }
  get loadMs(): number {
    return this.get(inOffer.loadMs);
  }
  get inFlight(): number {
    return this.get(inOffer.inFlight);
  }
  set inFlight(count: number) {
    this.set(inOffer.inFlight, count);
  }
  get endsMs(): number {
    return this.get(inOffer.endsMs);
  }
  set endsMs(ms: number) {
    this.set(inOffer.endsMs, ms);
  }
  get readyAtMs(): number {
    return this.get(inOffer.readyAtMs);
  }
  set readyAtMs(ms: number) {
    this.set(inOffer.readyAtMs, ms);
  }
  /** A call of this gateway has the server load it. */
  get isLoading(): boolean {
    return this.readyAtMs !== 0;
  }
  get seenMs(): number {
    return this.get(inOffer.seenMs);
  }
  set seenMs(ms: number) {
    this.set(inOffer.seenMs, ms);
  }
  get goneMs(): number {
    return this.get(inOffer.goneMs);
  }
  set goneMs(ms: number) {
    this.set(inOffer.goneMs, ms);
  }

  /** Something was learned of it. */
  outdate(): void {
    this.set(inOffer.freshUntilMs, -Infinity);
  }

  /** Reads again what the server says about the model, and what was learned. */
  renew(slots: number, nowMs: number): void {
    const { models, details, revision, terms } = this.server;
    this.set(inOffer.revision, revision);
    this.set(inOffer.freshUntilMs, nowMs + freshMs);
    const size = models.sizes.get(this.model) ?? 0;
    this.set(inOffer.size, size);
    this.isRemote = models.remote.has(this.model);
    this.set(inOffer.elsewhere, this.isRemote ? elsewhere : 0);
    this.set(inOffer.context, this.isRemote ? Infinity : (details.contextOf(this.model) ?? Infinity));
    this.set(inOffer.slots, slots);
    this.set(inOffer.weight, terms.weight);
    const { loaded } = details;
    this.set(inOffer.isLoaded, Number(loaded === undefined || this.isRemote || loaded.has(this.model)));
    this.bytes = loaded?.get(this.model) || size;
    const { learned, peers, work } = this;
    const promptMs = paceOf(learned?.prompt, peers.prompt, assumedPromptMs(size), work.promptFactor, nowMs);
    const answerMs = paceOf(learned?.answer, peers.answer, assumedAnswerMs(size), work.answerFactor, nowMs);
    const loadMs = this.loadTimes.expectedMs(this.server, this.model, assumedLoadMs(size), nowMs);
    this.set(inOffer.promptMs, promptMs);
    this.set(inOffer.answerMs, answerMs);
    this.set(inOffer.loadMs, loadMs);
  }

  /** It is in memory, as far as is known: by the last look, or by what has happened since. */
  get isThere(): boolean {
    return isThere(this.figures, this.at, this.server.lookedMs);
  }

  /** How long a call lasts. */
  turnMs(promptTokens: number, answerTokens: number): number {
    const learned = this.learned?.turn;
    if (learned !== undefined && learned.count > 0) return learned.value;
    return promptTokens * this.promptMs + answerTokens * this.answerMs;
  }

  /** Until the prompts that were sent before are read. */
  backlogMs(nowMs: number): number {
    return backlog(this.work.figures, this.work.at, this.answerMs, nowMs);
  }

  /** Until the model is in memory; 0 if it is. With what a load would cost other models. */
  loadWaitMs(nowMs: number): number {
    if (this.isLoading) return overdueMs(this.readyAtMs - nowMs);
    if (this.isThere) return 0;
    return this.loadMs + this.evictions.costMs(this, nowMs) + Math.max(0, this.work.loadingUntilMs - nowMs);
  }

  /** Until one of its slots is free, for the first call that waits for one. */
  slotWaitMs(nowMs: number): number {
    return slotWait(this.figures, this.at, nowMs);
  }
}

type Figures = Float64Array;

export interface Terms {
  readonly promptTokens: number;
  /** What waits for a slot before this call. */
  readonly queueMs: number;
  /** With what a load costs other models, as far as the rows say. */
  readonly prices: boolean;
  readonly nowMs: number;
}

/**
 * Until the first token, not divided by the weight. Reads rows only: `o` is where that of the offer begins, `s` where that of
 * its server does.
 */
export function estimate(
  offers: Figures,
  o: number,
  servers: Figures,
  s: number,
  { promptTokens, queueMs, prices, nowMs }: Terms,
): number {
  const answerMs = offers[o + inOffer.answerMs] as number;
  const readyAtMs = offers[o + inOffer.readyAtMs] as number;
  let ms = backlog(servers, s, answerMs, nowMs) + promptTokens * (offers[o + inOffer.promptMs] as number);
  ms +=
    lateness(servers[s + inServer.lateMs] as number, servers[s + inServer.lateAtMs] as number, nowMs) +
    (servers[s + inServer.farCalls] as number) * answerMs +
    (servers[s + inServer.slowMs] as number);
  if (readyAtMs !== 0) ms += overdueMs(readyAtMs - nowMs);
  else if (!isThere(offers, o, servers[s + inServer.lookedMs] as number)) {
    ms += offers[o + inOffer.loadMs] as number;
    ms += Math.max(0, (servers[s + inServer.loadingUntilMs] as number) - nowMs);
    if (prices) ms += leastEviction(offers, o, servers, s, nowMs);
  }
  return (offers[o + inOffer.inFlight] as number) >= (offers[o + inOffer.slots] as number)
    ? ms + slotWait(offers, o, nowMs) + queueMs
    : ms;
}

/** The server says other things than when the row was written, or it was written long ago. */
export const isOutdated = (offers: Figures, o: number, servers: Figures, s: number, nowMs: number): boolean =>
  offers[o + inOffer.revision] !== servers[s + inServer.revision] ||
  nowMs >= (offers[o + inOffer.freshUntilMs] as number);

/** At least so much does a load of the model cost others there, as far as the rows say. */
export function leastEviction(offers: Figures, o: number, servers: Figures, s: number, nowMs: number): number {
  if (nowMs >= (servers[s + inServer.evictUntilMs] as number)) return 0;
  const isRoom = (offers[o + inOffer.size] as number) <= (servers[s + inServer.freeBytes] as number);
  return isRoom ? 0 : (servers[s + inServer.evictMs] as number);
}

/** Of the server and of the model there, for a prompt of this length. */
export function rankIn(offers: Figures, o: number, servers: Figures, s: number, promptTokens: number): number {
  const context = offers[o + inOffer.context] as number;
  return (
    (servers[s + inServer.rank] as number) +
    (offers[o + inOffer.elsewhere] as number) +
    (context < promptTokens ? tooShort : 0)
  );
}

export function isThere(offers: Figures, o: number, lookedMs: number): boolean {
  const seenMs = offers[o + inOffer.seenMs] as number;
  const goneMs = offers[o + inOffer.goneMs] as number;
  if (seenMs > lookedMs) return seenMs > goneMs;
  return offers[o + inOffer.isLoaded] === 1 && goneMs <= lookedMs;
}

/** Each call that runs there takes part of the machine. Some take no turn, or began while there was no other server. */
function backlog(servers: Figures, s: number, answerMs: number, nowMs: number): number {
  const pending = servers[s + inServer.pending] as number;
  const running = Math.max(servers[s + inServer.inFlight] as number, servers[s + inServer.sent] as number) - pending;
  const readMs = Math.max((servers[s + inServer.busyUntilMs] as number) - nowMs, pending * answerMs);
  const others = (servers[s + inServer.othersRunning] as number) + (servers[s + inServer.othersTokens] as number);
  return readMs + (Math.max(0, running) + others) * answerMs;
}

function slotWait(offers: Figures, o: number, nowMs: number): number {
  const inFlight = offers[o + inOffer.inFlight] as number;
  if (inFlight < (offers[o + inOffer.slots] as number)) return 0;
  const mean = (offers[o + inOffer.endsMs] as number) / inFlight - nowMs;
  // The first of so many ends is earlier than their mean.
  return mean > 0 ? (2 * mean) / (inFlight + 1) : overdue * -mean;
}

const overdueMs = (leftMs: number): number => (leftMs > 0 ? leftMs : overdue * -leftMs);

/** What was learned lately; otherwise what others do with the model, or machines in general, at the speed of this server. */
const paceOf = (own: Average | undefined, peers: Average, usual: number, speed: Average, nowMs: number): number =>
  learnedOr(own, (peers.count > 0 ? peers.value : usual) * (speed.count > 0 ? speed.value : 1), nowMs);
