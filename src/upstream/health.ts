// Whether a model server can take calls, why not, and since when. Two things decide: probes, every few seconds and soon after a
// call went wrong, and the answers to calls, which cost a healthy server one test. A server that was down or doubtful gets one
// call first, then twice as many each time (half-open.ts). It ranks servers and never refuses a call: if no server is better,
// calls try one that is down, since it may have returned after the last probe.
import { formOf } from '../domain/plural.ts';
import type { HealthState } from '../domain/server-status.ts';
import { HalfOpen } from './half-open.ts';
import { isFlood, waitOf } from './retry-after.ts';
import { TurnReports } from './turn-reports.ts';

/** What came of a probe, and in words why. A server that is loading answers, but not yet calls. */
export interface Probed {
  readonly state: 'up' | 'loading' | 'refused' | 'busy' | 'down';
  readonly reason: string;
  /** Of a busy server: how long it asks to be left alone. */
  readonly waitMs?: number;
}

export interface HealthTools {
  /** Probes once. Never rejects. */
  readonly probe: () => Promise<Probed>;
  /** Runs after each probe of a server that is up, before `watch` resolves. Never rejects. */
  readonly afterwards: () => Promise<void>;
  readonly intervalMs: number;
  /** `changes`: how often the state changed since the last report. */
  readonly onTurn: (state: HealthState, reason: string, changes: number) => void;
}

/** What calls have shown of a server that answers probes; it holds until `untilMs` and is then left to the next probe. */
interface Spell {
  readonly state: 'doubtful' | 'refused' | 'busy';
  readonly reason: string;
  readonly untilMs: number;
}

/** A server that broke a call off gets a moment to recover before it is probed. */
const doubtMs = 100;
/** One whose answers are errors, or that refuses the gateway, answers probes all the same: only calls can show a change. */
const failingMs = 1_000;
const refusedMs = 5_000;
/** Each spell soon after another lasts twice as long, up to this. */
const longestSpellMs = 30_000;
/** A spell this long after the last one is as short as the first. */
const calmMs = 60_000;
/** The longest pause between probes of a server that is down. */
const awayMs = 1_000;
/** The last five answers, a bit each; three with a status of 500 or more make the server doubtful. */
const answerBits = 0b11111;
const mostFailed = 3;
/** So many calls in a row that it answered with 401: it refuses the gateway, not the call. */
const mostRefused = 2;

const answersWords = 'it answers';

/** By state, best first. A call goes to a server only if none with a lower rank can have it. */
const ranks: Readonly<Record<HealthState, number>> = {
  up: 0,
  // 1: up, and has as many calls as it may have while it comes back.
  busy: 2,
  doubtful: 3,
  loading: 4,
  unknown: 5,
  refused: 6,
  down: 7,
};

