// What the record of an exchange will say, as the stages find it out, and what is given back when the exchange ends. Stages
// note and cannot read: what a stage decides by is in its proof, so that no check can be replaced by a look at what another
// stage has noted. Only the record and those who look at what was done read it, through `recordFactsOf`.
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { Lease } from '../store/ports/limit-store.ts';
import type { Slot } from '../store/ports/turn-queue.ts';
import type { Upstream } from '../upstream/server.ts';
import type { Caller } from './caller.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Metering } from './limits/account-usage.ts';

/** What the stages see of it. */
export interface Notes {
  noteOperation(operation: Operation): void;
  noteCaller(caller: Caller): void;
  /** Where the call is counted. */
  noteMetering(metering: Metering): void;
  /** By its canonical name; null where none is named. */
  noteModel(model: string | null): void;
  noteUpstream(name: string): void;
  /** What it holds of the limits, and when it was counted, in the windows of that moment. */
  noteLease(lease: Lease, countedAt: WallMs): void;
  /** Its turn at a model. */
  noteSlot(slot: Slot<Upstream>): void;
  /** When its turn began. */
  noteTurn(atMs: MonotonicMs): void;
}

export class RecordFacts implements Notes {
  operation: Operation | undefined;
  /** Undefined for callers that nobody knows. */
  caller: Caller | undefined;
  metering: Metering | undefined;
  model: string | null = null;
  upstream: string | null = null;
  lease: Lease | undefined;
  countedAt: WallMs | undefined;
  slot: Slot<Upstream> | undefined;
  turnAtMs: MonotonicMs = 0;

  noteOperation(operation: Operation): void {
    this.operation = operation;
  }

  noteCaller(caller: Caller): void {
    this.caller = caller;
  }

  noteMetering(metering: Metering): void {
    this.metering = metering;
  }

  noteModel(model: string | null): void {
    this.model = model;
  }

  noteUpstream(name: string): void {
    this.upstream = name;
  }

  noteLease(lease: Lease, countedAt: WallMs): void {
    this.lease = lease;
    this.countedAt = countedAt;
  }

  noteSlot(slot: Slot<Upstream>): void {
    this.slot = slot;
  }

  noteTurn(atMs: MonotonicMs): void {
    this.turnAtMs = atMs;
  }
}

/** For the record, and for those who look at what was done; test/house/pipeline.test.ts lists who that is. */
export const recordFactsOf = ({ notes }: { readonly notes: Notes }): Readonly<RecordFacts> => notes as RecordFacts;
