// Builds the request to a model server from the route table and the proofs, never from the client's text.
import type { IncomingMessage } from 'node:http';
import type { Dispatcher } from 'undici';
import { toUpstream, upstreamHeaders } from '../upstream/headers.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Operation } from './dialects/dialect.ts';
import { upstreamPath } from './operation.ts';
import { viaName } from './receive.ts';
import type { Routed } from './route.ts';

export interface TimeLimits {
  readonly firstByteMs: number;
  readonly silenceMs: number;
  readonly totalMs: number;
  readonly metadataMs: number;
  readonly transferSilenceMs: number;
}

/** How long the whole answer may take. */
export function totalMsOf({ operation: { time } }: Routed, times: TimeLimits): number {
  return time === 'inference' ? times.totalMs : time === 'metadata' ? times.metadataMs : Infinity;
}

/** Each 1xx response restarts the client's timeout, and a flood would block the process; no server needs more. */
export const mostInterims = 16;

/** How long the answer may take to begin, 1xx responses included. */
export function firstByteMsOf(routed: Routed, times: TimeLimits): number {
  const total = totalMsOf(routed, times);
  // The duration of an upload depends on its sender.
  return routed.operation.body === 'blob' ? total : Math.min(total, times.firstByteMs);
}

/** `served`: the operation of the server, which is another one if the call is translated. */
export function callOf(
  routed: Routed,
  served: Operation,
  request: IncomingMessage,
  upstream: Upstream,
  body: Buffer | undefined,
  times: TimeLimits,
): Dispatcher.DispatchOptions {
  const { operation } = routed;
  const quick = operation.time === 'metadata';
  const streamsUp = operation.body === 'blob';
  const isTranslated = served !== operation;
  const headers = upstreamHeaders(
    request.headers,
    `1.1 ${viaName}`,
    upstream.credentials.headers,
    routed.bodyType,
    isTranslated ? ofTranslated : operation.dialect.onward,
  );
  if (isTranslated && upstream.kind.requestHeaders) headers.push(...upstream.kind.requestHeaders);
  if (streamsUp && request.headers['content-length'] !== undefined)
    headers.push('content-length', request.headers['content-length']);
  return {
    method: isTranslated
      ? (served.methods[0] as Dispatcher.HttpMethod)
      : operation.methods.includes(request.method as string)
        ? (request.method as Dispatcher.HttpMethod)
        : 'GET',
    path: upstream.basePath + (isTranslated ? served.path : upstreamPath(routed)),
    headers,
    // With `Connection: close`, the connection is used for nothing else.
    reset: routed.stream && upstream.kind.closesAfterStreams === true,
    body: streamsUp ? request : (body ?? null),
    headersTimeout: quick ? times.metadataMs : streamsUp ? 0 : times.firstByteMs,
    bodyTimeout: quick ? times.metadataMs : operation.time === 'transfer' ? times.transferSilenceMs : times.silenceMs,
  };
}

/** Headers of the caller's dialect, and which type its answers have, mean nothing to the server. */
const ofTranslated = toUpstream.filter((name) => name !== 'accept');

/** Whether the call is idempotent (RFC 9110 §9.2.2): it only reads, by its method or by its scope. */
export function mayRepeat({ operation: { scope } }: Routed, { method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD' || scope === 'metadata';
}
