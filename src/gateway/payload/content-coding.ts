// Content codings of request bodies (RFC 9110 §8.4.1). A body decodes to exactly one content: a truncated stream or
// bytes after its end are an error, including a second gzip member, because other readers might stop there or continue.
// Concatenated zstd frames are one content (RFC 8878 §3).
import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflate, createZstdDecompress } from 'node:zlib';

export interface Coding {
  readonly open: () => Transform;
  /** Memory of a decoder, besides its output. */
  readonly roomBytes: number;
}

/** For the Accept-Encoding header of a refusal (RFC 7694 §3). */
export const acceptedCodings = 'gzip, deflate, zstd';

/** The largest ratio of decoded to sent bytes; more is treated as a decompression bomb, whatever the body limit is. */
export const mostUnfolding = 100;
/** Up to this size the ratio is not checked: a short body may be all blanks. */
export const freelyUnfolded = 1024 * 1024;

const strict = { rejectGarbageAfterEnd: true, chunkSize: 64 * 1024 };
// HTTP servers need not support windows above 8 MB (RFC 9659 §3), and a decoder would allocate them for a single byte.
const windowLog = 23;

const gzip: Coding = { open: () => createGunzip(strict), roomBytes: 128 * 1024 };
const deflate: Coding = { open: () => createInflate(strict), roomBytes: 128 * 1024 };
const zstd: Coding = {
  open: () => createZstdDecompress({ ...strict, params: { [constants.ZSTD_d_windowLogMax]: windowLog } }),
  roomBytes: 2 ** windowLog + 512 * 1024,
};

/** Matches the whole field: stacked codings are not accepted. */
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
