// Builds the answer to send from one that was read whole: a list without the models that the key may not see, a
// rewritten error, or the answer unchanged.
import { GatewayError } from '../../domain/error.ts';
import { replaceLength } from '../../upstream/headers.ts';
import type { Screen } from '../../upstream/screen.ts';
import type { Exchange } from '../exchange.ts';
import type { Routed } from '../route.ts';
import { errorLines } from './answer-head.ts';
import type { Collected } from './collected.ts';
import { findError, type ModelError, readError } from './model-error.ts';
import { filterModels } from './model-list.ts';

export interface Head {
  readonly status: number;
  readonly coding: string | undefined;
  readonly lines: readonly string[];
}

export interface Rewritten {
  /** Of the answer. */
  readonly status: number;
  readonly lines: string[];
  readonly body: Buffer;
  readonly isError: boolean;
}

const noBody = Buffer.alloc(0);
export const noStream = 'The model server answered in one piece, although a stream was asked for and had begun.';

/** `isWhole`: read to its end. @throws GatewayError for an invalid list, or an answer after a stream has begun. */
export function rewriteWhole(
  collected: Collected,
  isWhole: boolean,
  { status, coding, lines }: Head,
  routed: Routed,
  exchange: Exchange,
  screen: Screen,
): Rewritten {
  const bytes = collected.bytes();
  if (collected.purpose === 'list') {
    // HEAD has no list to filter, and the original length would reveal how much is hidden.
    const isHead = exchange.request.method === 'HEAD';
    const { list } = routed.operation.reply;
    if (!list) throw new GatewayError('upstream_failed');
    const body = isHead ? bytes : filterModels(list, bytes, routed.caller.principal);
    return { status, lines: replaceLength(lines, isHead ? undefined : body.length), body, isError: false };
  }
  if (collected.purpose === 'error')
    return rewriteError(readError(isWhole ? bytes : undefined, coding, status, screen), status, lines, exchange);
  const error = isWhole ? findError(bytes, coding, status, screen) : undefined;
  if (!error && collected.purpose === 'late') throw new GatewayError('upstream_failed', { message: noStream });
  return error
    ? rewriteError(error, status, lines, exchange)
    : { status, lines: [...lines], body: bytes, isError: false };
}

/** Clients read an answer with a success status as what they asked for, whatever is in it. */
const failed = 502;

export function rewriteError(error: ModelError, said: number, lines: readonly string[], exchange: Exchange): Rewritten {
  const status = said < 400 ? failed : said;
  // After the gateway sent a stream's head, an error can only be sent in a frame.
  if (exchange.beganEarly) return { status, lines: [], body: frameOf(error, status, exchange), isError: true };
  const body = Buffer.from(exchange.dialect.spellModelError(error, status, exchange.id));
  const isHead = exchange.request.method === 'HEAD';
  return { status, lines: errorLines(lines, body.length), body: isHead ? noBody : body, isError: true };
}

const frameOf = (error: ModelError, status: number, { frames, id }: Exchange): Buffer =>
  Buffer.from(frames.spellModelError(error, status, id));
