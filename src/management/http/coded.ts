// Public bytes with their compressed forms: what a reader gets by Accept-Encoding, and the tag by which they keep it.
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Request, Response } from 'express';
import type { SharedAnswers } from './send.ts';

/** In order of preference, each with the suffix of its files. */
export const codings = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

export interface Coded {
  readonly type: string;
  readonly etag: string;
  readonly bytes: Buffer;
  /** The same, by coding. */
  readonly coded: ReadonlyMap<string, Buffer>;
}

/** One weak tag for all forms: they mean the same (RFC 9110, section 8.8.1). */
export function codedOf(type: string, bytes: Buffer, coded: Coded['coded']): Coded {
  return { type, etag: `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`, bytes, coded };
}

/** Away from the event loop. */
export const zip = promisify(gzip);

/** Compresses a text away from the event loop. Its maker keeps the result. */
export async function compressed(type: string, text: string): Promise<Coded> {
  const bytes = Buffer.from(text);
  const [br, gz] = await Promise.all([
    promisify(brotliCompress)(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
    zip(bytes, { level: 9 }),
  ]);
  return codedOf(
    type,
    bytes,
    new Map([
      ['br', br],
      ['gzip', gz],
    ]),
  );
}

/** Answers a GET or HEAD in the preferred coding that the reader accepts, or with 304 if the reader has it. */
export function sendCoded(
  file: Coded,
  cacheControl: string,
  shared: SharedAnswers,
  request: Request,
  response: Response,
): void {
  response.setHeader('cache-control', cacheControl).setHeader('etag', file.etag);
  if (file.coded.size > 0) response.vary('accept-encoding');
  if (request.headers['if-none-match']?.includes(file.etag)) {
    response.writeHead(304).end();
    return;
  }
  const accepted = request.headers['accept-encoding'];
  const coding = codings.map(([name]) => name).find((name) => file.coded.has(name) && accepts(accepted, name));
  if (coding !== undefined) response.setHeader('content-encoding', coding);
  shared.send((coding && file.coded.get(coding)) || file.bytes, file.type, request, response);
}

/** Whether an Accept-Encoding line has the coding with a weight other than 0 (RFC 9110, section 12.5.3). */
export function accepts(line: string | undefined, coding: string): boolean {
  const named = line?.split(',').find((part) => part.split(';')[0]?.trim().toLowerCase() === coding);
  return named !== undefined && !/;\s*q=0(\.0*)?\s*$/i.test(named);
}
