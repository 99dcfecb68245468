// The use cases of accounts: create, list, show, change the plan or role.
import type { z } from 'zod';
import { type Account, operatorName, planOfNewAccount, type Role, roleOfNewAccount } from '../../domain/account.ts';
import { normalEmail } from '../../domain/application.ts';
import { type Author, auditEvent } from '../../domain/audit.ts';
import { isAccountId } from '../../domain/id.ts';
import { type Plan, type Unlimited, unlimited } from '../../domain/plan.ts';
import { inForce } from '../../domain/suspension.ts';
import { iso, type WallMs } from '../../domain/time.ts';
import type { Store } from '../../store/ports/store.ts';
import { Fault, requireText } from '../fault.ts';
import { requirePlan } from '../plans/plans.ts';
import type { accountSchema } from './schemas.ts';

/** @throws Fault for a name that is taken, or an unknown plan. */
export function createAccount(
  store: Store,
  name: string,
  plan: string | undefined,
  author: Author,
  role: Role = 'member',
): Promise<Account> {
  return store.atomically(async (within) => {
    const trimmed = readAccountName(name);
    if (await within.findAccount(trimmed)) throw new Fault('account_taken', { name: trimmed }, 'conflict');
    if (plan !== undefined) await requirePlan(within, plan);
    // Operators have no limits unless a plan is given.
    return openAccount(within, trimmed, plan ?? planOfNewAccount(trimmed, role), author, { role }, role);
  });
}

/** @throws Fault. */
export function readAccountName(name: string): string {
  const trimmed = requireText('what_name_of_account', name, 200);
  if (isAccountId(trimmed) || trimmed.startsWith('key_')) throw new Fault('account_name_like_id', {});
  return trimmed;
}

export function isAccountName(name: string): boolean {
  try {
    return readAccountName(name) === name;
  } catch {
    return false;
  }
}

/** The account of that name, created if it does not exist; `why` is part of the event of its creation. */
export function openAccount(
  store: Pick<Store, 'ensureAccount'>,
  name: string,
  plan: string | Unlimited,
  author: Author,
  why: Readonly<Record<string, unknown>> = {},
  role: Role = roleOfNewAccount(name),
): Promise<Account> {
  const event = auditEvent(author, 'account.create', name, null, { name, ...shownPlan(plan), ...why });
  return store.ensureAccount(name, plan, event, role);
}

/** By id, by name, or by the email address of its person. */
export async function findAccount(store: Store, idOrName: string): Promise<Account | undefined> {
  return (await store.findAccount(idOrName)) ?? accountOfPerson(store, idOrName);
}

/** As `findAccount`. @throws Fault. */
export async function requireAccount(store: Store, idOrName: string): Promise<Account> {
  const account = await findAccount(store, idOrName);
  if (!account) throw new Fault('account_missing', { name: idOrName }, 'not_found');
  return account;
}

async function accountOfPerson(store: Store, email: string): Promise<Account | undefined> {
  const address = email.includes('@') ? normalEmail(email) : undefined;
  const person = address === undefined ? undefined : await store.findPersonByEmail(address);
  return person?.accountId ? store.findAccount(person.accountId) : undefined;
}

export interface AccountChange {
  readonly role?: Role | undefined;
  readonly plan?: string | undefined;
}

/**
 * Changes the role, the plan, or both at once. An operator without limits who gets another role gets the plan `default` unless
 * another one is given.
 * @throws Fault for the gateway's own account, and for an unknown plan; Refusal from the store.
 */
export function changeAccount(
  store: Store,
  idOrName: string,
  { role, plan }: AccountChange,
  author: Author,
): Promise<Account> {
  return store.atomically(async (within) => {
    const before = await requireAccount(within, idOrName);
    if (plan !== undefined) await requirePlan(within, plan);
    const after: Pick<Account, 'role' | 'plan'> = {
      role: role ?? before.role,
      plan: plan ?? (role !== undefined && role !== 'operator' && before.plan === unlimited ? 'default' : before.plan),
    };
    if (after.role === before.role && after.plan === before.plan) return before;
    if (before.name === operatorName)
      throw role === undefined ? new Fault('own_account_plan', {}) : new Fault('own_account', {}, 'conflict');
    const show = (of: Pick<Account, 'role' | 'plan'>) => ({ role: of.role, ...shownPlan(of.plan) });
    const action = after.role === before.role ? 'account.plan' : 'account.role';
    return within.changeAccount(before.id, after, auditEvent(author, action, before.id, show(before), show(after)));
  });
}

/** @throws as `changeAccount`. */
export const setPlan = (store: Store, idOrName: string, plan: string, author: Author): Promise<Account> =>
  changeAccount(store, idOrName, { plan }, author);

/** @throws as `changeAccount`. */
export const setRole = (store: Store, idOrName: string, role: Role, author: Author): Promise<Account> =>
  changeAccount(store, idOrName, { role }, author);

/** The plan of an account, or that it has no limits. @throws Fault. */
export async function allowanceOf(store: Store, { plan }: Account): Promise<Plan | Unlimited> {
  return plan === unlimited ? unlimited : requirePlan(store, plan);
}

/** As the management API shows it. */
function shownPlan(plan: string | Unlimited): { readonly plan: string | null; readonly unlimited: boolean } {
  return plan === unlimited ? { plan: null, unlimited: true } : { plan, unlimited: false };
}

/** With the number of its keys and its suspensions in force. */
export async function showAccount(
  store: Store,
  account: Account,
  now: WallMs,
): Promise<z.output<typeof accountSchema>> {
  const suspensions = (await store.openSuspensions(account.id, now)).toReversed();
  const person = await store.findPersonOf(account.id);
  return {
    id: account.id,
    name: account.name,
    ...shownPlan(account.plan),
    role: account.role,
    person: person
      ? {
          name: person.name,
          email: person.email,
          emailVerified: person.emailVerified,
          twoFactor: person.twoFactor,
        }
      : null,
    closedAt: iso(account.closedAt),
    createdAt: iso(account.createdAt),
    keys: (await store.countKeys(account.id, now)) + (await store.countKeys(account.id, now, 'passing')),
    inForce: suspensions
      .filter((suspension) => inForce(suspension, now))
      .map(({ id, step, endsAt }) => ({ id, step, endsAt: iso(endsAt) })),
  };
}
