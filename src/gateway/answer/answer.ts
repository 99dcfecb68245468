// The answer of a model server on its way to the caller: which headers are relayed, what is read before anything is
// sent, and what to send for each piece. It sends nothing itself; `delivery` sends, at the reader's pace.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { clientHeaders } from '../../upstream/headers.ts';
import type { Exchange } from '../exchange.ts';
import { failedMeterFor, meterFor } from '../meter/meter.ts';
import { promptOf } from '../meter/token-counts.ts';
import type { Routed } from '../route.ts';
import { translatedCarriageOf, translateWhole, typeLines } from '../translate/translated-answer.ts';
import { TranslatedStream } from '../translate/translated-stream.ts';
import type { Answering } from '../translate/translation.ts';
import type { Tries } from '../tries.ts';
import { bodyPending, type Carriage, carriageOf, streamLines } from './answer-head.ts';
import { AnswerRoom } from './answer-room.ts';
import { setType, wrongType } from './answer-type.ts';
import { type Collected, collectedFor } from './collected.ts';
import { Delivery, type DeliverySettings } from './delivery.ts';
import { StreamBody } from './stream-body.ts';
import { rewriteWhole } from './whole-answer.ts';

export const nothing: Buffer = Buffer.alloc(0);

export class Answer {
  readonly delivery: Delivery;
  /** Of the model server; 0 before its head arrived. */
  status = 0;
  /** The model server answered with an error, and the last bytes returned are the whole answer. */
  isError = false;
  readonly #exchange: Exchange;
  readonly #routed: Routed;
  readonly #settings: DeliverySettings;
  readonly #tries: Tries;
  #coding: string | undefined;
  #lines: string[] = noLines;
  #collected: Collected | undefined;
  #stream: Pick<StreamBody, 'push' | 'end' | 'cut'> | undefined;

  /** `onDrain`: the reader has caught up. */
  constructor(exchange: Exchange, routed: Routed, tries: Tries, settings: DeliverySettings, onDrain: () => void) {
    this.#exchange = exchange;
    this.#routed = routed;
    this.#tries = tries;
    this.#settings = settings;
    this.delivery = new Delivery(exchange, routed, settings, onDrain);
  }

  /** A stream was requested, and the caller has received its head. */
  get isStreamed(): boolean {
    return this.#routed.stream && this.status < 400 && this.#exchange.response.headersSent;
  }

  /** Pieces are relayed as they arrive, and the end mark is looked for. */
  get isStream(): boolean {
    return this.#stream !== undefined;
  }

  /** Pieces are collected before anything is sent; the meter sees them at once. */
  get isCollecting(): boolean {
    return this.#collected !== undefined;
  }

  /** The body of an error as far as it was read; undefined if the answer is not an error. */
  get errorBytes(): Buffer | undefined {
    return this.#collected?.purpose === 'error' ? this.#collected.bytes() : undefined;
  }

  /** The body of an error or of a short answer of which nothing was sent; undefined for others. */
  get inspected(): Buffer | undefined {
    const { purpose } = this.#collected ?? {};
    return purpose === 'list' || purpose === 'whole' ? undefined : this.#collected?.bytes();
  }

  /** When another try can help, in seconds. */
  #soon(): string {
    const leftMs = this.#tries.loadLeftMs();
    return leftMs === undefined ? soon : String(Math.max(1, Math.ceil(leftMs / 1000)));
  }

  /** Takes the head, and sends it unless the body must be read first. @throws GatewayError `upstream_failed`. */
  begin(status: number, headers: IncomingHttpHeaders): Carriage {
    const exchange = this.#exchange;
    const { metering, stream } = this.#routed;
    const { served, translated } = this.#tries;
    const lines = clientHeaders(headers);
    // It says that it cannot take the call now, so another try can help.
    if (status === 503 && headers['retry-after'] === undefined) lines.push('retry-after', this.#soon());
    this.status = status;
    this.#lines = lines;
    this.#coding = headers['content-encoding'];
    const carriage = translated
      ? translatedCarriageOf(this.#routed, status, headers)
      : carriageOf(this.#routed, exchange, status, headers);
    const isKnown = carriage === 'error' || setType(served, status, headers, lines);
    exchange.takesComments = carriage === 'stream' && lines.some((line) => line.startsWith('text/event-stream'));
    if (!isKnown) throw new GatewayError('upstream_failed', { message: wrongType });
    if (translated && carriage !== 'error') this.#tries.noteTranslated();
    this.#collected = collectedFor(carriage, exchange, metering, this.#settings.answers);
    if (carriage === 'error')
      exchange.meter = failedMeterFor(served.reply, headers['content-type'], promptOf(this.#routed));
    else if (carriage === 'stream') {
      this.#tries.noteStream();
      const { screen } = this.#tries.server;
      this.#stream = translated
        ? new TranslatedStream(translated, this.#answering(), exchange, screen)
        : new StreamBody(screen, this.#tries.usageInjected, exchange.frames.areEvents);
      this.#lines = translated ? streamLines(typeLines(exchange, true)) : streamLines(lines);
      this.#writeHead();
    } else if (carriage !== 'list') {
      if (stream) exchange.meter = meterFor(served.reply, false, promptOf(this.#routed));
      if (!this.#collected) this.#writeHead();
    }
    return carriage;
  }

  /** Returns what to send for a piece, or for everything collected so far. @throws GatewayError. */
  push(piece: Buffer): Buffer {
    const collected = this.#collected;
    if (!collected) return this.#stream ? this.#stream.push(piece) : piece;
    this.#exchange.meter?.see(piece);
    if (collected.add(piece)) return nothing;
    if (collected.purpose === 'list' || collected.purpose === 'whole') throw new GatewayError('upstream_failed');
    return collected.purpose === 'error' || !collected.mayGrow(this.#coding)
      ? this.#rewriteCollected(collected, false)
      : nothing;
  }

  /** The answer is complete: returns what remains to be sent. @throws GatewayError. */
  end(): Buffer {
    if (this.#collected) return this.#rewriteCollected(this.#collected, true);
    return this.#stream ? this.#stream.end() : nothing;
  }

  /** A stream broke: returns what arrived of its last line. */
  cut(): Buffer {
    return this.#stream ? this.#stream.cut() : nothing;
  }

  /** The call is retried: nothing of this answer was sent, and nothing will be. */
  forget(): void {
    this.#collected = undefined;
    this.status = 0;
  }

  /** An error is rewritten and ends the answer; anything else is sent as collected, and the rest follows. */
  #rewriteCollected(collected: Collected, isWhole: boolean): Buffer {
    const head = { status: this.status, coding: this.#coding, lines: this.#lines };
    const { server, translated } = this.#tries;
    const rewritten =
      translated && collected.purpose === 'whole'
        ? translateWhole(
            collected.bytes(),
            head,
            translated,
            this.#answering(),
            this.#routed,
            this.#exchange,
            server.screen,
          )
        : rewriteWhole(collected, isWhole, head, this.#routed, this.#exchange, server.screen);
    this.#collected = undefined;
    this.#lines = rewritten.lines;
    this.status = rewritten.status;
    this.#writeHead();
    this.isError = rewritten.isError;
    return rewritten.body;
  }

  #answering(): Answering {
    const { at, id } = this.#exchange;
    const room = new AnswerRoom(this.#exchange, this.#routed.metering, this.#settings.answers);
    return {
      model: this.#routed.models[0]?.text ?? '',
      requestId: id,
      at,
      elapsedMs: () => this.#tries.elapsedMs(),
      take: (bytes) => room.take(bytes),
    };
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

const noLines: string[] = [];
/** Seconds. */
const soon = '5';
