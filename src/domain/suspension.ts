// A step of the ladder that was taken against a key or an account, with its evidence, and what all the steps that are in
// force together mean for a call. Pure.
import type { AccountId, KeyId, SuspensionId } from './id.ts';
import type { Step } from './rule.ts';
import type { WallMs } from './time.ts';

export interface Suspension {
  readonly id: SuspensionId;
  readonly accountId: AccountId;
  /**
   * The key it hits, by the first of its row of rotations, so that rotating is no way out; null where it hits every key
   * of the account.
   */
  readonly keyId: KeyId | null;
  readonly step: Step;
  /** The rule that took it; null where a person did. */
  readonly rule: string | null;
  /** One sentence, which the caller gets to read. */
  readonly reason: string;
  /** The figures it was taken on: measure, count, threshold, window. */
  readonly evidence: Readonly<Record<string, unknown>> | null;
  /** Taken in shadow: it is written down and does nothing. */
  readonly shadow: boolean;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** When it undoes itself; null where only a person can. */
  readonly endsAt: number | null;
  readonly liftedAt: number | null;
  readonly liftedBy: string | null;
  readonly appeal: string | null;
  readonly appealedAt: number | null;
  readonly answer: string | null;
  readonly answeredAt: number | null;
  readonly answeredBy: string | null;
}

/** Nobody has lifted it, appealed or answered. */
export const untouched = {
  liftedAt: null,
  liftedBy: null,
  appeal: null,
  appealedAt: null,
  answer: null,
  answeredAt: null,
  answeredBy: null,
} as const;

/** Does it hit the key of that row of rotations? */
export function hits({ keyId }: Suspension, lineage: KeyId): boolean {
  return keyId === null || keyId === lineage;
}

export function inForce({ shadow, liftedAt, endsAt }: Suspension, now: WallMs): boolean {
  return !shadow && liftedAt === null && (endsAt === null || now < endsAt);
}

/** What the steps in force mean together; the same object for everybody who is in good standing. */
export interface Restrictions {
  readonly warned: Suspension | undefined;
  readonly slowed: boolean;
  readonly behind: boolean;
  /** The step that refuses every call, the one that lasts longest first. */
  readonly refused: Suspension | undefined;
}

export const unrestricted: Restrictions = { warned: undefined, slowed: false, behind: false, refused: undefined };

/** How much is left to somebody who is slowed down. */
export const slowFactor = 0.25;

export function restrictionsOf(suspensions: readonly Suspension[], now: WallMs): Restrictions {
  if (suspensions.length === 0) return unrestricted;
  let { warned, slowed, behind, refused }: { -readonly [name in keyof Restrictions]: Restrictions[name] } =
    unrestricted;
  for (const suspension of suspensions) {
    if (!inForce(suspension, now)) continue;
    if (suspension.step === 'warn') warned = suspension;
    else if (suspension.step === 'slow') slowed = true;
    else if (suspension.step === 'back') behind = true;
    else if (refused === undefined || (suspension.endsAt ?? Infinity) > (refused.endsAt ?? Infinity))
      refused = suspension;
  }
  return { warned, slowed, behind, refused };
}
