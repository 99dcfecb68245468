// Uploads of blobs by callers who may not use every model. Knowing a digest must not give access to a model's weights:
// such a caller may create models only from blobs that it has uploaded through this gateway. A model server that
// already has a blob accepts an upload without reading it, so these bytes are read, hashed and discarded here. Uploads
// are remembered until the process ends; clients check first (HEAD), get a 404, and upload again.
import { createHash } from 'node:crypto';
import { GatewayError } from '../domain/error.ts';
import type { AccountId } from '../domain/id.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Run } from './active-requests.ts';
import { onHangUp } from './answer/hang-up.ts';
import { endWith } from './answer/unread.ts';
import { readFailure } from './answer/upstream-error.ts';
import { readDigest } from './creation.ts';
import type { Exchange } from './exchange.ts';
import { upstreamPath } from './operation.ts';
import { continueIfAsked } from './payload/body.ts';
import { type Settled, settle } from './record.ts';
import { type RelayTools, relay } from './relay.ts';
import type { Routed } from './route.ts';

/** A model of many files has about a hundred blobs. */
const mostPerAccount = 1_000;
const mostAccounts = 10_000;

/** Which account has uploaded which blobs. */
export class ShownBlobs {
  readonly #byAccount = new Map<AccountId, Set<string>>();

  has(account: AccountId, digest: string): boolean {
    return this.#byAccount.get(account)?.has(digest) === true;
  }

  /** The oldest entries are evicted; such a caller uploads again. */
  note(account: AccountId, digest: string): void {
    const shown = this.#byAccount.get(account) ?? new Set();
    this.#byAccount.delete(account);
    this.#byAccount.set(account, shown.add(digest));
    if (shown.size > mostPerAccount) shown.delete(shown.values().next().value as string);
    if (this.#byAccount.size > mostAccounts) this.#byAccount.delete(this.#byAccount.keys().next().value as AccountId);
  }
}

/** Whether the upload must be hashed here. */
export const mustShow = ({ operation, caller: { principal } }: Routed): boolean =>
  operation.body === 'blob' && !principal.models.all;

/** @throws GatewayError as relay does, and `invalid_request` if the bytes have another digest. */
export async function takeUpload(
  routed: Routed,
  exchange: Exchange,
  tools: RelayTools,
  shown: ShownBlobs,
): Promise<Settled> {
  const { accountId } = routed.caller.principal;
  const digest = readDigest(routed.parameter) as string;
  const asking = new Asking(routed, exchange);
  if (
    !(await asking.whileRunning(tools.running, (signal) => isThere(routed, tools.settings.times.metadataMs, signal)))
  ) {
    const settled = await relay(routed, exchange, tools);
    // The model server answers "Created" if it has hashed the bytes itself, and "OK" if it has not.
    if (exchange.response.statusCode === 201) shown.note(accountId, digest);
    return settled;
  }
  exchange.notes.noteUpstream((routed.candidates[0] as Upstream).name);
  const reading = new Reading(routed, exchange);
  tools.running.add(reading);
  try {
    if ((await reading.digest) !== digest)
      throw new GatewayError('invalid_request', { message: 'The bytes do not have the digest in the address.' });
  } finally {
    tools.running.remove(reading);
  }
  shown.note(accountId, digest);
  const settled = settle(exchange, { outcome: 'completed', status: 200 }, tools.recorder);
  const { ownHeaders, readerStallMs } = tools.settings;
  const lines = [
    'content-length',
    '0',
    'x-request-id',
    exchange.id,
    ...ownHeaders,
    ...exchange.cors,
    ...exchange.lines,
  ];
  exchange.response.writeHead(200, lines);
  endWith(exchange, undefined, readerStallMs);
  return settled;
}

/** Asks the first reachable server. @throws GatewayError if none is reachable, or the signal's reason. */
async function isThere(routed: Routed, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  let failure: unknown;
  for (const { dispatcher, basePath, credentials } of routed.candidates)
    try {
      const answer = await dispatcher.request({
        method: 'HEAD',
        path: basePath + upstreamPath(routed),
        headers: [...credentials.headers],
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
        signal,
      });
      await answer.body.dump();
      return answer.statusCode === 200;
    } catch (cause) {
      signal.throwIfAborted();
      failure ??= cause;
    }
  throw readFailure(failure as Error, false);
}

/** The check whether a blob exists, which may take a while: it can be ended like any other call. */
class Asking implements Run {
  readonly call: Routed;
  readonly exchange: Exchange;
  readonly deadlineMs = Infinity;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  readonly #over = new AbortController();

  constructor(call: Routed, exchange: Exchange) {
    this.call = call;
    this.exchange = exchange;
  }

  async whileRunning<T>(running: RelayTools['running'], ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stopListening = onHangUp(this.exchange, () => this.end(new GatewayError('client_closed')));
    running.add(this);
    try {
      this.#over.signal.throwIfAborted();
      return await ask(this.#over.signal);
    } finally {
      running.remove(this);
      stopListening();
    }
  }

  end(error: GatewayError): void {
    this.#over.abort(error);
  }
}

/** An upload that is read here: it can be ended like any other call, also by a revocation or for lack of progress. */
class Reading implements Run {
  readonly call: Routed;
  readonly exchange: Exchange;
  readonly deadlineMs = Infinity;
  readonly digest: Promise<string>;
  slot = -1;
  moved = -1;
  movedAtMs = 0;
  #reject!: (error: GatewayError) => void;

  constructor(call: Routed, exchange: Exchange) {
    this.call = call;
    this.exchange = exchange;
    const { request, response } = exchange;
    const hash = createHash('sha256');
    this.digest = new Promise((resolve, reject) => {
      this.#reject = reject;
      const gone = (): void => {
        if (!request.readableEnded) reject(new GatewayError('client_closed'));
      };
      request
        .on('data', (chunk: Buffer) => {
          exchange.bytesIn += chunk.length;
          hash.update(chunk);
        })
        .on('end', () => resolve(`sha256:${hash.digest('hex')}`))
        .on('close', gone)
        .on('error', gone);
      // A caller who disconnected during the check causes no further event.
      if (request.destroyed) gone();
      else continueIfAsked(exchange, response);
    });
  }

  end(error: GatewayError): void {
    this.exchange.request.pause();
    this.#reject(error);
  }
}
