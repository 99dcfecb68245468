// The answer to a translated call where it is no stream: read to its end, judged, and written in the caller's dialect. Errors
// of the server become the dialect's errors, with the server's status.
import type { IncomingHttpHeaders } from 'node:http';
import { GatewayError } from '../../domain/error.ts';
import { replaceLength } from '../../upstream/headers.ts';
import type { Screen } from '../../upstream/screen.ts';
import { type Carriage, isNoStream } from '../answer/answer-head.ts';
import { findError, mostErrorBytes } from '../answer/model-error.ts';
import { type Head, noStream, type Rewritten, rewriteError } from '../answer/whole-answer.ts';
import type { Exchange } from '../exchange.ts';
import type { Routed } from '../route.ts';
import type { Answering, Translated } from './translation.ts';

export function translatedCarriageOf({ stream }: Routed, status: number, headers: IncomingHttpHeaders): Carriage {
  if (status >= 400) return 'error';
  return stream && !isNoStream(headers) ? 'stream' : 'whole';
}

/** The media type of the caller's dialect. Nothing else of the server's head is relayed. */
export function typeLines({ frames }: Exchange, isStream: boolean): string[] {
  const type = !isStream
    ? 'application/json; charset=utf-8'
    : frames.areEvents
      ? 'text/event-stream'
      : 'application/x-ndjson';
  return ['content-type', type];
}

/** @throws GatewayError `upstream_failed` for an answer that the route cannot have. */
export function translateWhole(
  bytes: Buffer,
  { status, coding, lines }: Head,
  translated: Pick<Translated, 'whole'>,
  answering: Answering,
  routed: Routed,
  exchange: Exchange,
  screen: Screen,
): Rewritten {
  // A longer one is no error, and parsing it could cost more than any answer is worth.
  const error = bytes.length > mostErrorBytes ? undefined : findError(bytes, coding, status, screen);
  if (error) return rewriteError(error, status, lines, exchange);
  // No coding was asked for.
  if (coding !== undefined && coding !== 'identity') throw new GatewayError('upstream_failed');
  if (routed.stream) throw new GatewayError('upstream_failed', { message: noStream });
  const body = Buffer.from(translated.whole(bytes, answering));
  return { status, lines: replaceLength(typeLines(exchange, false), body.length), body, isError: false };
}
