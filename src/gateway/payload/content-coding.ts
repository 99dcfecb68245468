// The codings that a request body may come in (RFC 9110 §8.4.1). A decoder gives the one content that the body has: what
// ends early or goes on after its end is an error, a second member of gzip too, since another reader might read on or stop.
// Frames of zstd behind each other are one content (RFC 8878 §3).
import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

export interface Coding {
  readonly open: () => Transform;
  /** What a decoder holds beside what it gives. */
  readonly roomBytes: number;
}

/** As Accept-Encoding of a refusal says them (RFC 7694 §3). */
export const acceptedCodings = 'gzip, deflate, zstd';

/** A caller may unfold so many times what came; more is a bomb, whatever the limit of a body is. */
export const mostUnfolding = 100;
/** A short body may be all blanks. */
export const freelyUnfolded = 1024 * 1024;

const strict = { rejectGarbageAfterEnd: true, chunkSize: 64 * 1024 };
// Servers of HTTP need not take windows beyond 8 MB (RFC 9659 §3), and a decoder would hold them for a single byte.
const windowLog = 23;

const gzip: Coding = { open: () => createGunzip(strict), roomBytes: 128 * 1024 };
const deflate: Coding = { open: () => createInflate(strict), roomBytes: 128 * 1024 };
const zstd: Coding = {
  open: () => createZstdDecompress({ ...strict, params: { [constants.ZSTD_d_windowLogMax]: windowLog } }),
  roomBytes: 2 ** windowLog + 512 * 1024,
};

/** By the whole field: a coding over a coding is none that is taken. */
export function codingOf(field: string): Coding | undefined {
  switch (field.toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return gzip;
    case 'deflate':
      return deflate;
    case 'zstd':
      return zstd;
    default:
      return undefined;
  }
}
