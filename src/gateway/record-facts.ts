// Facts for the record of an exchange, noted by the stages, and what must be released at its end. Stages can write but
// not read them: a stage decides by proofs only, so no check can be replaced by looking at another stage's notes. Only
// the record and observers read them, through `recordFactsOf`.
import type { MonotonicMs, WallMs } from '../domain/time.ts';
import type { Lease } from '../store/ports/limit-store.ts';
import type { Slot } from '../store/ports/turn-queue.ts';
import type { Caller } from './caller.ts';
import type { Operation } from './dialects/dialect.ts';
import type { Metering } from './limits/account-usage.ts';
import { isFallback, type NamedModel } from './model-names.ts';
import type { Seat } from './services/seat.ts';

/** The part that stages see. */
export interface Notes {
  noteOperation(operation: Operation): void;
  noteCaller(caller: Caller): void;
  /** Where the call is counted. */
  noteMetering(metering: Metering): void;
  /** Undefined if the call names no model. */
  noteModel(model: NamedModel | undefined): void;
  /** Null: what was noted before got nothing of the call. */
  noteUpstream(name: string | null): void;
  /** The lease on the limits, and when it was counted, in the windows of that time. */
  noteLease(lease: Lease, countedAt: WallMs): void;
  /** Its turn at a model. */
  noteSlot(slot: Slot<unknown>): void;
  /** Its place among the calls that a service may have for an account. */
  noteSeat(seat: Seat): void;
  /** When its turn began. */
  noteTurn(atMs: MonotonicMs): void;
}

export class RecordFacts implements Notes {
  operation: Operation | undefined;
  /** Undefined for unidentified callers. */
  caller: Caller | undefined;
  metering: Metering | undefined;
  /** Canonical; null if the call names no model, or none that can exist. */
  model: string | null = null;
  askedModel: string | null = null;
  fallbackFor: string | null = null;
  upstream: string | null = null;
  lease: Lease | undefined;
  countedAt: WallMs | undefined;
  slot: Slot<unknown> | undefined;
  seat: Seat | undefined;
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

  noteModel(model: NamedModel | undefined): void {
    this.model = model?.name?.canonical ?? null;
    if (!model?.meaning) return;
    const { asked, model: meant } = model.meaning;
    this.askedModel = asked === this.model ? null : asked;
    this.fallbackFor = isFallback(model) ? meant.name.canonical : null;
  }

  noteUpstream(name: string | null): void {
    this.upstream = name;
  }

  noteLease(lease: Lease, countedAt: WallMs): void {
    this.lease = lease;
    this.countedAt = countedAt;
  }

  noteSlot(slot: Slot<unknown>): void {
    this.slot = slot;
  }

  noteSeat(seat: Seat): void {
    this.seat = seat;
  }

  noteTurn(atMs: MonotonicMs): void {
    this.turnAtMs = atMs;
  }
}

/** For the record and for observers; test/house/pipeline.test.ts lists the permitted callers. */
export const recordFactsOf = ({ notes }: { readonly notes: Notes }): Readonly<RecordFacts> => notes as RecordFacts;
