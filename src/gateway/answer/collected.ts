// The part of an answer that is read before anything is sent: a list to be filtered, the body of an error, an answer to be
// translated, or the first
// bytes of a whole answer, which may be an error under a success status. Always bounded.
import { mostListBytes } from '../../upstream/json-route.ts';
import type { Exchange } from '../exchange.ts';
import type { Metering } from '../limits/account-usage.ts';
import type { BodyBudget } from '../payload/body-budget.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import type { Carriage } from './answer-head.ts';
import { AnswerRoom } from './answer-room.ts';
import { mostErrorBytes } from './model-error.ts';

/** A `glance` may end early; the others are read to the end. `late`: a stream was already begun for the answer. */
export type Purpose = 'list' | 'error' | 'whole' | 'glance' | 'late';

export class Collected {
  readonly purpose: Purpose;
  #most: number;
  readonly #room: AnswerRoom | undefined;
  readonly #pieces = new Pieces();

  /** `room`: charged for everything collected. */
  constructor(purpose: Purpose, most: number, room?: AnswerRoom) {
    this.purpose = purpose;
    this.#most = most;
    this.#room = room;
  }

  /** False if this exceeds the limit; the chunk is added anyway. @throws GatewayError `answers_too_many`. */
  add(chunk: Buffer): boolean {
    // Twice, because a list is written again without hidden models.
    this.#room?.take(2 * chunk.length);
    this.#pieces.add(chunk);
    return this.#pieces.length <= this.#most;
  }

  bytes(): Buffer {
    return this.#pieces.bytes();
  }

  /** Whether to read on: only if what was read may belong to an error. */
  mayGrow(coding: string | undefined): boolean {
    if (this.#pieces.length > mostErrorBytes || this.#most === mostErrorBytes) return false;
    if (coding === undefined && !/"error"\s*:\s*[^\sn]/.test(this.bytes().toString('latin1'))) return false;
    this.#most = mostErrorBytes;
    return true;
  }
}

/** A whole answer up to this size is inspected before it is sent: it may be an error under a success status. */
const glanceBytes = 4 * 1024;

/** A translated answer; the largest are embeddings. */
export const mostWholeBytes = 64 * 1024 * 1024;

/** What to collect for this way of relaying; undefined if the answer is relayed as it arrives. */
export function collectedFor(
  carriage: Carriage,
  exchange: Exchange,
  metering: Metering,
  answers: BodyBudget,
): Collected | undefined {
  switch (carriage) {
    case 'error':
      return new Collected('error', mostErrorBytes);
    case 'list':
      return new Collected('list', mostListBytes, new AnswerRoom(exchange, metering, answers));
    case 'whole':
      return new Collected('whole', mostWholeBytes, new AnswerRoom(exchange, metering, answers));
    case 'stream':
      return undefined;
    default:
      // The gateway already sent a stream's head, so only events can follow: a whole answer is an error, or cannot be
      // sent.
      if (exchange.beganEarly) return new Collected('late', mostErrorBytes);
      return carriage === 'glance' ? new Collected('glance', glanceBytes) : undefined;
  }
}
