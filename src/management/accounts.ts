// What can be done with accounts: make, list, show, give a plan.
import { type Account, operatorName, planOfNewAccount, type Role } from '../domain/account.ts';
import { type Author, auditEvent } from '../domain/audit.ts';
import type { Step } from '../domain/rule.ts';
import { inForce } from '../domain/suspension.ts';
import type { WallMs } from '../domain/time.ts';
import type { Store } from '../store/ports.ts';
import { Fault } from './fault.ts';
import { requirePlan } from './plans.ts';

/** @throws Fault for a name that is taken, or a plan that is not there. */
export async function createAccount(
  store: Store,
  name: string,
  plan: string | undefined,
  author: Author,
  role: Role = 'member',
): Promise<Account> {
  const trimmed = readAccountName(name);
  if (await store.findAccount(trimmed)) throw new Fault(`There is an account "${trimmed}" already.`, 'conflict');
  // Operators have no limits unless somebody says some.
  const given = plan ?? (role === 'operator' ? null : planOfNewAccount(trimmed));
  if (given !== null) await requirePlan(store, given);
  const account = await openAccount(store, trimmed, given, author);
  return role === account.role ? account : setRole(store, account.id, role, author);
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

/** @throws Fault for the gate's own account, and where nobody could operate the gate afterwards. */
export async function setRole(store: Store, idOrName: string, role: Role, author: Author): Promise<Account> {
  const account = await requireAccount(store, idOrName);
  if (account.closedAt !== null) throw new Fault('That account is closed.', 'conflict');
  if (role === account.role) return account;
  await refuseLastOperator(store, account);
  await store.setAccountRole(
    account.id,
    role,
    auditEvent(author, 'account.role', account.id, { role: account.role }, { role }),
  );
  return { ...account, role };
}

/** @throws Fault where nobody could operate the gate afterwards. */
export async function refuseLastOperator(store: Store, account: Account): Promise<void> {
  if (account.name === operatorName) throw new Fault("The gate's own account stays what it is.", 'conflict');
  if (account.role !== 'operator' || !(await store.findPersonOf(account.id))) return;
  if ((await store.countAccounts('operator')) <= 1)
    throw new Fault('This is the last operator who can sign in. Make another one first.', 'conflict');
}

/** With how many keys it holds and which steps of the ladder are in force against it. */
export async function showAccount(store: Store, account: Account, now: WallMs): Promise<ShownAccount> {
  const suspensions = await store.listSuspensions({ accountId: account.id, limit: 1000 });
  const person = await store.findPersonOf(account.id);
  return {
    id: account.id,
    name: account.name,
    plan: account.plan,
    role: account.role,
    person: person ? { email: person.email, emailVerified: person.emailVerified, twoFactor: person.twoFactor } : null,
    closedAt: account.closedAt === null ? null : new Date(account.closedAt).toISOString(),
    createdAt: new Date(account.createdAt).toISOString(),
    keys: (await store.countKeys(account.id, now)) + (await store.countKeys(account.id, now, 'passing')),
    inForce: suspensions
      .filter((suspension) => inForce(suspension, now))
      .map(({ id, step, endsAt }) => ({ id, step, endsAt: endsAt === null ? null : new Date(endsAt).toISOString() })),
  };
}

interface ShownAccount extends Record<string, unknown> {
  readonly id: string;
  readonly name: string;
  readonly plan: string | null;
  readonly role: Role;
  readonly person: { readonly email: string; readonly emailVerified: boolean; readonly twoFactor: boolean } | null;
  readonly closedAt: string | null;
  readonly createdAt: string;
  readonly keys: number;
  readonly inForce: { readonly id: string; readonly step: Step; readonly endsAt: string | null }[];
}
