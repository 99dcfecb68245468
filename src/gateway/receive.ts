// Checks the request head. Takes what Node's parser accepted; proves a single Host, a bounded number of headers, a
// known HTTP version, unambiguous framing, and no loop. Measured: Node shows only the first of two Host headers, drops
// headers beyond its limit while they still frame the body (CVE-2026-58044), and passes HTTP/2.0 version lines to the
// application.
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../domain/error.ts';
import type { Exchange } from './exchange.ts';
import { canonicalTarget, dialectOf, type Target } from './operation.ts';
import { findPublished, nonePublished } from './services/find-published.ts';
import type { Published } from './services/published.ts';
import type { PublishedServices } from './services/published-services.ts';

declare class Mark {
  protected readonly received: true;
}
/** A request with a valid head. */
export interface Received extends Mark {
  readonly request: IncomingMessage;
  readonly method: string;
  readonly target: Target;
  /** The published service that it is for; undefined for models. */
  readonly published: Published | undefined;
  /** The service whose metadata are asked for. */
  readonly described: Published | undefined;
  /** Lower-case names of watched headers that occur more than once. */
  readonly repeated: ReadonlySet<string>;
}

export const maxHeaders = 100;
export const viaName = 'sekisho';

const hostShape = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
const none: ReadonlySet<string> = new Set();

/**
 * From here on, a refusal uses the dialect of the canonical path.
 * @throws GatewayError about the head only; the body has not been read.
 */
export function receive(
  exchange: Pick<Exchange, 'request' | 'dialect' | 'cors' | 'challenge'>,
  { table }: Pick<PublishedServices, 'table'>,
): Received {
  const { request } = exchange;
  const repeated = checkHead(request);
  const raw = request.url ?? '';
  const found = findPublished(raw, exchange, table);
  const target = found?.target ?? canonicalTarget(raw);
  if (!found) exchange.dialect = dialectOf(target.path);
  const { published, described } = found ?? nonePublished;
  return { request, method: request.method ?? '', target, published, described, repeated } as Received;
}

/** Whether a request, for models or not, has a head that every server reads alike. */
export function hasSoundHead(request: IncomingMessage): boolean {
  try {
    checkHead(request);
    return true;
  } catch {
    return false;
  }
}

/** Returns which watched headers occur twice. @throws GatewayError */
function checkHead({ rawHeaders, headers, httpVersion }: IncomingMessage): ReadonlySet<string> {
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw new GatewayError('http_version');
  // At the limit, Node may already have dropped headers, so the limit itself is refused.
  if (rawHeaders.length / 2 >= maxHeaders) throw new GatewayError('too_many_headers');
  const repeated = findRepeated(rawHeaders);
  if (repeated.has('host') || !(headers.host === undefined ? httpVersion === '1.0' : hostShape.test(headers.host))) {
    throw new GatewayError('bad_host');
  }
  const coding = headers['transfer-encoding'];
  if (
    coding !== undefined &&
    (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0' || headers['content-length'] !== undefined)
  ) {
    throw new GatewayError('bad_request_head');
  }
  if (headers.via !== undefined && headers.via.split(viaName).length > 2) throw new GatewayError('loop_detected');
  return repeated;
}

/** Finds security-relevant headers that occur twice. Node joins or drops repeats, so only the raw list shows them. */
function findRepeated(rawHeaders: readonly string[]): ReadonlySet<string> {
  let seen = 0;
  let repeated: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    const bit = watched.get(name.length);
    if (bit === undefined) continue;
    const lower = name.toLowerCase();
    if (lower !== bit.name) continue;
    if ((seen & bit.bit) !== 0) (repeated ??= new Set()).add(lower);
    seen |= bit.bit;
  }
  return repeated ?? none;
}

/** Watched names by length, which is different for each. */
const watched = new Map(
  ['host', 'x-api-key', 'authorization', 'content-encoding', 'content-type', 'api-key'].map((name, i) => [
    name.length,
    { name, bit: 1 << i },
  ]),
);
