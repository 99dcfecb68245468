// Carries frames between a caller and a service, and ends the connection of both. Each direction is checked and passed on as it
// comes; a side that reads slowly makes the other wait, so the gateway holds one socket buffer for each direction. An
// ending that the gateway decides on is told to both sides in a close frame at the border of a frame. `conclude` is called once,
// before the caller can see the end.
import type { Duplex } from 'node:stream';
import { GatewayError } from '../../domain/error.ts';
import type { Outcome } from '../../domain/usage.ts';
import { closeCodeOf, reasonOf } from './close-codes.ts';
import { FrameFault, type FrameLimits, FrameReader } from './frame-reader.ts';
import { type CloseCode, closeCode, closeFrame } from './frames.ts';

export interface TunnelSettings {
  readonly limits: FrameLimits;
  /** How long nothing may come from either side. */
  readonly idleMs: number;
  /** How long a side may take nothing of what waits for it. */
  readonly stallMs: number;
}

export interface TunnelEnd {
  readonly outcome: Outcome;
  readonly error?: GatewayError;
}

/** How long the rest of a begun frame may take when the tunnel ends. A revocation takes effect within a second. */
const borderMs = 250;
/** How long a side may take to answer a close frame, and to close its connection. */
const closingMs = 2_000;
const dismissMs = 500;

/** What a side is told at the end: a close frame, or nothing. */
type Farewell = { readonly code: CloseCode; readonly reason: string } | undefined;

interface Ending extends TunnelEnd {
  readonly toCaller: Farewell;
  readonly toService: Farewell;
}

/** Bytes of frames that have passed, of both directions. */
export interface Counts {
  bytesIn: number;
  bytesOut: number;
}

/** One side, with what comes from it. */
class Side {
  readonly name: 'client' | 'server';
  readonly socket: Duplex;
  readonly frames: FrameReader;
  /** Nothing more will come from it. */
  gone = false;
  /** It has not taken what was written to it. */
  stall: NodeJS.Timeout | undefined;

  constructor(name: 'client' | 'server', socket: Duplex, limits: FrameLimits) {
    this.name = name;
    this.socket = socket;
    this.frames = new FrameReader(name, limits);
  }
}

export class Tunnel {
  readonly #caller: Side;
  readonly #service: Side;
  readonly #settings: TunnelSettings;
  readonly #counts: Counts;
  readonly #conclude: (end: TunnelEnd) => void;
  readonly #idle: NodeJS.Timeout;
  #closing: NodeJS.Timeout | undefined;
  #ending: Ending | undefined;
  #isConcluded = false;
  #isOver = false;

  constructor(
    caller: Duplex,
    service: Duplex,
    settings: TunnelSettings,
    counts: Counts,
    conclude: (end: TunnelEnd) => void,
  ) {
    this.#caller = new Side('client', caller, settings.limits);
    this.#service = new Side('server', service, settings.limits);
    this.#settings = settings;
    this.#counts = counts;
    this.#conclude = conclude;
    this.#idle = setTimeout(() => this.end(new GatewayError('connection_idle')), settings.idleMs);
  }

