// One server's part of a call that goes to several: sends it, reads its answer within bounds, and says how it ended. It never
// rejects, and what a server does affects no other part.
import type { Dispatcher } from 'undici';
import { type GatewayError, toGatewayError } from '../../domain/error.ts';
import { isNoStream } from '../answer/answer-head.ts';
import { errorOf, isError, isFields, mostErrorBytes, parse, readError } from '../answer/model-error.ts';
import { readFailure } from '../answer/upstream-error.ts';
import type { Exchange } from '../exchange.ts';
import { LineReader } from '../payload/line-reader.ts';
import type { Routed } from '../route.ts';
import { callOf, type TimeLimits } from '../upstream-call.ts';
import type { Target } from './targets.ts';

/** `missing`: the server does not have the model that the call names. */
export type PartEnd =
  | { readonly result: 'done' }
  | { readonly result: 'missing' }
  | { readonly result: 'failed'; readonly reason: string };

export interface PartTools {
  readonly times: TimeLimits;
  /** Ends all parts. */
  readonly signal: AbortSignal;
  /** Takes each line of progress. */
  readonly onLine: (line: Readonly<Record<string, unknown>>) => void;
}

/** A pull of hours writes less: a line has a hundred bytes, and comes sixteen times a second. */
const mostBytes = 256 * 1024 * 1024;

const failed = (reason: string): PartEnd => ({ result: 'failed', reason });

export async function runPart(target: Target, routed: Routed, exchange: Exchange, tools: PartTools): Promise<PartEnd> {
  const { server } = target;
  const own = new AbortController();
  const stop = (): void => own.abort();
  tools.signal.addEventListener('abort', stop);
  let hasAnswered = false;
  server.begin();
  try {
    tools.signal.throwIfAborted();
    const options = callOf(routed, routed.operation, exchange.request, server, routed.body, tools.times);
    const answer = await server.dispatcher.request({ ...options, signal: own.signal });
    hasAnswered = true;
    return await endOf(answer, target, routed, tools);
  } catch (thrown) {
    return failed(sentenceOf(readFailure(thrown as Error, hasAnswered)));
  } finally {
    // Whatever of the answer is unread is not wanted.
    own.abort();
    tools.signal.removeEventListener('abort', stop);
    server.finish();
  }
}

const sentenceOf = (error: GatewayError): string => toGatewayError(error).message;

async function endOf(
  { statusCode, headers, body }: Dispatcher.ResponseData,
  { server: { screen } }: Target,
  { operation, stream }: Routed,
  { onLine }: PartTools,
): Promise<PartEnd> {
  const coding = headers['content-encoding'];
  // Of a copy or a deletion. Where a model is made, a server that answers so has not made it.
  if (statusCode === 404 && operation.streamDefault === null) return { result: 'missing' };
  if (statusCode === 401 || statusCode === 403) return failed('it refuses the gateway');
  if (statusCode < 200 || statusCode >= 300)
    return failed(
      readError(await whole(body), typeof coding === 'string' ? coding : undefined, statusCode, screen).message,
    );
  if (coding !== undefined) return failed('its answer is encoded');
  if (operation.streamDefault === null) return { result: 'done' };
  if (!stream || isNoStream(headers)) {
    const value = parse((await whole(body))?.toString('utf8') ?? '');
    if (isFields(value) && isError(value)) return failed(errorOf(value, statusCode, screen).message);
    return isFields(value) && value['status'] === 'success'
      ? { result: 'done' }
      : failed('it does not say that it succeeded');
  }
  return await endOfStream(
    body,
    (value) => errorOf(value, statusCode, screen).message,
    (line) => {
      const { status } = line;
      const shown = typeof status === 'string' ? screen.sentence(status) : undefined;
      if (shown !== undefined) onLine({ ...line, status: shown });
    },
  );
}

async function endOfStream(
  body: Dispatcher.ResponseData['body'],
  said: (line: Readonly<Record<string, unknown>>) => string,
  onLine: PartTools['onLine'],
): Promise<PartEnd> {
  let end: PartEnd | undefined;
  const lines = new LineReader((bytes) => {
    const line = end === undefined && bytes.length > 1 ? parse(bytes.toString('utf8')) : undefined;
    if (!isFields(line)) return;
    if (isError(line)) end = failed(said(line));
    else if (line['status'] === 'success') end = { result: 'done' };
    else onLine(line);
  });
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostBytes) return failed('its answer is too long');
    lines.push(chunk);
    if (end !== undefined) return end;
  }
  lines.end();
  return end ?? failed('its answer ended too early');
}

/** Undefined if it is too long. */
async function whole(body: Dispatcher.ResponseData['body']): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > mostErrorBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
