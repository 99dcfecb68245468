// The answer of a model server on its way to the caller: which of its head goes on, what is read before anything does, and
// the bytes that each piece becomes. Sends nothing itself: its bytes go out through `delivery`, whose pace is the reader's.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { clientHeaders } from '../../upstream/headers.ts';
import type { Exchange } from '../exchange.ts';
import { failedMeterFor, meterFor } from '../meter/meter.ts';
import { promptOf } from '../meter/token-counts.ts';
import type { Routed } from '../route.ts';
import type { Tries } from '../tries.ts';
import { bodyPending, type Carriage, carriageOf, streamLines } from './answer-head.ts';
import { setType, wrongType } from './answer-type.ts';
import { type Collected, collectedFor } from './collected.ts';
import { Delivery, type DeliverySettings } from './delivery.ts';
import { StreamBody } from './stream-body.ts';
import { sayWhole } from './whole-answer.ts';

export const nothing: Buffer = Buffer.alloc(0);

export class Answer {
  readonly delivery: Delivery;
  /** Of the model server; 0 before its head has come. */
  status = 0;
  /** The model server answered with an error, and the bytes that were given last are the whole answer. */
  isError = false;
  readonly #exchange: Exchange;
  readonly #routed: Routed;
  readonly #settings: DeliverySettings;
  readonly #tries: Tries;
  #coding: string | undefined;
  #lines: string[] = nothingSaid;
  #collected: Collected | undefined;
  #stream: StreamBody | undefined;

  /** `onDrain`: the reader has caught up. */
  constructor(exchange: Exchange, routed: Routed, tries: Tries, settings: DeliverySettings, onDrain: () => void) {
    this.#exchange = exchange;
    this.#routed = routed;
    this.#tries = tries;
    this.#settings = settings;
    this.delivery = new Delivery(exchange, routed, settings, onDrain);
  }

  /** A stream was asked for, and the caller has its head. */
  get isStreamed(): boolean {
    return this.#routed.stream && this.status < 400 && this.#exchange.response.headersSent;
  }

  /** Its pieces go on as they come, and its end mark is looked for. */
  get isStream(): boolean {
    return this.#stream !== undefined;
  }

  /** Pieces are read before anything goes on, and the meter has seen them. */
  get isCollecting(): boolean {
    return this.#collected !== undefined;
  }

  /** What was read of an error that the model server answers with; undefined where it is none. */
  get errorBytes(): Buffer | undefined {
    return this.#collected?.purpose === 'error' ? this.#collected.bytes() : undefined;
  }

  /** Takes the head, and says it where nothing has to be read first. @throws GatewayError `upstream_failed`. */
  begin(status: number, headers: IncomingHttpHeaders): Carriage {
    const exchange = this.#exchange;
    const { metering, operation, stream } = this.#routed;
    const lines = clientHeaders(headers);
    this.status = status;
    this.#lines = lines;
    this.#coding = headers['content-encoding'];
    const carriage = carriageOf(this.#routed, exchange, status, headers);
    const isKnown = carriage === 'error' || setType(operation, status, headers, lines);
    exchange.takesComments = carriage === 'stream' && lines.some((line) => line.startsWith('text/event-stream'));
    if (!isKnown) throw new GatewayError('upstream_failed', { message: wrongType });
    this.#collected = collectedFor(carriage, exchange, metering, this.#settings.answers);
    if (carriage === 'error')
      exchange.meter = failedMeterFor(operation.reply, headers['content-type'], promptOf(this.#routed));
    else if (carriage === 'stream') {
      this.#tries.noteStream();
      this.#stream = new StreamBody(this.#tries.server.screen, this.#tries.usageInjected, exchange.frames.areEvents);
      this.#lines = streamLines(lines);
      this.#writeHead();
    } else if (carriage !== 'list') {
      if (stream) exchange.meter = meterFor(operation.reply, false, promptOf(this.#routed));
      if (!this.#collected) this.#writeHead();
    }
    return carriage;
  }

  /** Gives what is to be sent of a piece, or instead of what was read so far. @throws GatewayError. */
  push(piece: Buffer): Buffer {
    const collected = this.#collected;
    if (!collected) return this.#stream ? this.#stream.push(piece) : piece;
    this.#exchange.meter?.see(piece);
    if (collected.add(piece)) return nothing;
    if (collected.purpose === 'list') throw new GatewayError('upstream_failed');
    return collected.purpose === 'error' || !collected.mayGrow(this.#coding) ? this.#say(collected, false) : nothing;
  }

  /** Everything has come: gives what is still to be sent. @throws GatewayError. */
  end(): Buffer {
    if (this.#collected) return this.#say(this.#collected, true);
    return this.#stream ? this.#stream.end() : nothing;
  }

  /** Nothing more comes of a stream: gives what came of a line that was cut. */
  cut(): Buffer {
    return this.#stream ? this.#stream.cut() : nothing;
  }

  /** The call is made once more: nothing has been said of this answer, and nothing will be. */
  forget(): void {
    this.#collected = undefined;
    this.status = 0;
  }

  /** An error is said anew, and that is the end; of everything else goes on what was read, and what follows with it. */
  #say(collected: Collected, isWhole: boolean): Buffer {
    const head = { status: this.status, coding: this.#coding, lines: this.#lines };
    const said = sayWhole(collected, isWhole, head, this.#routed, this.#exchange, this.#tries.server.screen);
    this.#collected = undefined;
    this.#lines = said.lines;
    this.#writeHead();
    this.isError = said.isError;
    return said.body;
  }

  #writeHead(): void {
    const exchange = this.#exchange;
    if (exchange.beganEarly) return;
    const lines = this.#lines;
    lines.push('x-request-id', exchange.id, ...this.#settings.ownHeaders, ...exchange.cors, ...exchange.lines);
    if (bodyPending(exchange)) lines.push('connection', 'close');
    try {
      this.delivery.begin(this.status, lines);
    } catch (cause) {
      throw new GatewayError('upstream_failed', { cause });
    }
  }
}

const nothingSaid: string[] = [];
