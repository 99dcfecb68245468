// The use cases of suspensions: take a step of the ladder manually, lift one, appeal, and answer an appeal. A change reaches
// the data plane within a second.
import type { z } from 'zod';
import { operatorName } from '../../domain/account.ts';
import { type Author, auditEvent, leadingTo } from '../../domain/audit.ts';
import { newSuspensionId, type SuspensionId } from '../../domain/id.ts';
import { answerEmail, type Consequence, stepEmail } from '../../domain/outbox.ts';
import { unlimited } from '../../domain/plan.ts';
import { type Step } from '../../domain/rule.ts';
import { type Suspension, untouched } from '../../domain/suspension.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { requireAccount } from '../accounts/accounts.ts';
import { Fault, requireProse } from '../fault.ts';
import { requireKey } from '../keys/keys.ts';
import { actorName, namesIn, withNames } from '../names.ts';
import type { suspensionRowSchema, suspensionSchema } from './schemas.ts';

const longestText = 2_000;

export interface NewSuspension {
  /** Id or name of an account, or id of a key. */
  readonly whom: string;
  readonly step: Exclude<Step, 'revoke'>;
  readonly reason: string;
  /** Unix milliseconds; null: until it is lifted. */
  readonly endsAt: number | null;
}

/** Takes a step manually. @throws Fault. */
export function suspend(store: Store, asked: NewSuspension, author: Author): Promise<Suspension> {
  return store.atomically(async (within) => {
    const { whom, step, endsAt } = asked;
    const reason = requireProse('what_reason', asked.reason, longestText);
    if (endsAt !== null && endsAt <= author.at) throw new Fault('suspension_past', {});
    if (step === 'review' && endsAt !== null) throw new Fault('review_end', {});
    const key = whom.startsWith('key_') ? await requireKey(within, whom) : undefined;
    const account = await requireAccount(within, key?.accountId ?? whom);
    if (account.plan === unlimited && !key)
      throw new Fault(account.name === operatorName ? 'operator_suspended' : 'unlimited_suspended', {});
    const suspension: Suspension = {
      ...untouched,
      id: newSuspensionId(author.at),
      accountId: account.id,
      keyId: key?.lineage ?? null,
      step,
      rule: null,
      reason,
      evidence: null,
      shadow: false,
      createdAt: author.at,
      endsAt,
    };
    await within.insertSuspension(
      suspension,
      leadingTo(
        auditEvent(author, `suspension.${step}`, key?.id ?? account.id, null, showSuspension(suspension)),
        stepEmail(suspension),
      ),
    );
    return suspension;
  });
}

/** @throws Fault if it was already lifted. */
export function lift(store: Store, id: string, author: Author): Promise<Suspension> {
  return store.atomically(async (within) => {
    const before = await requireSuspension(within, id);
    if (before.liftedAt !== null) throw new Fault('suspension_lifted', { id }, 'conflict');
    const after = { ...before, liftedAt: author.at, liftedBy: author.actor };
    await write(within, 'suspension.lift', before, after, author);
    return after;
  });
}

/** Records the appeal of the suspended person, once. @throws Fault. */
export function appeal(store: Store, id: string, text: string, author: Author): Promise<Suspension> {
  return store.atomically(async (within) => {
    const before = await requireSuspension(within, id);
    if (before.appeal !== null) throw new Fault('appeal_there', { id }, 'conflict');
    if (before.shadow) throw new Fault('suspension_shadow', { id });
    const after = { ...before, appeal: requireProse('what_appeal', text, longestText), appealedAt: author.at };
    await write(within, 'suspension.appeal', before, after, author);
    return after;
  });
}

/** Answers an appeal, and lifts the suspension if the appeal is granted. @throws Fault. */
export function answer(store: Store, id: string, text: string, lifts: boolean, author: Author): Promise<Suspension> {
  return store.atomically(async (within) => {
    const before = await requireSuspension(within, id);
    if (before.appeal === null) throw new Fault('appeal_missing', { id }, 'conflict');
    if (before.answer !== null) throw new Fault('appeal_answered', { id }, 'conflict');
    const lifting = lifts && before.liftedAt === null ? { liftedAt: author.at, liftedBy: author.actor } : {};
    const answered = {
      answer: requireProse('what_answer', text, longestText),
      answeredAt: author.at,
      answeredBy: author.actor,
    };
    const after = { ...before, ...answered, ...lifting };
    await write(within, 'suspension.answer', before, after, author, [answerEmail(before.id)]);
    return after;
  });
}

export async function requireSuspension(store: Store, id: string): Promise<Suspension> {
  const found = await store.findSuspension(id as SuspensionId);
  if (!found) throw new Fault('suspension_missing', { id }, 'not_found');
  return found;
}

export function showSuspension(suspension: Suspension): z.output<typeof suspensionSchema> {
  const { accountId, keyId, createdAt, endsAt, liftedAt, appealedAt, answeredAt, ...rest } = suspension;
  return {
    ...rest,
    account: accountId,
    key: keyId,
    createdAt: iso(createdAt),
    endsAt: iso(endsAt),
    liftedAt: iso(liftedAt),
    appealedAt: iso(appealedAt),
    answeredAt: iso(answeredAt),
  };
}

/** With the names of the account, the key, and the people who lifted and answered it. */
export async function nameSuspensions(
  store: Store,
  steps: readonly z.output<typeof suspensionSchema>[],
): Promise<z.output<typeof suspensionRowSchema>[]> {
  const named = await withNames(store, steps);
  const people = await namesIn(
    store,
    steps.map(({ liftedBy, answeredBy }) => [liftedBy, answeredBy]),
  );
  const by = (actor: string | null): string | null => (actor === null ? null : actorName(people, actor));
  return named.map((step) => ({ ...step, liftedByName: by(step.liftedBy), answeredByName: by(step.answeredBy) }));
}

function write(
  store: Store,
  action: string,
  before: Suspension,
  after: Suspension,
  author: Author,
  leadsTo: readonly Consequence[] = [],
): Promise<void> {
  return store.updateSuspension(
    after,
    leadingTo(auditEvent(author, action, after.id, showSuspension(before), showSuspension(after)), leadsTo),
  );
}