  /** Begins to carry. */
  open(): void {
    for (const [side, other] of [
      [this.#caller, this.#service],
      [this.#service, this.#caller],
    ] as const) {
      const onGone = (): void => this.#onGone(side);
      side.socket.on('error', onGone).on('end', onGone).on('close', onGone);
      side.socket.on('data', (chunk: Buffer) => this.#carry(chunk, side, other));
      side.socket.resume();
      if (side.socket.destroyed) onGone();
    }
  }

  /** Ends the tunnel from outside: a right is lost, the gateway stops, the time is over. */
  end(error: GatewayError): void {
    const farewell = { code: closeCodeOf(error), reason: reasonOf(error) };
    const outcome = error.owner === 'upstream' ? 'failed' : 'ended';
    const leaves = { code: closeCode.goingAway, reason: '' };
    this.#end({ outcome, error, toCaller: farewell, toService: leaves });
  }

  #carry(chunk: Buffer, from: Side, to: Side): void {
    this.#idle.refresh();
    if (this.#isOver) return;
    try {
      from.frames.push(chunk, (bytes) => this.#pass(bytes, from, to));
    } catch (error) {
      if (!(error instanceof FrameFault)) throw error;
      this.#endWithFault(error, from);
    }
    if (this.#ending && !this.#isOver) this.#finishAtBorder(this.#ending);
  }

  #pass(bytes: Buffer, from: Side, to: Side): void {
    if (from === this.#caller) this.#counts.bytesIn += bytes.length;
    else this.#counts.bytesOut += bytes.length;
    if (from.frames.closed) this.#noteClose(from, to);
    if (!to.socket.write(bytes) && to.stall === undefined) this.#hold(from, to);
    if (from.frames.closed && to.frames.closed) this.#hangUp(closingMs);
  }

  /** Reads nothing from one side until the other has taken what waits for it. */
  #hold(from: Side, to: Side): void {
    from.socket.pause();
    to.stall = this.#watch(to, to.socket.writableLength);
    to.socket.once('drain', () => {
      clearTimeout(to.stall);
      to.stall = undefined;
      from.socket.resume();
    });
  }

  /** A reader who takes something in every such time is slow; one who takes nothing is cut. */
  #watch(side: Side, waiting: number): NodeJS.Timeout {
    return setTimeout(() => {
      const { writableLength } = side.socket;
      if (writableLength < waiting) side.stall = this.#watch(side, writableLength);
      else this.#endWithStall(side);
    }, this.#settings.stallMs);
  }

  /** A side that reads nothing cannot be told anything. */
  #endWithStall(side: Side): void {
    if (side === this.#caller) {
      const error = new GatewayError('reader_stalled');
      this.#end({ outcome: 'ended', error, toCaller: undefined, toService: undefined });
      return;
    }
    const error = new GatewayError('upstream_timeout', { message: 'The service stopped reading.' });
    const toCaller = { code: closeCodeOf(error), reason: reasonOf(error) };
    this.#end({ outcome: 'failed', error, toCaller, toService: undefined });
  }

  /** A close frame is about to pass. With the service's, the caller sees the end. */
  #noteClose(from: Side, to: Side): void {
    if (from === this.#service) this.#concludeOnce({ outcome: outcomeOf(from.frames.closedWith) });
    // The other side has that long to answer.
    if (!to.frames.closed) this.#closing ??= setTimeout(() => this.#onSilence(), closingMs);
  }

  /** One side has sent a close frame, and the other does not answer: the gateway answers in its place. */
  #onSilence(): void {
    if (this.#isOver) return;
    this.#concludeOnce({ outcome: 'completed' });
    const answer = { code: closeCode.normal, reason: '' };
    this.#tell(this.#caller, this.#service, answer);
    this.#tell(this.#service, this.#caller, answer);
    this.#hangUp(dismissMs);
  }

  #onGone(side: Side): void {
    if (side.gone) return;
    side.gone = true;
    if (this.#isOver) {
      this.#release(side);
      return;
    }
    // After a close frame of either side, the end of a connection is expected.
    if (this.#caller.frames.closed || this.#service.frames.closed) {
      this.#onSilence();
      return;
    }
    const leaves = { code: closeCode.goingAway, reason: '' };
    if (side === this.#caller)
      this.#end({
        outcome: 'client_closed',
        error: new GatewayError('client_closed'),
        toCaller: undefined,
        toService: leaves,
      });
    else this.end(new GatewayError('upstream_incomplete', { message: 'The service closed the connection.' }));
  }

  #endWithFault(fault: FrameFault, from: Side): void {
    const own = { code: fault.code, reason: fault.message };
    const isCaller = from === this.#caller;
    const error = isCaller
      ? new GatewayError('bad_frame', { message: fault.message })
      : new GatewayError('upstream_failed', { message: 'The service sent a frame that the gateway does not pass on.' });
    const other = { code: isCaller ? closeCode.goingAway : closeCode.upstreamFailed, reason: '' };
    this.#end({
      outcome: isCaller ? 'ended' : 'failed',
      error,
      toCaller: isCaller ? own : other,
      toService: isCaller ? other : own,
    });
  }

  #end(ending: Ending): void {
    if (this.#ending || this.#isOver) return;
    this.#ending = ending;
    this.#caller.frames.stop();
    this.#service.frames.stop();
    this.#finishAtBorder(ending);
    if (!this.#isOver) this.#closing = setTimeout(() => this.#finish(ending), borderMs);
  }

  /** Waits for the rest of a begun frame, if it can still come and its reader is to be told something. */
  #finishAtBorder(ending: Ending): void {
    const waits = (from: Side, farewell: Farewell): boolean =>
      farewell !== undefined && !from.gone && !from.frames.atBorder;
    if (!waits(this.#service, ending.toCaller) && !waits(this.#caller, ending.toService)) this.#finish(ending);
  }

  #finish(ending: Ending): void {
    if (this.#isOver) return;
    this.#concludeOnce(ending);
    this.#tell(this.#caller, this.#service, ending.toCaller);
    this.#tell(this.#service, this.#caller, ending.toService);
    this.#hangUp(ending.toCaller?.code === closeCode.policy ? dismissMs : closingMs);
  }

  /** Sends the close frame, unless the other side's own has passed already or a frame is incomplete. */
  #tell(side: Side, other: Side, farewell: Farewell): void {
    if (side.socket.destroyed) return;
    if (!farewell || !other.frames.atBorder) side.socket.destroy();
    else if (!other.frames.closed) side.socket.write(closeFrame(farewell.code, farewell.reason, side.name));
  }

  #concludeOnce({ outcome, error }: TunnelEnd): void {
    if (this.#isConcluded) return;
    this.#isConcluded = true;
    this.#conclude(error ? { outcome, error } : { outcome });
  }

  /** Closes both connections: the last bytes go out, and what still comes is thrown away. */
  #hangUp(lingerMs: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#idle);
    clearTimeout(this.#closing);
    for (const side of [this.#caller, this.#service]) {
      clearTimeout(side.stall);
      side.socket.resume();
      if (!side.socket.writableEnded) side.socket.end();
      if (side.gone) this.#release(side);
    }
    const late = setTimeout(() => {
      this.#caller.socket.destroy();
      this.#service.socket.destroy();
    }, lingerMs);
    late.unref();
  }

  /** Its peer has closed: nothing is left to wait for but its own last bytes. */
  #release({ socket }: Side): void {
    if (socket.writableFinished || socket.destroyed) socket.destroy();
    else socket.once('finish', () => socket.destroy());
  }
}

/** Codes 1011 to 1014 report a failure of the service or of something behind it. */
const outcomeOf = (code: number | undefined): Outcome =>
  code !== undefined && code >= closeCode.upstreamFailed && code <= 1014 ? 'upstream_error' : 'completed';
