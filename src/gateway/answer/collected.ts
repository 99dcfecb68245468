// What is read of an answer before anything of it goes on: a list that is to be filtered, the body of an error, or the
// first bytes of a whole answer, which may be an error under a good status. Bounded, always.
import { mostListBytes } from '../../upstream/json-route.ts';
import type { Exchange } from '../exchange.ts';
import type { Metering } from '../limits/account-usage.ts';
import type { BodyBudget } from '../payload/body-budget.ts';
import { Pieces } from '../payload/chunk-buffer.ts';
import type { Carriage } from './answer-head.ts';
import { AnswerRoom } from './answer-room.ts';
import { mostErrorBytes } from './model-error.ts';

/** A glance may end in passing on what was seen; the others are read to their end. `late`: a stream was begun for it. */
export type Purpose = 'list' | 'error' | 'glance' | 'late';

export class Collected {
  readonly purpose: Purpose;
  #most: number;
  readonly #room: AnswerRoom | undefined;
  readonly #pieces = new Pieces();

  /** `room`: what is not short has to be paid for. */
  constructor(purpose: Purpose, most: number, room?: AnswerRoom) {
    this.purpose = purpose;
    this.#most = most;
    this.#room = room;
  }

  /** False where that is more than may be collected; it was added all the same. @throws GatewayError `answers_too_many`. */
  add(chunk: Buffer): boolean {
    // Twice: a list is written once more without what the key may not see.
    this.#room?.take(2 * chunk.length);
    this.#pieces.add(chunk);
    return this.#pieces.length <= this.#most;
  }

  bytes(): Buffer {
    return this.#pieces.bytes();
  }

  /** Is it worth looking on? Only where what was seen may belong to an error. */
  mayGrow(coding: string | undefined): boolean {
    if (this.#pieces.length > mostErrorBytes || this.#most === mostErrorBytes) return false;
    if (coding === undefined && !/"error"\s*:\s*[^\sn]/.test(this.bytes().toString('latin1'))) return false;
    this.#most = mostErrorBytes;
    return true;
  }
}

/** A whole answer that is no longer is looked at before it goes on: it may be an error under a good status. */
const glanceBytes = 4 * 1024;

/** What is read of an answer that is carried so; undefined where it goes on as it comes. */
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
    case 'stream':
      return undefined;
    default:
      // After a head of ours only events can follow: what comes whole is an error, or cannot be told.
      if (exchange.beganEarly) return new Collected('late', mostErrorBytes);
      return carriage === 'glance' ? new Collected('glance', glanceBytes) : undefined;
  }
}
