// Checks the frames of one direction of a WebSocket (RFC 6455 §5), and passes the bytes on as they were received. Of a frame
// nothing is passed on before its head is complete and correct; a control frame passes whole. So the gateway can add a frame of
// its own wherever the passed bytes end at a border. It holds at most one head or control frame. Text is checked to be UTF-8
// (RFC 6455 §8.1), since not every service does, and is not kept.
import { isUtf8 } from 'node:buffer';
import { type CloseCode, closeCode, isCloseCode, maxControlBytes, opcode } from './frames.ts';
import { Utf8Check } from './utf8-check.ts';

export interface FrameLimits {
  /** The largest payload of one frame. */
  readonly maxFrameBytes: number;
  /** The largest payload of all fragments of one message together. */
  readonly maxMessageBytes: number;
}

/** What a sender must not send; the code is what an endpoint would close with. */
export class FrameFault extends Error {
  override readonly name = 'FrameFault';
  readonly code: CloseCode;

  constructor(code: CloseCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The longest head: two bytes, eight of length, four of mask. */
const maxHeadBytes = 14;

export class FrameReader {
  /** Complete or begun messages; control frames are none. */
  messages = 0;
  /** Their payload, as far as it was announced. */
  payloadBytes = 0;
  /** The sender's close frame has passed, and nothing of this direction passes after it (RFC 6455 §5.5.1). */
  closed = false;
  /** Its code; undefined without one. */
  closedWith: number | undefined;
  readonly #masked: boolean;
  readonly #limits: FrameLimits;
  /** An incomplete head or control frame. */
  readonly #held = Buffer.allocUnsafe(maxHeadBytes + maxControlBytes);
  #heldBytes = 0;
  /** Payload bytes of the begun data frame that have not come yet. */
  #left = 0;
  /** A message of several frames has begun. */
  #fragmented = false;
  #messageBytes = 0;
  /** Of the begun message, which is text; undefined if it is bytes. */
  #text: Utf8Check | undefined;
  /** The begun frame is the last of its message. */
  #isLast = true;
  readonly #mask = Buffer.alloc(4);
  /** How many bytes of the begun frame were unmasked, modulo four. */
  #unmasked = 0;
  #stopped = false;

  /** `from`: a client masks every frame, a server none (RFC 6455 §5.1). */
  constructor(from: 'client' | 'server', limits: FrameLimits) {
    this.#masked = from === 'client';
    this.#limits = limits;
  }

  /** Everything that was passed on ends with a whole frame. */
  get atBorder(): boolean {
    return this.#left === 0;
  }

  /** From now on only the rest of a begun frame passes. */
  stop(): void {
    this.#stopped = true;
  }

  /** `pass` gets every byte that may go on, in order; also those before a fault. @throws FrameFault. */
  push(chunk: Buffer, pass: (bytes: Buffer) => void): void {
    const from = this.#heldBytes > 0 ? this.#completeHeld(chunk, pass) : 0;
    let at = from;
    /** Where the head of the begun frame is, if it has not passed yet. */
    let headAt = -1;
    try {
      while (at < chunk.length && !this.closed) {
        if (this.#left > 0) {
          const taken = Math.min(this.#left, chunk.length - at);
          if (this.#text && !this.#isUtf8(this.#text, chunk.subarray(at, at + taken))) {
            if (headAt >= 0) {
              at = headAt;
              this.#left = 0;
            }
            throw notUtf8();
          }
          at += taken;
          this.#left -= taken;
          continue;
        }
        if (this.#stopped) break;
        const size = this.#sizeOf(chunk, at, chunk.length);
        if (size > chunk.length - at) {
          chunk.copy(this.#held, 0, at);
          this.#heldBytes = chunk.length - at;
          break;
        }
        this.#begin(chunk, at, size);
        headAt = at;
        at += size;
      }
    } finally {
      if (at > from) pass(from === 0 && at === chunk.length ? chunk : chunk.subarray(from, at));
    }
  }

  /** Completes the held head or control frame; returns how much of the chunk that took. */
  #completeHeld(chunk: Buffer, pass: (bytes: Buffer) => void): number {
    if (this.#stopped) return chunk.length;
    let taken = 0;
    for (;;) {
      const size = this.#sizeOf(this.#held, 0, this.#heldBytes);
      if (this.#heldBytes === size) break;
      if (taken === chunk.length) return taken;
      // A head says step by step how long it is.
      const copied = chunk.copy(this.#held, this.#heldBytes, taken, taken + size - this.#heldBytes);
      this.#heldBytes += copied;
      taken += copied;
    }
    this.#begin(this.#held, 0, this.#heldBytes);
    pass(Buffer.from(this.#held.subarray(0, this.#heldBytes)));
    this.#heldBytes = 0;
    return taken;
  }

  /**
   * How many bytes must be there before any of them passes, as far as can be told from those before `end`. Refuses what is wrong
   * as soon as it can be seen, so that a false head is not waited for. @throws FrameFault.
   */
  #sizeOf(bytes: Buffer, at: number, end: number): number {
    const there = end - at;
    if (there < 2) {
      if (there === 1) this.#checkFirst(bytes[at] as number);
      return 2;
    }
    const first = bytes[at] as number;
    this.#checkFirst(first);
    const second = bytes[at + 1] as number;
    if (second >= 0x80 !== this.#masked)
      throw fault(this.#masked ? 'A frame of a client must be masked.' : 'A frame of a server must not be masked.');
    const short = second & 0x7f;
    const head = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (this.#masked ? 4 : 0);
    if ((first & 0x08) === 0) return head;
    if (short > maxControlBytes) throw fault('A control frame has at most 125 bytes.');
    return head + short;
  }

  #checkFirst(first: number): void {
    if ((first & 0x70) !== 0) throw fault('A reserved bit is set, and no extension was agreed on.');
    const code = first & 0x0f;
    if (code > opcode.pong || (code > opcode.binary && code < opcode.close)) throw fault('The opcode is unknown.');
    if (code >= opcode.close) {
      if (first < 0x80) throw fault('A control frame must not be fragmented.');
    } else if ((code === opcode.continuation) !== this.#fragmented)
      throw fault(this.#fragmented ? 'A message began within another.' : 'A fragment belongs to no message.');
  }

  /** Takes a frame whose head, or all of it if it is a control frame, is at `at` and has `size` bytes. @throws FrameFault. */
  #begin(bytes: Buffer, at: number, size: number): void {
    const first = bytes[at] as number;
    if ((first & 0x08) !== 0) {
      if ((first & 0x0f) === opcode.close) this.#close(bytes, at);
      return;
    }
    const length = lengthOf(bytes, at);
    const total = this.#messageBytes + length;
    if (length > this.#limits.maxFrameBytes) throw new FrameFault(closeCode.tooBig, 'The frame is too large.');
    if (total > this.#limits.maxMessageBytes) throw new FrameFault(closeCode.tooBig, 'The message is too large.');
    const isLast = first >= 0x80;
    if (!this.#fragmented) {
      this.messages++;
      this.#text = (first & 0x0f) === opcode.text ? new Utf8Check() : undefined;
    }
    if (length === 0 && isLast && this.#text?.isWhole === false) throw notUtf8();
    if (this.#masked && this.#text) bytes.copy(this.#mask, 0, at + size - 4, at + size);
    this.#unmasked = 0;
    this.payloadBytes += length;
    this.#fragmented = !isLast;
    this.#isLast = isLast;
    this.#messageBytes = isLast ? 0 : total;
    this.#left = length;
  }

  /** `bytes`: the next ones of the begun frame. */
  #isUtf8(text: Utf8Check, bytes: Buffer): boolean {
    const isEnd = this.#isLast && bytes.length === this.#left;
    return text.push(this.#masked ? this.#unmask(bytes) : bytes) && (!isEnd || text.isWhole);
  }

  #unmask(bytes: Buffer): Buffer {
    const plain = Buffer.allocUnsafe(bytes.length);
    const from = this.#unmasked;
    for (let i = 0; i < bytes.length; i++) plain[i] = (bytes[i] as number) ^ (this.#mask[(from + i) & 3] as number);
    this.#unmasked = (from + bytes.length) & 3;
    return plain;
  }

  /** RFC 6455 §5.5.1: a code of two bytes and a reason in UTF-8, or nothing. */
  #close(bytes: Buffer, at: number): void {
    const length = (bytes[at + 1] as number) & 0x7f;
    if (length === 1) throw fault('A close frame has no code or one of two bytes.');
    if (length > 1) {
      const start = at + (this.#masked ? 6 : 2);
      const payload = Buffer.from(bytes.subarray(start, start + length));
      if (this.#masked)
        for (let i = 0; i < length; i++) payload[i] = (payload[i] as number) ^ (bytes[start - 4 + (i & 3)] as number);
      const code = payload.readUInt16BE(0);
      if (!isCloseCode(code)) throw fault('The close code is not one that may be sent.');
      if (!isUtf8(payload.subarray(2))) throw notUtf8();
      this.closedWith = code;
    }
    this.closed = true;
  }
}

/** @throws FrameFault unless it is written in the fewest bytes (RFC 6455 §5.2). */
function lengthOf(bytes: Buffer, at: number): number {
  const short = (bytes[at + 1] as number) & 0x7f;
  if (short < 126) return short;
  const length = short === 126 ? bytes.readUInt16BE(at + 2) : longLength(bytes, at + 2);
  if (length < (short === 126 ? 126 : 0x1_0000)) throw fault('The length is not written in the fewest bytes.');
  return length;
}

function longLength(bytes: Buffer, at: number): number {
  const high = bytes.readUInt32BE(at);
  if (high >= 0x8000_0000) throw fault('The length is negative.');
  // Beyond 2^53 the sum is inexact, and in any case larger than every limit.
  return high * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}

const notUtf8 = (): FrameFault => new FrameFault(closeCode.notUtf8, 'The text is not UTF-8.');

const fault = (message: string): FrameFault => new FrameFault(closeCode.protocolError, message);
