// What can be done with accounts: make, list, show, give a plan.
import { type Account, operatorName, planOfNewAccount } from '../domain/account.ts';
import { type Author, auditEvent } from '../domain/audit.ts';
import type { Step } from '../domain/rule.ts';
import { inForce } from '../domain/suspension.ts';
import type { Store } from '../store/ports.ts';
import { Fault } from './fault.ts';
import { requirePlan } from './plans.ts';

/** @throws Fault for a name that is taken, or a plan that is not there. */
export async function createAccount(
  store: Store,
  name: string,
  plan: string | undefined,
  author: Author,
): Promise<Account> {
  const trimmed = readAccountName(name);
  if (await store.findAccount(trimmed)) throw new Fault(`There is an account "${trimmed}" already.`, 'conflict');
  const given = plan ?? planOfNewAccount(trimmed);
  if (given !== null) await requirePlan(store, given);
  return openAccount(store, trimmed, given, author);
}

/** @throws Fault. */
export function readAccountName(name: string): string {
  const trimmed = name.trim();
  if (trimmed === '' || trimmed.length > 200) throw new Fault('An account needs a name of 1 to 200 characters.');
  return trimmed;
}

/** The account of that name, made if it is not there; `why` goes into the event of its making. */
export function openAccount(
  store: Pick<Store, 'ensureAccount'>,
  name: string,
  plan: string | null,
  author: Author,
  why: Readonly<Record<string, unknown>> = {},
): Promise<Account> {
  return store.ensureAccount(name, plan, auditEvent(author, 'account.create', name, null, { name, plan, ...why }));
}

/** By id or name. @throws Fault. */
export async function requireAccount(store: Store, idOrName: string): Promise<Account> {
  const account = await store.findAccount(idOrName);
  if (!account) throw new Fault(`There is no account "${idOrName}".`, 'not_found');
  return account;
}

/** @throws Fault for the operator's own account, which never has a plan, and for a plan that is not there. */
export async function setPlan(store: Store, idOrName: string, plan: string, author: Author): Promise<Account> {
  const account = await requireAccount(store, idOrName);
  if (account.name === operatorName)
    throw new Fault("The operator's own account has no plan. Make an account for whoever is to have limits.");
  await requirePlan(store, plan);
  await store.setAccountPlan(
    account.id,
    plan,
    auditEvent(author, 'account.plan', account.id, { plan: account.plan }, { plan }),
  );
  return { ...account, plan };
}

/** With how many keys it holds and which steps of the ladder are in force against it. */
export async function showAccount(store: Store, account: Account, now: number): Promise<ShownAccount> {
  const suspensions = await store.listSuspensions({ accountId: account.id, limit: 1000 });
  return {
    id: account.id,
    name: account.name,
    plan: account.plan,
    createdAt: new Date(account.createdAt).toISOString(),
    keys: await store.countKeys(account.id, now),
    inForce: suspensions
      .filter((suspension) => inForce(suspension, now))
      .map(({ id, step, endsAt }) => ({ id, step, endsAt: endsAt === null ? null : new Date(endsAt).toISOString() })),
  };
}

interface ShownAccount extends Record<string, unknown> {
  readonly id: string;
  readonly name: string;
  readonly plan: string | null;
  readonly createdAt: string;
  readonly keys: number;
  readonly inForce: { readonly id: string; readonly step: Step; readonly endsAt: string | null }[];
}
