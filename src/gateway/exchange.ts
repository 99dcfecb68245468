// One request and its response, from the first byte to the row in the ledger: the facts that stages establish and the
// record needs. It makes no decisions. `settle` in record.ts reads it exactly once, at the end.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { networkOf } from '../domain/address.ts';
import { newRequestId, type RequestId } from '../domain/id.ts';
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { Outcome, UsageCost } from '../domain/usage.ts';
import type { OpenUsage } from '../store/ports/journal.ts';
import type { Assignment } from '../upstream/estimate/assignment.ts';
import type { Upstream } from '../upstream/server.ts';
import type { ServiceServer } from '../upstream/service-server.ts';
import type { Dialect } from './dialects/dialect.ts';
import type { Frames } from './dialects/frames.ts';
import type { Meter } from './meter/token-counts.ts';
import type { Holder } from './payload/body-budget.ts';
import { type Notes, RecordFacts } from './record-facts.ts';
import type { CallerSocket } from './websocket/caller-socket.ts';

export class Exchange {
  readonly id: RequestId;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The connection, if the caller asks for a WebSocket on it. */
  readonly upgrade: CallerSocket | undefined;
  /** When the request head was complete. */
  readonly at: WallMs;
  /** For durations, which a change of the wall clock must not affect. */
  readonly startedMs: MonotonicMs;

  /** The caller's address, after trusted proxies. */
  readonly address: string;
  dialect: Dialect;
  /** CORS lines for this origin, as name, value, name, value; empty for others. */
  cors: readonly string[];
  /** What a refusal for a missing or wrong key asks for. */
  challenge = 'Bearer realm="sekisho"';
  /** What a refusal for a missing scope asks for; undefined for a key. */
  scopeChallenge: string | undefined;
  /** For the record; stages write them and never read them. */
  readonly notes: Notes = new RecordFacts();
  /** The format of its stream. */
  frames: Frames;
  /** The answer is a stream that can carry an error frame. */
  streamed = false;
  meter: Meter | undefined;
  /** What a call of a service has cost so far; undefined while it costs nothing. */
  cost: { read(): UsageCost | undefined } | undefined;
  bytesIn = 0;
  /** Bytes of the body in memory, returned to the budget when the exchange is over. */
  heldBytes = 0;
  /** The account whose share of the budget they use. */
  heldBy: Holder | undefined;
  bytesOut = 0;
  firstByteMs: number | null = null;
  /** Stages in milliseconds since `startedMs`, for the record: see UsageRecord. */
  readyMs: number | undefined;
  sentMs: number | undefined;
  firstTokenMs: number | undefined;
  loadMs: number | undefined;
  /** The journal's entry, set when the call is sent; from then on it may have a cost. */
  begun: OpenUsage | undefined;
  /** The server that is working on it. */
  server: Upstream | ServiceServer | undefined;
  /** Where it counts as the work of a server; undefined if there is only one server, or it takes no turn at a model. */
  assignment: Assignment<Upstream> | undefined;
  queuedMs = 0;
  /** Its position when it began to wait, starting at 1; 0 if it did not wait. */
  queuePosition = 0;
  /** Response lines about limits, changes and waiting, as name, value, name, value. */
  readonly lines: string[] = [];
  /** Completion tokens that the live statistics have counted. */
  countedTokens = 0;
  recorded = false;
  /** How it ended. */
  outcome: Outcome | undefined;
  /** The head was sent before the model server's, with a comment. */
  beganEarly = false;
  /** While it waits for something that can be told: comment lines about it, each with its line feed. */
  waitComment: (() => string) | undefined;
  /** False if the answer is not an event stream. */
  takesComments = true;
  /** The part of `bytesOut` that was comments, while nothing else was sent. */
  commentBytes = 0;
  /** When something was last sent. */
  quietSinceMs: MonotonicMs;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    {
      upgrade,
      at,
      startedMs,
      address,
      dialect,
      cors,
    }: Pick<Exchange, 'upgrade' | 'at' | 'startedMs' | 'address' | 'dialect' | 'cors'>,
  ) {
    this.request = request;
    this.response = response;
    this.upgrade = upgrade;
    this.at = at;
    this.id = newRequestId(at);
    this.startedMs = startedMs;
    this.quietSinceMs = startedMs;
    this.address = address;
    this.dialect = dialect;
    this.frames = dialect.frames;
    this.cors = cors;
  }

  /** The network of the address: a client usually controls a whole IPv6 /64. */
  get network(): string {
    return this.address.includes(':') ? networkOf(this.address) : this.address;
  }
}
