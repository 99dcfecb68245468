// The use cases of the ladder's rules: list, create, change, delete. The data plane applies a change within a second.
import type { z } from 'zod';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { type Rule, readRule } from '../../domain/rule.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, reading } from '../fault.ts';
import type { ruleSchema } from './schemas.ts';

export async function requireRule(store: Store, name: string): Promise<Rule> {
  const rules = await store.listRules();
  const found = rules.find((rule) => rule.name === name);
  if (!found) throw new Fault('rule_missing', { name, rules: rules.map((rule) => rule.name).join(', ') }, 'not_found');
  return found;
}

type Pairs = Readonly<Record<string, unknown>>;

/** @throws Fault. */
export function createRule(store: Store, name: string, pairs: Pairs, author: Author): Promise<Rule> {
  return store.atomically(async (within) => {
    if ((await within.listRules()).some((rule) => rule.name === name))
      throw new Fault('rule_taken', { name }, 'conflict');
    if ('name' in pairs) throw new Fault('rule_named_twice', {});
    const rule = reading(() => readRule({ ...pairs, name }));
    await checkPlans(within, rule);
    await within.putRule(rule, auditEvent(author, 'rule.create', name, null, { ...rule }));
    return rule;
  });
}

/** @throws Fault. */
export function changeRule(store: Store, name: string, pairs: Pairs, author: Author): Promise<Rule> {
  return store.atomically(async (within) => {
    if ('name' in pairs) throw new Fault('rule_keeps_name', {});
    const before = await requireRule(within, name);
    const after = reading(() => readRule({ ...pairs, name }, before));
    await checkPlans(within, after);
    await within.putRule(after, auditEvent(author, 'rule.set', name, { ...before }, { ...after }));
    return after;
  });
}

/** @throws Fault. */
export function deleteRule(store: Store, name: string, author: Author): Promise<void> {
  return store.atomically(async (within) => {
    const rule = await requireRule(within, name);
    await within.deleteRule(name, auditEvent(author, 'rule.delete', name, { ...rule }, null));
  });
}

export const showRule = (rule: Rule): z.output<typeof ruleSchema> => ({
  ...rule,
  plans: rule.plans === null ? null : [...rule.plans],
});

async function checkPlans(store: Store, { plans }: Rule): Promise<void> {
  const known = new Set((await store.listPlans()).map((plan) => plan.name));
  for (const name of plans ?? []) if (!known.has(name)) throw new Fault('plan_unknown', { name });
}
