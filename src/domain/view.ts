// A view: an operator looks at the pages of a member, reads what the member reads, and changes nothing. Pure.
import type { AccountId, PersonId, ViewId } from './id.ts';
import { ageOf, type WallMs } from './time.ts';

/** A view ends after half an hour, and with the operator's session. */
export const viewMs = 30 * 60_000;

export interface View {
  readonly id: ViewId;
  /** The operator's session, which alone can use it. */
  readonly sessionId: string;
  readonly operatorId: PersonId;
  /** Whose pages are seen. */
  readonly accountId: AccountId;
  readonly startedAt: WallMs;
}

export const isOver = ({ startedAt }: View, now: WallMs): boolean => ageOf(startedAt, now) >= viewMs;

/** Why a view ended: somebody left it, its time was over, or its session ended. */
export type ViewEnd = 'left' | 'time' | 'session';
