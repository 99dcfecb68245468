// Audit events: who changed what about access. An event is written in the same transaction as the change.
import { createHash } from 'node:crypto';
import { type AuditId, newAuditId } from './id.ts';
import type { Consequence } from './outbox.ts';
import type { WallMs } from './time.ts';

/** Events that unauthenticated clients can cause (failed sign-ins, refused calls), and how many of them are kept. */
export const refusalActions = ['sign-in.refused', 'call.refused'] as const;
export const keptRefusals = 50_000;

export interface AuditEvent {
  readonly id: AuditId;
  readonly at: WallMs;
  /** Who: `cli:<system user>`, `rule:<name>`, or an account. */
  readonly actor: string;
  /** What: `plan.set`, `key.revoke`, … */
  readonly action: string;
  /** What was changed: an id, or the name of a plan or rule. */
  readonly subject: string;
  /** Values before and after, only where they differ; never a secret or its digest. */
  readonly from: Readonly<Record<string, unknown>> | null;
  readonly to: Readonly<Record<string, unknown>> | null;
  /** Written to the outbox with the event; not part of the log. */
  readonly leadsTo?: readonly Consequence[];
}

/** Who makes a change, and when. */
export interface Author {
  readonly actor: string;
  readonly at: WallMs;
}

type Shown = Readonly<Record<string, unknown>>;

/** Creates an event for a change. If both sides are given, only their differences are kept. */
export function auditEvent(
  { actor, at }: Author,
  action: string,
  subject: string,
  before: Shown | null,
  after: Shown | null,
): AuditEvent {
  const { from, to } = before && after ? difference(before, after) : { from: before, to: after };
  return {
    id: newAuditId(at),
    at,
    actor: cut(actor, mostName),
    action,
    subject: cut(subject, mostName),
    from: from && bounded(from),
    to: to && bounded(to),
  };
}

/** An event with consequences. */
export const leadingTo = (event: AuditEvent, leadsTo: readonly Consequence[]): AuditEvent => ({ ...event, leadsTo });

/** The most characters of JSON for one member. An event has about twenty members, whose names are set by this code. */
const mostOfMember = 1_000;
const mostName = 300;

/**
 * Replaces long values by their beginning, length and digest, so that a row holds at most a few kilobytes and the
 * original value can still be identified.
 */
function bounded(shown: Shown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, shortened(value)]));
}

function shortened(value: unknown): unknown {
  const json = JSON.stringify(value) ?? '';
  if (json.length <= mostOfMember) return value;
  const whole = `sha256 ${createHash('sha256').update(json).digest('hex')}`;
  if (typeof value === 'string') return `${cut(value, mostOfMember / 2)} (${value.length} characters, ${whole})`;
  if (!Array.isArray(value)) return `${cut(json, mostOfMember / 2)} (${json.length} characters, ${whole})`;
  const first: unknown[] = [];
  let length = 0;
  for (const each of value) {
    length += JSON.stringify(each).length;
    if (length > mostOfMember / 2) break;
    first.push(each);
  }
  return [...first, `… and ${value.length - first.length} more (${whole} of all ${value.length})`];
}

/** Never splits a surrogate pair. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}…`;
}

/** The members in which two objects differ; for long lists only the items that one side lacks. */
function difference(before: Shown, after: Shown): { from: Record<string, unknown>; to: Record<string, unknown> } {
  const from: Record<string, unknown> = {};
  const to: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (JSON.stringify(before[name]) === JSON.stringify(after[name])) continue;
    [from[name], to[name]] = sides(before[name], after[name]);
  }
  return { from, to };
}

function sides(before: unknown, after: unknown): readonly [unknown, unknown] {
  const isLong = (list: unknown): boolean => JSON.stringify(list).length > mostOfMember;
  if (!Array.isArray(before) || !Array.isArray(after) || (!isLong(before) && !isLong(after))) return [before, after];
  const only = (list: readonly unknown[], other: readonly unknown[]): readonly unknown[] => {
    const others = new Set(other.map((each) => JSON.stringify(each)));
    return list.filter((each) => !others.has(JSON.stringify(each)));
  };
  return [only(before, after), only(after, before)];
}
