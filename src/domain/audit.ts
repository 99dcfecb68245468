// A change that somebody, or a rule, made to who may do what: written with the change, in one transaction.
import { createHash } from 'node:crypto';
import { type AuditId, newAuditId } from './id.ts';
import type { Consequence } from './outbox.ts';
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
  /** Goes into the outbox together with the event; no part of the log. */
  readonly leadsTo?: readonly Consequence[];
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

/** The event of a change that leads to something besides. */
export const leadingTo = (event: AuditEvent, leadsTo: readonly Consequence[]): AuditEvent => ({ ...event, leadsTo });

/** Characters of JSON that one member of an event may have. An event has some twenty, by names that are ours. */
const mostOfMember = 1_000;
const mostName = 300;

/**
 * What is longer is named by its beginning, its length and its digest, so that no row holds more than a few kilobytes and what
 * was there can still be told from anything else.
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

/** Never within a pair of surrogates. */
function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}…`;
}

/** The members in which two objects differ, of each; of long lists what only the one or the other holds. */
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
