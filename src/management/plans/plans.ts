// The use cases of plans: list, create, change, delete. A change takes effect on the running gateway within a second, for new and
// waiting calls.

import type { z } from 'zod';
import type { Invite } from '../../domain/application.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import type { KeyId } from '../../domain/id.ts';
import type { LimitState } from '../../domain/introspection.ts';
import { openTerms, type Plan, readTerm, type Terms, termNames } from '../../domain/plan.ts';
import { iso } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import type { limitSchema, planSchema } from './schemas.ts';

/** More than live at once. */
const mostInvites = 100_000;

export async function requirePlan(store: Store, name: string): Promise<Plan> {
  const plan = await store.findPlan(name);
  if (plan) return plan;
  const names = (await store.listPlans()).map((other) => other.name);
  throw new Fault('plan_missing', { name, plans: names.join(', ') }, 'not_found');
}

/** Creates a plan; omitted terms are unlimited, or copied from another plan. @throws Fault. */
export function createPlan(
  store: Store,
  name: string,
  pairs: Readonly<Record<string, unknown>>,
  like: string | undefined,
  author: Author,
): Promise<Plan> {
  return store.atomically(async (within) => {
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name)) throw new Fault('plan_name', {});
    const base: Terms = like === undefined ? openTerms : await requirePlan(within, like);
    const plan: Plan = { ...base, ...readTerms(pairs), name, version: 1 };
    checkTogether(plan);
    if (!(await within.putPlan(plan, auditEvent(author, 'plan.create', name, null, { ...plan }))))
      throw new Fault('plan_taken', { name }, 'conflict');
    return plan;
  });
}

/** The next version of a plan, with these terms changed. @throws Fault. */
export function changePlan(
  store: Store,
  name: string,
  pairs: Readonly<Record<string, unknown>>,
  author: Author,
): Promise<Plan> {
  return store.atomically(async (within) => {
    const before = await requirePlan(within, name);
    const after: Plan = { ...before, ...readTerms(pairs), version: before.version + 1 };
    checkTogether(after);
    if (!(await within.putPlan(after, auditEvent(author, 'plan.set', name, { ...before }, { ...after }))))
      throw new Fault('plan_changed', { name }, 'conflict');
    return after;
  });
}

/** @throws Fault while an account has the plan, or new accounts would get it. */
export function deletePlan(store: Store, name: string, author: Author): Promise<void> {
  return store.atomically(async (within) => {
    const plan = await requirePlan(within, name);
    if (name === 'default') throw new Fault('plan_default', {});
    if ((await within.readRegistration()).plan === name) throw new Fault('plan_registers', { name }, 'conflict');
    const isOpen = ({ usedAt, expiresAt }: Invite): boolean => usedAt === null && expiresAt > author.at;
    if ((await within.listInvites(mostInvites)).some((invite) => invite.plan === name && isOpen(invite)))
      throw new Fault('plan_invites', { name }, 'conflict');
    const server = (await within.listServers()).find(({ plans }) => plans?.includes(name) === true);
    if (server) throw new Fault('plan_has_server', { server: server.name, name }, 'conflict');
    const named = (await within.listModelNames()).find(({ plans }) => plans[name] !== undefined);
    if (named) throw new Fault('plan_has_model_name', { model: named.name, name }, 'conflict');
    if (!(await within.deletePlan(name, auditEvent(author, 'plan.delete', name, { ...plan }, null))))
      throw new Fault('plan_in_use', { name }, 'conflict');
  });
}

/** With terms in the order of the registry. */
export function showPlan(plan: Plan): z.output<typeof planSchema> {
  return {
    name: plan.name,
    version: plan.version,
    ...Object.fromEntries(termNames.map((name) => [name, plan[name]])),
  };
}

/** The remainder of a limit, for an account or for one of its keys. */
export const showLimit =
  (key: KeyId | null) =>
  ({ resetsAt, ...state }: LimitState): z.output<typeof limitSchema> => ({ ...state, key, resetsAt: iso(resetsAt) });

function readTerms(pairs: Readonly<Record<string, unknown>>): Partial<Terms> {
  return Object.assign(
    {},
    ...Object.entries(pairs).map(([name, value]) => reading(() => readTerm(name, value))),
  ) as Partial<Terms>;
}

function checkTogether({ minKeepAliveSeconds, maxKeepAliveSeconds }: Plan): void {
  if (minKeepAliveSeconds !== null && maxKeepAliveSeconds !== null && minKeepAliveSeconds > maxKeepAliveSeconds)
    throw new Fault('plan_keep_alive', {});
}