export class Health {
  /** How long the last probe took. */
  lookMs = 0;
  /** Called after each change of `rank`, `lookMs` or `slow`. */
  onChange: () => void = () => undefined;
  #slow = false;
  /** Since when its state is what it is, by `performance.now()`. */
  sinceMs = performance.now();
  readonly #tools: HealthTools;
  readonly #halfOpen = new HalfOpen();
  readonly #reports: TurnReports<HealthState>;
  #probed: Probed['state'] | undefined;
  #probedReason = '';
  #spell: Spell | undefined;
  #before: HealthState = 'unknown';
  /** One bit for each of the last answers. */
  #failed = 0;
  #refused = 0;
  /** Spells of the last time, and when the last one began. */
  #spells = 0;
  #spellAtMs = -Infinity;
  /** A probe runs; only one does, since a server that does not answer would otherwise have many, and none would end first. */
  #isLooking = false;
  /** When the next probe is due. */
  #lookAtMs = Infinity;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(tools: HealthTools) {
    this.#tools = tools;
    this.#reports = new TurnReports(tools.onTurn);
  }

  /** Probes once, and from then on regularly. Resolves after the first probe. */
  async watch(): Promise<void> {
    if (this.#isLooking) return;
    const { probe, afterwards, intervalMs } = this.#tools;
    this.#isLooking = true;
    this.#lookAtMs = Infinity;
    clearTimeout(this.#timer);
    const from = performance.now();
    const probed = await probe();
    this.#isLooking = false;
    if (this.#stopped) return;
    const now = performance.now();
    this.lookMs = now - from;
    this.#take(probed);
    // Something may have asked for a probe while this one ran.
    const dueMs = this.#lookAtMs - now;
    this.#lookAtMs = Infinity;
    this.#lookBy(Math.max(0, Math.min(dueMs, this.#pauseMs(probed, intervalMs))));
    if (probed.state === 'up') await afterwards();
  }

  /** The server answered its last probe with its list. Undefined before the first probe. */
  get up(): boolean | undefined {
    return this.#probed === undefined ? undefined : this.#probed === 'up';
  }

  get state(): HealthState {
    if (this.#probed === undefined) return 'unknown';
    return this.#probed === 'up' && this.#spell ? this.#spell.state : this.#probed;
  }

  /** Why it is not up, or does not get all calls; undefined if it is well. */
  get reason(): string | undefined {
    if (this.#probed !== 'up') return this.#probed && this.#probedReason;
    if (this.#spell) return this.#spell.reason;
    const { isOpen, most } = this.#halfOpen;
    return isOpen ? undefined : `it is coming back, with up to ${most} ${formOf(most, 'call', 'calls')} at once`;
  }

  /** A call may be sent to it now, although others could have it. */
  get admits(): boolean {
    return this.#probed === 'up' && !this.#spell && this.#halfOpen.hasRoom;
  }

  /** How many calls it may have while it gets few at first; Infinity: as many as it has slots. */
  get trials(): number {
    return this.#halfOpen.hasRoom ? this.#halfOpen.most : Infinity;
  }

  /** The better of two servers has the lower rank; 0 if `admits`. */
  get rank(): number {
    const { state } = this;
    return state === 'up' && !this.#halfOpen.hasRoom ? 1 : ranks[state];
  }

  /** Its answers begin far later than those of another server with the same model. */
  get slow(): boolean {
    return this.#slow;
  }
  set slow(slow: boolean) {
    if (slow === this.#slow) return;
    this.#slow = slow;
    this.onChange();
  }

  /** Counts a call that gets a slot there; give the result to `giveBack` when the slot is free again. */
  take(): number {
    const hold = this.#halfOpen.take();
    if (hold !== 0) this.onChange();
    return hold;
  }

  giveBack(hold: number): void {
    if (hold === 0) return;
    this.#halfOpen.giveBack(hold);
    this.onChange();
  }

  /** Call when the connection failed, or broke before an answer began, or none began in time. */
  doubt(reason = 'a call broke there'): void {
    this.#spend('doubtful', reason, doubtMs);
    // A call that failed at a server that is down may be the first to see a change.
    this.#lookBy(doubtMs);
  }

  /** Call for the head of every answer to an inference. `retryAfter`: its header of that name. */
  answered(status: number, retryAfter?: string): void {
    if (status < 400 && this.#failed === 0 && this.#refused === 0 && this.#halfOpen.isOpen) return;
    if (isFlood(status, retryAfter)) {
      const { waitMs, words } = waitOf(retryAfter);
      this.#spend('busy', `it answers ${status}, and asks to be left alone for ${words}`, waitMs);
      return;
    }
    if (status === 401) {
      if (++this.#refused >= mostRefused) this.#spend('refused', 'it answers calls with 401', refusedMs);
      else this.#lookBy(doubtMs);
      return;
    }
    const fails = status >= 500;
    this.#failed = ((this.#failed << 1) | Number(fails)) & answerBits;
    if (fails) {
      this.#lookBy(doubtMs);
      const count = ones(this.#failed);
      if (count >= mostFailed) this.#spend('doubtful', `${count} of its last 5 answers were errors`, failingMs);
      return;
    }
    this.#refused = 0;
    if (this.#halfOpen.wentWell()) this.#spells = 0;
    this.onChange();
  }

  /** Call when something has changed there that a probe can see. */
  hurry(): void {
    this.#lookBy(0);
  }

  /** It is shown other credentials from now on. */
  renewed(): void {
    this.#refused = 0;
    if (this.state !== 'refused') return;
    this.#spell = undefined;
    this.#note();
    this.#lookBy(0);
  }

  /** Stops probing. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #take({ state, reason }: Probed): void {
    const before = this.#probed;
    this.#probed = state;
    this.#probedReason = reason;
    if (state !== 'up') {
      this.#spell = undefined;
      this.#halfOpen.end();
      this.#failed = this.#refused = 0;
    } else if (this.#spell) {
      if (performance.now() >= this.#spell.untilMs) {
        this.#spell = undefined;
        this.#failed = this.#refused = 0;
        this.#halfOpen.begin();
      }
    } else if (before === 'down' || before === 'busy') this.#halfOpen.begin();
    this.#note();
    this.#reports.catchUp(this.state, this.reason ?? answersWords, performance.now());
  }

  /** How long until the next probe. A server that does not take calls is probed more often, so that its return is noticed. */
  #pauseMs({ state, waitMs }: Probed, intervalMs: number): number {
    if (state === 'busy') return waitMs ?? intervalMs;
    if (state === 'down' || state === 'loading') return Math.min(awayMs, intervalMs);
    return this.#spell ? Math.max(0, Math.min(intervalMs, this.#spell.untilMs - performance.now())) : intervalMs;
  }

  /** Begins a spell, if none holds and the server answers probes. */
  #spend(state: Spell['state'], reason: string, ms: number): void {
    if (this.#probed !== 'up' || this.#spell) return;
    const now = performance.now();
    if (now - this.#spellAtMs > calmMs) this.#spells = 0;
    // What a busy server asks for is bounded already.
    const lastsMs = state === 'busy' ? ms : Math.min(longestSpellMs, ms * 2 ** this.#spells++);
    this.#spellAtMs = now;
    this.#spell = { state, reason, untilMs: now + lastsMs };
    this.#halfOpen.end();
    this.#note();
    this.#lookBy(lastsMs);
  }

  #note(): void {
    this.onChange();
    const { state, reason } = this;
    if (state === this.#before) return;
    this.#before = state;
    this.sinceMs = performance.now();
    this.#reports.note(state, reason ?? answersWords, this.sinceMs);
  }

  /** Probes after this time, unless a probe is due before. */
  #lookBy(ms: number): void {
    const atMs = performance.now() + ms;
    if (this.#stopped || atMs >= this.#lookAtMs) return;
    this.#lookAtMs = atMs;
    if (this.#isLooking) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.watch(), ms).unref();
  }
}

const ones = (bits: number): number => bits.toString(2).replaceAll('0', '').length;
