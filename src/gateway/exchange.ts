// One request and its response, from the first byte to the row in the ledger: the facts that the stages establish and
// that the record needs. It decides nothing. `settle` in record.ts reads it exactly once, at the end.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { networkOf } from '../domain/address.ts';
import { newRequestId, type RequestId } from '../domain/id.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { Outcome } from '../domain/usage.ts';
import type { OpenUsage } from '../store/ports/journal.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Dialect } from './dialects/dialect.ts';
import type { Frames } from './dialects/frames.ts';
import type { Meter } from './meter/token-counts.ts';
import type { Holder } from './payload/body-budget.ts';
import { type Notes, RecordFacts } from './record-facts.ts';

export class Exchange {
  readonly id: RequestId;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** When the request head was complete. */
  readonly at: WallMs;
  /** For durations: a jump of the wall clock bends none. */
  readonly startedMs: MonotonicMs;

  /** Address of the caller, after trusted proxies. */
  readonly address: string;
  dialect: Dialect;
  /** CORS lines for this origin, as name, value, name, value; empty for others. */
  readonly cors: readonly string[];
  /** What the record will say, which stages note and none reads. */
  readonly notes: Notes = new RecordFacts();
  /** The form of its stream. */
  frames: Frames;
  /** Its answer is a stream, into which a frame of ours can be sent. */
  streamed = false;
  meter: Meter | undefined;
  bytesIn = 0;
  /** Bytes of the body that are held, to be given back to the budget when the exchange is over. */
  heldBytes = 0;
  /** Whose share of the budget they are. */
  heldBy: Holder | undefined;
  bytesOut = 0;
  firstByteMs: number | null = null;
  /** What the journal gave when it began; from then on it may have cost something. */
  begun: OpenUsage | undefined;
  /** The model server that works on it now. */
  server: Upstream | undefined;
  queuedMs = 0;
  /** Its place when it began to wait, 1 being the next; 0 where it did not wait. */
  queuePosition = 0;
  /** Response lines about limits, changes and waiting, as name, value, name, value. */
  readonly lines: string[] = [];
  /** Completion tokens that the live figures have so far. */
  countedTokens = 0;
  recorded = false;
  /** How it ended. */
  outcome: Outcome | undefined;
  /** The head went out before the model server's, with a comment. */
  beganEarly = false;
  /** False where what comes is no stream of events. */
  takesComments = true;
  /** Of `bytesOut`, those of comments, as long as nothing else has gone out. */
  commentBytes = 0;
  /** When something last went out. */
  quietSinceMs: MonotonicMs;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    { at, startedMs, address, dialect, cors }: Pick<Exchange, 'at' | 'startedMs' | 'address' | 'dialect' | 'cors'>,
  ) {
    this.request = request;
    this.response = response;
    this.at = at;
    this.id = newRequestId(at);
    this.startedMs = startedMs;
    this.quietSinceMs = startedMs;
    this.address = address;
    this.dialect = dialect;
    this.frames = dialect.frames;
    this.cors = cors;
  }

  /** Whom the address stands for: who has one address of an IPv6 network has all of them. */
  get network(): string {
    return this.address.includes(':') ? networkOf(this.address) : this.address;
  }
}
