// A call as it goes to a model server: built from the route table and the proofs, never from the client's text.
import type { IncomingMessage } from 'node:http';
import type { Dispatcher } from 'undici';
import { upstreamHeaders } from '../upstream/headers.ts';
import type { Upstream } from '../upstream/server.ts';
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

/** How long the answer may take in all. */
export function totalMsOf({ operation: { time } }: Routed, times: TimeLimits): number {
  return time === 'inference' ? times.totalMs : time === 'metadata' ? times.metadataMs : Infinity;
}

/** Each 1xx answer makes the HTTP client wait anew, and a flood of them would hold up the process; no server needs more. */
export const mostInterims = 16;

/** How long the answer may take to begin, 1xx answers included. */
export function firstByteMsOf(routed: Routed, times: TimeLimits): number {
  const total = totalMsOf(routed, times);
  // How long an upload takes is up to its sender.
  return routed.operation.body === 'blob' ? total : Math.min(total, times.firstByteMs);
}

export function callOf(
  routed: Routed,
  request: IncomingMessage,
  upstream: Upstream,
  body: Buffer | undefined,
  times: TimeLimits,
): Dispatcher.DispatchOptions {
  const { operation } = routed;
  const quick = operation.time === 'metadata';
  const streamsUp = operation.body === 'blob';
  const headers = upstreamHeaders(
    request.headers,
    `1.1 ${viaName}`,
    upstream.credentials.headers,
    routed.bodyType,
    operation.dialect.onward,
  );
  if (streamsUp && request.headers['content-length'] !== undefined)
    headers.push('content-length', request.headers['content-length']);
  return {
    method: operation.methods.includes(request.method as string) ? (request.method as Dispatcher.HttpMethod) : 'GET',
    path: upstream.basePath + upstreamPath(routed),
    headers,
    body: streamsUp ? request : (body ?? null),
    headersTimeout: quick ? times.metadataMs : streamsUp ? 0 : times.firstByteMs,
    bodyTimeout: quick ? times.metadataMs : operation.time === 'transfer' ? times.transferSilenceMs : times.silenceMs,
  };
}

/** Saying it twice is as saying it once (RFC 9110, section 9.2.2): it only reads, by its method or by its scope. */
export function mayRepeat({ operation: { scope } }: Routed, { method }: IncomingMessage): boolean {
  return method === 'GET' || method === 'HEAD' || scope === 'metadata';
}
