// A change that somebody, or a rule, made to who may do what: written with the change, in one transaction.
import { type AuditId, newAuditId } from './id.ts';
import type { WallMs } from './time.ts';

/** What strangers can cause: failed sign-ins and refused calls, of which so many are kept. */
export const refusalActions = ['sign-in.refused', 'call.refused'] as const;
export const keptRefusals = 50_000;

export interface AuditEvent {
  readonly id: AuditId;
  readonly at: WallMs;
  /** Who: `cli:<system user>`, `rule:<name>`, later an account. */
  readonly actor: string;
  /** What: `plan.set`, `key.revoke`, … */
  readonly action: string;
  /** Whose: an id, or the name of a plan or rule. */
  readonly subject: string;
  /** Before and after, as far as they differ; never a secret or its digest. */
  readonly from: Readonly<Record<string, unknown>> | null;
  readonly to: Readonly<Record<string, unknown>> | null;
}

/** Who does it and when; what every change is made with. */
export interface Author {
  readonly actor: string;
  readonly at: WallMs;
}

type Shown = Readonly<Record<string, unknown>>;

/** An event for a change; where both sides are given only what differs is kept. */
export function auditEvent(
  { actor, at }: Author,
  action: string,
  subject: string,
  before: Shown | null,
  after: Shown | null,
): AuditEvent {
  const { from, to } = before && after ? difference(before, after) : { from: before, to: after };
  return { id: newAuditId(at), at, actor, action, subject, from, to };
}

/** The members in which two objects differ, of each. */
function difference(before: Shown, after: Shown): { from: Record<string, unknown>; to: Record<string, unknown> } {
  const from: Record<string, unknown> = {};
  const to: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[name]) === JSON.stringify(after[name])) continue;
    from[name] = before[name];
    to[name] = after[name];
  }
  return { from, to };
}
