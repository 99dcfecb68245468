// A step of the ladder taken against a key or an account, with its evidence, and the combined effect of all steps in
// force. Pure.
import type { AccountId, KeyId, SuspensionId } from './id.ts';
import type { Step } from './rule.ts';
import type { WallMs } from './time.ts';

export interface Suspension {
  readonly id: SuspensionId;
  readonly accountId: AccountId;
  /**
   * The first key in the chain of rotations of the key it applies to, so that rotating does not evade it; null if it
   * applies to every key of the account.
   */
  readonly keyId: KeyId | null;
  readonly step: Step;
  /** The rule that took it; null if a person did. */
  readonly rule: string | null;
  /** One sentence, shown to the caller. */
  readonly reason: string;
  /** The figures that caused it: measure, count, threshold, window. */
  readonly evidence: Readonly<Record<string, unknown>> | null;
  /** Recorded without effect. */
  readonly shadow: boolean;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** When it ends by itself; null if only a person can end it. */
  readonly endsAt: number | null;
  readonly liftedAt: number | null;
  readonly liftedBy: string | null;
  readonly appeal: string | null;
  readonly appealedAt: number | null;
  readonly answer: string | null;
  readonly answeredAt: number | null;
  readonly answeredBy: string | null;
}

/** A suspension that was neither lifted nor appealed nor answered. */
export const untouched = {
  liftedAt: null,
  liftedBy: null,
  appeal: null,
  appealedAt: null,
  answer: null,
  answeredAt: null,
  answeredBy: null,
} as const;

/** Whether it applies to the key with that first key. */
export function hits({ keyId }: Suspension, lineage: KeyId): boolean {
  return keyId === null || keyId === lineage;
}

export function inForce({ shadow, liftedAt, endsAt }: Suspension, now: WallMs): boolean {
  return !shadow && liftedAt === null && (endsAt === null || now < endsAt);
}

/** The combined effect of the steps in force; one shared object for accounts in good standing. */
export interface Restrictions {
  readonly warned: Suspension | undefined;
  readonly slowed: boolean;
  readonly behind: boolean;
  /** The step that refuses every call; the longest-lasting one if there are several. */
  readonly refused: Suspension | undefined;
}

export const unrestricted: Restrictions = { warned: undefined, slowed: false, behind: false, refused: undefined };

/** The share that remains when slowed down. */
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
